"""What a manager tells of itself: its time, its tasks, and what they wait for."""

from __future__ import annotations

from typing_extensions import TypedDict

from ...messages import TaskStatus
from ..kernel.board.stuck_tasks import find_stuck_tasks
from ..kernel.board.waiting_tasks import find_waiting_groups
from ..kernel.matching.limited_tasks import describe_held_back
from ..runtime.clock import wall_now
from .board_driver import BoardDriver

MAX_REASONS = 5
"""How many reasons why tasks are not done are told: those of the most tasks."""


class ManagerState(TypedDict):
    """A manager and its tasks.

    Keys:
        manager: its name.
        at: its time, in seconds since 1970.
        paused: whether it assigns no tasks until it is resumed.
        counts: how many tasks there are of each status.
        waiting: how many pending tasks wait for what, such as "blocked" or "limited".
        reasons: what keeps tasks from being done, with those of the most tasks first.
        limits: which limit holds back the most, or "".
    """

    manager: str
    at: float
    paused: bool
    counts: dict[TaskStatus, int]
    waiting: dict[str, int]
    reasons: list[str]
    limits: str


def describe_manager(driver: BoardDriver) -> ManagerState:
    """The state of the manager whose board a driver drives."""
    board = driver.board
    now, has_begun = board.context.now, board.began_at is not None and not board.has_ended
    return ManagerState(
        manager=driver.name,
        at=wall_now(),
        paused=board.is_paused,
        counts={status: board.counts[status] for status in TaskStatus},
        waiting={kind.value: n for kind, n in find_waiting_groups(board, 0).kinds.items()},
        reasons=[each.text for each in find_stuck_tasks(board)[:MAX_REASONS]] if has_begun else [],
        limits=describe_held_back(board.queue, now) if has_begun else "",
    )
