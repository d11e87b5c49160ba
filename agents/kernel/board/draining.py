"""Drains workers: they get no more tasks, finish those they have, and then leave if they are to."""

from __future__ import annotations

from ....messages import UnknownName
from ..model.events import DrainEnded, DrainRequested, WorkerHeard
from ..model.instructions import RetireWorker
from ..model.occurrences import OccurrenceKind
from ..model.records import Drain, WorkerRecord
from .context import BoardContext
from .prefetch import Prefetch
from .worker_registry import WorkerRegistry


class Draining:
    """Decides which workers are drained."""

    def __init__(
        self,
        context: BoardContext,
        workers: WorkerRegistry,
        prefetch: Prefetch,
    ) -> None:
        self._context = context
        self._workers = workers
        self._queue = context.queue
        self._prefetch = prefetch
        self.leaving: dict[str, WorkerRecord] = {}
        """The connected workers that leave once they have finished their tasks."""

    def begin(self, event: DrainRequested) -> None:
        """Give a worker no more tasks, and recall those that it has not begun.

        Raises:
            UnknownName: no worker with this name is connected.
        """
        worker = self._find(event.worker)
        if worker.drain is not Drain.OWN:
            self._drain(worker, Drain.LEAVES if event.leaves else Drain.STAYS)

    def end(self, event: DrainEnded) -> None:
        """Give tasks to a worker again, unless it said itself that it leaves.

        Raises:
            UnknownName: no worker with this name is connected.
        """
        worker = self._find(event.worker)
        if worker.drain is None or worker.drain is Drain.OWN or worker.is_retiring:
            return
        worker.drain = None
        self.leaving.pop(worker.name, None)
        self._queue.update_availability(worker)
        self._context.note(OccurrenceKind.WORKER_RESUMED, worker.name)

    def note_heard(self, worker: WorkerRecord, event: WorkerHeard) -> None:
        """Note whether a worker said that it leaves; it gives back what it has not begun."""
        if event.is_draining and worker.drain is not Drain.OWN:
            self._drain(worker, Drain.OWN)

    def note_joined(self, worker: WorkerRecord) -> None:
        """Watch a worker that joined: it may have been drained before its connection was lost."""
        if worker.drain is Drain.LEAVES:
            self.leaving[worker.name] = worker

    def dismiss_idle(self) -> None:
        """Tell those workers to stop that are to leave and have finished their tasks."""
        for name, worker in tuple(self.leaving.items()):
            if not worker.alive or worker.drain is not Drain.LEAVES:
                del self.leaving[name]
            elif worker.holds_nothing:
                del self.leaving[name]
                worker.is_retiring = True
                self._context.note(OccurrenceKind.WORKER_RETIRED, name, "drained")
                self._context.instructions.append(RetireWorker(worker.worker_id))

    def _drain(self, worker: WorkerRecord, drain: Drain) -> None:
        is_new = worker.drain is None
        worker.drain = drain
        if drain is Drain.LEAVES:
            self.leaving[worker.name] = worker
        else:
            self.leaving.pop(worker.name, None)
        if is_new:
            self._queue.update_availability(worker)
            self._prefetch.recall_from(worker)
        self._context.note(OccurrenceKind.WORKER_DRAINED, worker.name, _TOLD[drain])

    def _find(self, name: str) -> WorkerRecord:
        worker = self._workers.by_name.get(name)
        if worker is None or not worker.alive:
            connected = (each.name for each in self._workers.present.values())
            raise UnknownName("connected worker", name, connected)
        return worker


_TOLD = {
    Drain.LEAVES: "finishes its tasks, and leaves",
    Drain.STAYS: "finishes its tasks, and gets no more",
    Drain.OWN: "is about to leave",
}
