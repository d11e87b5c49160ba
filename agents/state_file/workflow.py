"""A workflow in a state file: which file it is, what is noted of it, and who is told of changes."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from pydantic import JsonValue

from ...messages import InvalidInput, UnknownTask
from ..kernel.model.occurrences import Facts, Occurrence, OccurrenceKind, Watcher
from ..runtime.log import log
from .json_file import StateFile
from .sqlite import SqliteTaskTable
from .table import Entry, TaskTable
from .task_entry import view
from .validation import check_json, find_sqlite_path

HOUR_S = 3600.0
"""How many seconds an hour has."""

_KEPT_METADATA = ("initialized_at", "last_updated")


class Change:
    """One change while it is made.

    Args:
        at: when, in seconds since 1970.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self.told: list[Occurrence] = []

    def tell(
        self,
        what: OccurrenceKind,
        task_id: str,
        worker: str = "",
        facts: Facts | str | None = None,
    ) -> None:
        """Note what happened; it is told when it is written."""
        self.told.append(Occurrence(self.at, what, task_id, worker=worker, facts=facts))


class StateFileWorkflow:
    """The file of a workflow: opened, noted in, watched and closed.

    Args:
        state_file: the JSON file, which is made if it isn't there; or "sqlite:///tasks.db" for a
            SQLite file.
        lock_timeout: how long to wait for other processes, in seconds, 0 or more.
        task_timeout_hours: after how many hours a task that an agent holds is given to another.
        survives_power_loss: whether each change waits until the disk has it.
        clock: tells the time in seconds since 1970.

    Raises:
        StoreCorrupt: the file is something else.
        StoreBusy: another process did not make way in time.
        StoreUnusable: the file can't be read or made.
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        state_file: str | Path,
        lock_timeout: float = 5,
        task_timeout_hours: float = 24,
        *,
        survives_power_loss: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not (lock_timeout >= 0 and math.isfinite(lock_timeout)):
            raise InvalidInput(f"lock_timeout is {lock_timeout!r}; it must be 0 s or more")
        if not (task_timeout_hours > 0 and math.isfinite(task_timeout_hours)):
            raise InvalidInput(f"task_timeout_hours is {task_timeout_hours!r}; it must be above 0")
        self.state_file = state_file
        self._holds_for_s = task_timeout_hours * HOUR_S
        self._watchers: list[Watcher] = []
        path = find_sqlite_path(state_file)
        self._table: TaskTable
        if path is None:
            self._table = StateFile(
                Path(state_file), lock_timeout, survives_power_loss=survives_power_loss, clock=clock
            )
        else:
            self._table = SqliteTaskTable(
                path, lock_timeout, survives_power_loss=survives_power_loss, clock=clock
            )

    @property
    def has_schedule(self) -> bool:
        """Whether tasks may have priorities, times before which they don't start, and retries."""
        return self._table.has_schedule

    @property
    def workflow_metadata(self) -> Entry:
        """What is noted of the workflow, as a copy."""
        with self._table.reading():
            return self._table.metadata()

    def update_workflow_metadata(self, metadata: Mapping[str, JsonValue]) -> None:
        """Note more of the workflow; what is noted under other names stays.

        Args:
            metadata: names and values. `initialized_at` and `last_updated` are the manager's own.

        Raises:
            InvalidInput: JSON can't carry it, or it names what is the manager's own.
        """
        noted = check_json("metadata", metadata)
        taken = [name for name in _KEPT_METADATA if name in noted]
        if taken:
            raise InvalidInput(
                f"the metadata {taken[0]!r} is kept by the manager itself; choose another name"
            )
        with self._changing():
            self._table.replace_metadata({**self._table.metadata(), **noted})

    def watch(self, watcher: Watcher) -> None:
        """Have a function called with what happens through this manager, once it is written.

        What other processes do, their own managers tell.

        Args:
            watcher: takes an occurrence; `worker` is the id of the agent, `attempt` is 0.
        """
        self._watchers.append(watcher)

    def close(self) -> None:
        """Give back what is open; it opens again when needed."""
        self._table.close()

    def _find(self, task_id: str) -> Entry:
        entry = self._find_if_any(task_id)
        if entry is None:
            raise UnknownTask(f"{str(self.state_file)!r} has no task {task_id!r}")
        return entry

    def _find_if_any(self, task_id: str) -> Entry | None:
        # What is no text is no task's id; the tables could not even look for it.
        is_text = isinstance(task_id, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        return self._table.find(task_id) if is_text else None

    def _views(self, task_ids: list[str]) -> list[Entry]:
        return [view(task_id, self._find(task_id)) for task_id in task_ids]

    @contextlib.contextmanager
    def _changing(self) -> Generator[Change]:
        with self._table.changing() as at:
            change = Change(at)
            yield change
        for occurrence in change.told:
            for watcher in self._watchers:
                try:
                    watcher(occurrence)
                except Exception as fault:  # noqa: BLE001 - it is done, whatever a watcher says
                    log.error("a watcher failed", watcher=repr(watcher), exc_info=fault)
