"""What the live page shows of waiting tasks: what they wait for, in the words of `muster why`."""

from __future__ import annotations

from pydantic import JsonValue

from ...messages import TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.board.stuck_tasks import find_stuck_tasks
from ..kernel.board.waiting_tasks import find_waiting_groups
from ..kernel.matching.limited_tasks import describe_held_back

EVERY_S = 1.0
"""How often the reasons are found anew at most, in seconds."""

MAX_REASONS = 5
"""How many reasons why nothing goes on are told: those of the most tasks."""

MAX_NUMBERED = 2_000
"""How many tasks are marked in the list with what they wait for, besides a free slot."""


class WaitingView:
    """Makes the reasons, and the numbers of the tasks that wait for each of them.

    The numbers are a part of their own, since they change less often than the words.
    """

    def __init__(self) -> None:
        self._numbers: JsonValue = []

    def make(self, board: BoardState, _: float) -> JsonValue:
        """How many tasks wait for what, and why nothing goes on if that is so.

        `kinds` has the number of tasks of each kind of reason, `texts` the reasons of the tasks
        that have numbers, and `others` the kind of all others.
        """
        waiting = find_waiting_groups(board, MAX_NUMBERED)
        self._numbers = [list(group.numbers) for group in waiting.groups]
        # While something runs, the reasons of those that wait are not why nothing goes on.
        is_idle = board.began_at is not None and not board.counts[TaskStatus.IN_PROGRESS]
        stuck = find_stuck_tasks(board)[:MAX_REASONS] if is_idle else ()
        return {
            "kinds": {kind.value: count for kind, count in waiting.kinds.items()},
            "others": waiting.others.value,
            "texts": [[group.kind.value, group.text] for group in waiting.groups],
            "stuck": "; ".join(each.text for each in stuck),
            "limits": describe_held_back(board.queue, board.context.now),
        }

    def make_numbers(self, _: BoardState, __: float) -> JsonValue:
        """The numbers of the tasks that wait for each reason; `make` has found them."""
        return self._numbers
