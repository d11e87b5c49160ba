"""What the page shows of waiting tasks: how many are ready, blocked, or can't be done, and why."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from ...messages import TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.matching.ready_queue import TaskGroup

EVERY_S = 1.0
"""How often the reasons are found anew at most, in seconds."""

MAX_REASONS = 5
"""How many reasons are told: those of the most tasks."""

MAX_NUMBERED = 2_000
"""How many tasks that nobody can do are marked in the list."""

_MAX_REASON_CHARACTERS = 160


class WaitingView:
    """Keeps the reasons that were found last."""

    def __init__(self) -> None:
        self._found_at = float("-inf")
        self._found: dict[str, JsonValue] = {}

    def change(self, board: BoardState, now: float) -> dict[str, JsonValue]:
        """The state of the waiting tasks; at most `EVERY_S` old."""
        if now - self._found_at >= EVERY_S or board.has_ended:
            self._found_at = now
            self._found = view_waiting(board)
        return self._found


def view_waiting(board: BoardState) -> dict[str, JsonValue]:
    """How many tasks wait for what.

    `ready` wait for a free slot, `blocked` for other tasks; `nobody` can be done by no connected
    worker. `stuck` is why nothing goes on, or "".
    """
    pending = board.counts[TaskStatus.PENDING]
    if not pending or board.began_at is None or board.has_ended:
        return {"ready": 0, "blocked": 0, "nobody": 0, "reasons": [], "numbers": [], "stuck": ""}
    queue = board.queue
    unmatched = [
        group
        for group in queue.groups.values()
        if group.count and group.unmatched_since is not None
    ]
    nobody = sum(group.count for group in unmatched)
    blocked = max(pending - queue.count, 0)
    reasons = _find_reasons(board, unmatched)
    stuck = ""
    if not board.counts[TaskStatus.IN_PROGRESS]:
        if not queue.workers:
            stuck = "no worker is connected"
        elif nobody and nobody == queue.count:
            stuck = "; ".join(
                f"{_count(each)} for another worker: {text}" for each, text in reasons
            )
    numbers = [entry.record.sequence for group in unmatched for entry in group.current_entries()]
    return {
        "ready": max(pending - blocked - nobody, 0),
        "blocked": blocked,
        "nobody": nobody,
        "reasons": [[count, text] for count, text in reasons],
        "numbers": cast("list[JsonValue]", sorted(numbers)[:MAX_NUMBERED]),
        "stuck": stuck,
    }


def _find_reasons(board: BoardState, unmatched: list[TaskGroup]) -> list[tuple[int, str]]:
    counts: dict[str, int] = {}
    for group in sorted(unmatched, key=lambda each: -each.count)[: 4 * MAX_REASONS]:
        head = min(group.current_entries())
        text = board.queue.shortfall_of(head.record).text[:_MAX_REASON_CHARACTERS]
        counts[text] = counts.get(text, 0) + group.count
    found = sorted(counts.items(), key=lambda each: -each[1])[:MAX_REASONS]
    return [(count, text) for text, count in found]


def _count(number: int) -> str:
    return f"{number:,} task waits" if number == 1 else f"{number:,} tasks wait"
