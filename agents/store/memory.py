"""A store in memory: its rows survive the manager, but not the process."""

from __future__ import annotations

from ...messages import StoreUnusable, TaskId
from ..kernel.board.rows import LearnedRow, Rows, ScheduleRow, TaskRow, WorkerRow


class SharedRows:
    """The memory of memory stores, as a file is the memory of SQLite stores.

    One store holds it at a time.
    """

    def __init__(self) -> None:
        self._run: bytes | None = None
        self._tasks: dict[TaskId, TaskRow] = {}
        self._workers: dict[str, WorkerRow] = {}
        self._learned: dict[tuple[str, str], LearnedRow] = {}
        self._schedules: dict[str, ScheduleRow] = {}
        self._holder: MemoryStore | None = None

    def read(self) -> Rows:
        """Read all rows, whether a store holds them or not."""
        in_order = sorted(self._tasks.values(), key=lambda row: row.sequence)
        learned = tuple(self._learned[key] for key in sorted(self._learned))
        return Rows(
            self._run,
            tuple(in_order),
            tuple(self._workers.values()),
            learned=learned,
            schedules=tuple(self._schedules[name] for name in sorted(self._schedules)),
        )

    def release(self) -> None:
        """Take it away from its store, as a dead process loses its lock; this closes the store."""
        self._holder = None

    def hold(self, store: MemoryStore) -> None:
        """Let a store hold it.

        Raises:
            StoreUnusable: another store holds it.
        """
        if self._holder is not None:
            raise StoreUnusable(
                "this memory is held by another store; close that store, or call release() if its "
                "manager is dead"
            )
        self._holder = store

    def is_held_by(self, store: MemoryStore) -> bool:
        """Whether a store holds it."""
        return self._holder is store

    def define(self, rows: Rows) -> dict[TaskId, TaskRow]:
        """The last row of each task that is written, with its definition.

        Raises:
            StoreUnusable: a row lacks the definition of its task, which was never written.
        """
        defined: dict[TaskId, TaskRow] = {}
        forgotten = set(rows.forgotten)
        for row in rows.tasks:
            kept = None if row.task_id in forgotten else self._tasks.get(row.task_id)
            before = defined.get(row.task_id) or kept
            if row.definition is not None:
                defined[row.task_id] = row
            elif before is not None:
                task_id, sequence, status, _, state = row
                defined[task_id] = TaskRow(task_id, sequence, status, before.definition, state)
            else:
                raise StoreUnusable(
                    f"the row of task {row.task_id!r} can't be written: it has no definition, "
                    "and none was written before; write the definition first"
                )
        return defined

    def keep(self, rows: Rows, defined: dict[TaskId, TaskRow] | None = None) -> None:
        """Write rows atomically.

        Args:
            rows: the rows.
            defined: what `define` has returned for them, if it was called before.

        Raises:
            StoreUnusable: a row lacks the definition of its task, which was never written.
        """
        if defined is None:
            defined = self.define(rows)
        if rows.run is not None:
            self._run = rows.run
        for task_id in rows.forgotten:
            self._tasks.pop(task_id, None)
        self._tasks.update(defined)
        self._workers.update((row.name, row) for row in rows.workers)
        for learned in rows.learned:
            key = (learned.policy, learned.part)
            if learned.state is None:
                self._learned.pop(key, None)
            else:
                self._learned[key] = learned
        for schedule in rows.schedules:
            if schedule.state is None:
                self._schedules.pop(schedule.name, None)
            else:
                self._schedules[schedule.name] = schedule


class MemoryStore:
    """Keeps the rows of a run in memory; a new store is open and holds its memory.

    A manager that dies does not close its store. `store.memory.release()` then does what an
    operating system does for a dead process: the next `MemoryStore(memory)` can hold the memory,
    and later writes of the dead manager are rejected.

    Args:
        memory: the memory of an earlier store; by default a new one.

    Raises:
        StoreUnusable: another store holds the memory.
    """

    waits = False

    def __init__(self, memory: SharedRows | None = None) -> None:
        self.memory = SharedRows() if memory is None else memory
        self.memory.hold(self)

    def load(self) -> Rows:
        """Read all rows.

        Raises:
            StoreUnusable: the store is closed.
        """
        self._check_open()
        return self.memory.read()

    def write(self, rows: Rows) -> None:
        """Write rows atomically.

        Raises:
            StoreUnusable: the store is closed, or a row lacks the definition of its task, which was
                never written.
        """
        self._check_open()
        self.memory.keep(rows)

    def close(self) -> None:
        """Release the memory, so that another store can hold it."""
        if self.memory.is_held_by(self):
            self.memory.release()

    def _check_open(self) -> None:
        if not self.memory.is_held_by(self):
            raise StoreUnusable(
                "this memory store is closed, or its memory was released; "
                "open another one with MemoryStore(memory)"
            )
