"""The states of a run and of its workers, as the page and the API show them."""

from __future__ import annotations

from ...messages import TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.model.health import Health, health_of
from ..kernel.model.records import WorkerRecord


def run_state(board: BoardState) -> str:
    """The state of a run: waiting, running, paused, idle, finished, stopped, or failed."""
    counts = board.counts
    is_done = not (counts[TaskStatus.PENDING] or counts[TaskStatus.IN_PROGRESS])
    if board.has_ended:
        if board.failure is not None:
            return "failed"
        return "finished" if is_done else "stopped"
    if board.pause.since is not None and not board.is_suspended:
        return "paused"
    if board.began_at is None or board.is_suspended:
        return "waiting"
    return "idle" if is_done else "running"


def worker_state(board: BoardState, worker: WorkerRecord, now: float) -> str:
    """The state of a worker: healthy, late, resting, draining, leaving, gone home, or lost.

    A worker has gone home if it was there at the end of the run, or if it left because it was not
    needed any more.
    """
    if not worker.alive and worker.is_retiring:
        return "gone home"
    if board.ended_at is not None and not board.is_suspended:
        was_lost = worker.lost_at is not None and worker.lost_at < board.ended_at
        return "lost" if was_lost else "gone home"
    health = health_of(worker, now, board.rules.heartbeat_s)
    if health is not Health.HEALTHY:
        return health.value
    if worker.is_retiring:
        return "leaving"
    if worker.drain is not None:
        return "draining"
    return "healthy" if worker.quarantined_until is None else "resting"
