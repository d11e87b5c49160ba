"""What waiting tasks wait for: how many are ready, blocked, or can't be done, and why."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from ....messages import TaskStatus
from ..matching.limited_tasks import count_held_back, describe_held_back
from .state import BoardState
from .stuck_tasks import find_stuck_tasks

MAX_REASONS = 5
"""How many reasons are told: those of the most tasks."""

MAX_NUMBERED = 2_000
"""How many tasks that nobody can do are marked in the list."""


def view_waiting(board: BoardState) -> dict[str, JsonValue]:
    """How many tasks wait for what.

    `ready` wait for a free slot, `blocked` for other tasks, `limited` for a limit; `nobody` can be
    done by no connected worker. `stuck` is why nothing goes on, or ""; `limits` is which limit
    holds back the most, or "".
    """
    pending = board.counts[TaskStatus.PENDING]
    if not pending or board.began_at is None or board.has_ended:
        return {
            **{"ready": 0, "blocked": 0, "limited": 0, "nobody": 0},
            **{"reasons": [], "numbers": [], "stuck": "", "limits": ""},
        }
    queue = board.queue
    unmatched = [
        group
        for group in queue.groups.values()
        if group.count and group.unmatched_since is not None
    ]
    nobody = sum(group.count for group in unmatched)
    blocked = max(pending - queue.count, 0)
    reasons = find_stuck_tasks(board)
    # While something runs, the reasons of those that wait are not why nothing goes on.
    is_idle = not board.counts[TaskStatus.IN_PROGRESS]
    stuck = "; ".join(each.text for each in reasons[:MAX_REASONS]) if is_idle else ""
    numbers = [entry.record.sequence for group in unmatched for entry in group.current_entries()]
    held_back = count_held_back(queue, board.context.now)
    limited = sum(count for count, _ in held_back)
    return {
        "ready": max(pending - blocked - nobody - limited, 0),
        "blocked": blocked,
        "limited": limited,
        "nobody": nobody,
        "reasons": [[each.tasks, each.text] for each in reasons[:MAX_REASONS]],
        "numbers": cast("list[JsonValue]", sorted(numbers)[:MAX_NUMBERED]),
        "stuck": stuck,
        "limits": describe_held_back(queue, board.context.now),
    }
