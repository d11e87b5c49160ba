"""A store that keeps its rows in memory: it outlives its manager, but not the process."""

from __future__ import annotations

from ...messages import StoreUnusable, TaskId
from ..kernel.board.rows import Rows, TaskRow, WorkerRow


class SharedRows:
    """What memory stores keep their rows in, as SQLite stores keep theirs in a file.

    It is held by one store at a time.
    """

    def __init__(self) -> None:
        self._run: bytes | None = None
        self._tasks: dict[TaskId, TaskRow] = {}
        self._workers: dict[str, WorkerRow] = {}
        self._holder: MemoryStore | None = None

    def read(self) -> Rows:
        """All that was written, whether a store holds it or not."""
        in_order = sorted(self._tasks.values(), key=lambda row: row.sequence)
        return Rows(self._run, tuple(in_order), tuple(self._workers.values()))

    def release(self) -> None:
        """Take it from its store, as the death of a process takes a lock; the store is closed."""
        self._holder = None

    def hold(self, store: MemoryStore) -> None:
        """Give it to a store.

        Raises:
            StoreUnusable: another has it.
        """
        if self._holder is not None:
            raise StoreUnusable(
                "this memory is held by another store; close that one, or call release() if its "
                "manager is dead"
            )
        self._holder = store

    def is_held_by(self, store: MemoryStore) -> bool:
        """Whether a store has it."""
        return self._holder is store

    def keep(self, rows: Rows) -> None:
        """Keep rows, all of them or none.

        Raises:
            StoreUnusable: a task comes without its definition, which was never written.
        """
        defined: dict[TaskId, TaskRow] = {}
        gone = set(rows.forgotten)
        for row in rows.tasks:
            kept = None if row.task_id in gone else self._tasks.get(row.task_id)
            before = defined.get(row.task_id) or kept
            if row.definition is not None:
                defined[row.task_id] = row
            elif before is not None:
                task_id, sequence, status, _, state = row
                defined[task_id] = TaskRow(task_id, sequence, status, before.definition, state)
            else:
                raise StoreUnusable(
                    f"task {row.task_id!r} can't be kept: it comes without its definition, "
                    "and none was kept before; write the definition first"
                )
        if rows.run is not None:
            self._run = rows.run
        for task_id in gone:
            self._tasks.pop(task_id, None)
        self._tasks.update(defined)
        self._workers.update((row.name, row) for row in rows.workers)


class MemoryStore:
    """Keeps the rows of a run in memory; it is open, and holds its memory, from the start.

    A manager that dies closes nothing. `store.memory.release()` does for it what an operating
    system does for a dead process: the next `MemoryStore(memory)` may hold the memory, and what
    the dead one still writes is refused.

    Args:
        memory: what a former store kept its rows in; without, a new one.

    Raises:
        StoreUnusable: another store holds the memory.
    """

    waits = False

    def __init__(self, memory: SharedRows | None = None) -> None:
        self.memory = SharedRows() if memory is None else memory
        self.memory.hold(self)

    def load(self) -> Rows:
        """Read all that was written.

        Raises:
            StoreUnusable: the store is closed.
        """
        self._check_open()
        return self.memory.read()

    def write(self, rows: Rows) -> None:
        """Keep rows, all of them or none.

        Raises:
            StoreUnusable: the store is closed, or a task comes without its definition, which was
                never written.
        """
        self._check_open()
        self.memory.keep(rows)

    def close(self) -> None:
        """Let go of the memory, so that another store may hold it."""
        if self.memory.is_held_by(self):
            self.memory.release()

    def _check_open(self) -> None:
        if not self.memory.is_held_by(self):
            raise StoreUnusable(
                "this memory store is closed, or its memory was taken from it; "
                "open another with MemoryStore(memory)"
            )
