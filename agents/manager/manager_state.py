"""What a manager tells of itself: its time, its tasks, and what they wait for."""

from __future__ import annotations

from typing import cast

from typing_extensions import TypedDict

from ...messages import TaskStatus
from ..kernel.board.waiting_tasks import view_waiting
from ..runtime.clock import wall_now
from .board_driver import BoardDriver

_KINDS_OF_WAITING = ("ready", "blocked", "limited", "nobody")


class ManagerState(TypedDict):
    """A manager and its tasks.

    Keys:
        manager: its name.
        at: its time, in seconds since 1970.
        paused: whether it assigns no tasks until it is resumed.
        counts: how many tasks there are of each status.
        waiting: how many pending tasks are ready, wait for other tasks or a time, are held back by
            a limit, or can be done by no worker that is connected.
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
    waiting = view_waiting(board)
    reasons = waiting["reasons"]
    assert isinstance(reasons, list)
    return ManagerState(
        manager=driver.name,
        at=wall_now(),
        paused=board.is_paused,
        counts={status: board.counts[status] for status in TaskStatus},
        waiting={
            kind: cast("int", waiting[kind]) for kind in ("ready", "blocked", "limited", "nobody")
        },
        reasons=[str(reason[1]) for reason in reasons if isinstance(reason, list)],
        limits=str(waiting["limits"]),
    )
