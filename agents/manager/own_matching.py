"""Matching policies that call the methods of a subclass of `TaskManager`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence

from ...messages import Task
from ..kernel.matching.policies import ByScore
from ..kernel.model.records import WorkerRecord
from ..transport.ceylon_api import AgentDetail


class WorkerDetail(AgentDetail):
    """A connected worker as a subclass's own matching sees it: Ceylon's details and its skill.

    Args:
        record: the board's record of the worker.
    """

    def __init__(self, record: WorkerRecord) -> None:
        super().__init__(name=record.name, id=record.worker_id, role="worker", extra_data=None)
        self.profile = record.profile
        self.skill_level = record.skill_level
        self.specialties = record.specialties
        self.slots = record.slots


class ScoredByMethod(ByScore):
    """Assigns the hardest task to the worker of the highest score; a method of the manager scores.

    Args:
        name: its name in reports.
        score: the method; a worker for which it raises comes last.
        failed: called with an exception of the method.
    """

    def __init__(
        self,
        name: str,
        score: Callable[[AgentDetail], object],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.name = name
        self._score = score
        self._failed = failed

    def score(self, task: Task, worker: WorkerRecord) -> float:
        """The score that the method returns for the worker."""
        try:
            return _read_score(self._score(WorkerDetail(worker)))
        except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
            self._failed(fault)
            return float("-inf")


class PairedByMethod(ByScore):
    """Assigns tasks as a method of the manager pairs them with workers.

    Args:
        name: its name in reports.
        match: the method; it takes waiting tasks and free workers, and returns pairs of them.
        failed: called with an exception of the method.
    """

    def __init__(
        self,
        name: str,
        match: Callable[[list[Task], list[AgentDetail]], object],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.name = name
        self._match = match
        self._failed = failed

    def pair(
        self, tasks: Sequence[Task], workers: Sequence[WorkerRecord]
    ) -> Iterable[tuple[WorkerRecord, Task]]:
        """The pairs that the method returns; pairs with unknown workers are ignored."""
        by_name = {worker.name: worker for worker in workers}
        try:
            pairs = self._match(list(tasks), [WorkerDetail(worker) for worker in workers])
            return [(by_name[name], task) for name, task in _read(pairs) if name in by_name]
        except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
            self._failed(fault)
            return []


def _read_score(scored: object) -> float:
    if not isinstance(scored, int | float):
        raise TypeError(f"it returned {scored!r}, which is not a number")
    return float(scored)


def _read(pairs: object) -> list[tuple[str, Task]]:
    if inspect.iscoroutine(pairs):
        pairs.close()
        raise TypeError("it is a coroutine function; it must be a plain method")
    if not isinstance(pairs, Iterable):
        raise TypeError(f"it returned {pairs!r}, which is not a list of pairs (worker, task)")
    read: list[tuple[str, Task]] = []
    for pair in pairs:  # pyright: ignore[reportUnknownVariableType] - the user's
        worker, task = pair  # pyright: ignore[reportUnknownVariableType]
        name = getattr(worker, "name", worker)  # pyright: ignore[reportUnknownArgumentType]
        if not isinstance(name, str) or not isinstance(task, Task):
            raise TypeError(f"it returned the pair {pair!r}, which is not (worker, task)")
        read.append((name, task))
    return read
