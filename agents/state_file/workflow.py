"""A workflow in a state file: opens the file, keeps its metadata, and calls watchers of changes."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from pydantic import JsonValue

from ...messages import InvalidInput, UnknownTask
from ..kernel.model.config import check_is_number
from ..kernel.model.occurrences import Facts, Occurrence, OccurrenceKind, Watcher
from ..runtime.log import log
from .json_file import StateFile
from .sqlite import SqliteTaskTable
from .table import TaskEntry, TaskFile, TaskTable, view
from .validation import check_json, find_sqlite_path

HOUR_S = 3600.0
"""The seconds of an hour."""

_RESERVED_METADATA = ("initialized_at", "last_updated")


class Change:
    """A change that is not written yet.

    Args:
        at: the time of the change in seconds since 1970.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self.occurrences: list[Occurrence] = []

    def note(
        self,
        what: OccurrenceKind,
        task_id: str,
        worker: str = "",
        facts: Facts | str | None = None,
    ) -> None:
        """Add an occurrence; watchers receive it after the change was written."""
        self.occurrences.append(Occurrence(self.at, what, task_id, worker=worker, facts=facts))


class StateFileWorkflow:
    """Opens and closes the file of a workflow, keeps its metadata and calls watchers.

    Args:
        state_file: the JSON file, which is created if it does not exist; or "sqlite:///tasks.db"
            for a SQLite file.
        lock_timeout: how long to wait for other processes, in seconds, 0 or more.
        task_timeout_hours: after how many hours a held task is given to another agent.
        survives_power_loss: whether each change waits until the disk has it.
        clock: returns the time in seconds since 1970.

    Raises:
        StoreCorrupt: the file is not a state file.
        StoreBusy: another process held the lock for longer than the timeout.
        StoreUnusable: the file can't be read or created.
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
        check_is_number("lock_timeout", lock_timeout)
        check_is_number("task_timeout_hours", task_timeout_hours)
        if not (lock_timeout >= 0 and math.isfinite(lock_timeout)):
            raise InvalidInput(f"lock_timeout is {lock_timeout!r}; it must be 0 s or more")
        if not (task_timeout_hours > 0 and math.isfinite(task_timeout_hours)):
            raise InvalidInput(f"task_timeout_hours is {task_timeout_hours!r}; it must be above 0")
        self.state_file = state_file
        self._holds_for_s = task_timeout_hours * HOUR_S
        self._watchers: list[Watcher] = []
        path = find_sqlite_path(state_file)
        self._file: TaskFile
        if path is None:
            self._file = StateFile(
                Path(state_file), lock_timeout, survives_power_loss=survives_power_loss, clock=clock
            )
        else:
            self._file = SqliteTaskTable(
                path, lock_timeout, survives_power_loss=survives_power_loss, clock=clock
            )

    @property
    def has_schedule(self) -> bool:
        """Whether tasks may have a priority, a start time and retries."""
        return self._file.has_schedule

    @property
    def workflow_metadata(self) -> TaskEntry:
        """A copy of the metadata of the workflow."""
        with self._file.reading():
            return self._tasks.metadata()

    def update_workflow_metadata(self, metadata: Mapping[str, JsonValue]) -> None:
        """Add to the metadata of the workflow; values under other names stay.

        Args:
            metadata: names and values. The manager itself sets `initialized_at` and
                `last_updated`.

        Raises:
            InvalidInput: JSON can't carry it, or it has a name that the manager itself sets.
        """
        added = check_json("metadata", metadata)
        reserved = [name for name in _RESERVED_METADATA if name in added]
        if reserved:
            raise InvalidInput(
                f"the manager itself sets the metadata {reserved[0]!r}; choose another name"
            )
        with self._changing():
            self._tasks.replace_metadata({**self._tasks.metadata(), **added})

    def watch(self, watcher: Watcher) -> None:
        """Register a function that is called with each change by this manager, after it is written.

        Changes by other processes are reported to the watchers of their managers only.

        Args:
            watcher: takes an `Occurrence`; its `worker` is the id of the agent, its `attempt` is 0.
        """
        self._watchers.append(watcher)

    def close(self) -> None:
        """Close the file; it is opened again when needed."""
        self._file.close()

    @property
    def _tasks(self) -> TaskTable:
        return self._file.tasks

    def _find(self, task_id: str) -> TaskEntry:
        entry = self._find_if_any(task_id)
        if entry is None:
            raise UnknownTask(f"{str(self.state_file)!r} has no task {task_id!r}")
        return entry

    def _find_if_any(self, task_id: str) -> TaskEntry | None:
        # Only text can be the id of a task; the tables can't search for anything else.
        is_text = isinstance(task_id, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        return self._tasks.find(task_id) if is_text else None

    def _views(self, task_ids: list[str]) -> list[TaskEntry]:
        return [view(task_id, self._find(task_id)) for task_id in task_ids]

    @contextlib.contextmanager
    def _changing(self) -> Generator[Change]:
        with self._file.changing() as at:
            change = Change(at)
            yield change
        for occurrence in change.occurrences:
            for watcher in self._watchers:
                try:
                    watcher(occurrence)
                except Exception as fault:  # noqa: BLE001 - the change is already written
                    log.error("a watcher failed", watcher=repr(watcher), exc_info=fault)
