"""`StateFileTaskManager`: tasks in one file, which many processes take from and bring back to."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, TypedDict, cast

from pydantic import JsonValue

from ..messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    NotTheHolder,
    TaskStatus,
    UnknownDependency,
    UnknownTask,
)
from .kernel.board import TRANSITIONS, Cause
from .kernel.events import Occurrence, What
from .log import log
from .sqlite_task_table import SqliteTaskTable
from .state_file import StateFile
from .state_file_arguments import (
    ID_BYTES,
    check_agent,
    check_json,
    check_outcome,
    check_types,
    find_sqlite_path,
    new_entry,
    schedule_of,
)
from .task_entry import describe_holder, is_held_by, status_of, view
from .task_table import Entry, TaskTable
from .timestamps import to_timestamp

_HOUR_S = 3600.0
_KEPT_METADATA = ("initialized_at", "last_updated")

_OUTCOMES: Mapping[TaskStatus, tuple[Cause, What]] = {
    TaskStatus.COMPLETED: (Cause.SUCCEEDED, What.TASK_COMPLETED),
    TaskStatus.FAILED: (Cause.FAILED_FOR_GOOD, What.TASK_FAILED),
    TaskStatus.CANCELLED: (Cause.CANCELLED, What.TASK_CANCELLED),
}

Watcher: TypeAlias = Callable[[Occurrence], None]
"""Called with each occurrence once it is written; must not wait."""


class StatusSummary(TypedDict):
    """What `StateFileTaskManager.get_status_summary` tells.

    Args:
        total_tasks: how many tasks there are.
        status_counts: how many of each status; every status is named.
        type_counts: how many of each type that occurs.
    """

    total_tasks: int
    status_counts: dict[str, int]
    type_counts: dict[str, int]


class StateFileTaskManager:
    """Tasks of one workflow in a file, for any number of agents in any number of processes.

    ```python
    manager = StateFileTaskManager("states/my_workflow.json")
    manager.create_task("analyze", {"file": "data.csv"})
    task = manager.get_next_task("worker-001")
    if task:
        manager.complete_task(task["id"], "worker-001", result_data={"rows": 3})
    ```

    An agent takes a task and holds it until it completes or releases it, or until it has held it
    for too long. Each call is done wholly or not at all, and is in the file when it returns.

    In a JSON file the pending task that stands first comes first. In a SQLite file there may be
    millions, and they may have priorities, a time before which they don't start, and retries.

    Args:
        state_file: the JSON file, which is made if it isn't there; or "sqlite:///tasks.db" for a
            SQLite file.
        lock_timeout: how long to wait for other processes, in seconds, 0 or more.
        task_timeout_hours: after how many hours a task that an agent holds is given to another.
        survives_power_loss: whether each change waits until the disk has it. Without it nothing
            is lost when processes die, only what was last changed when the machine does.
        clock: tells the time in seconds since 1970.

    Raises:
        StoreCorrupt: the file is something else; it is left as it was, and a copy is kept.
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
        self._holds_for_s = task_timeout_hours * _HOUR_S
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

    # ------------------------------------------------------------------ creating

    @property
    def has_schedule(self) -> bool:
        """Whether tasks may have priorities, times before which they don't start, and retries."""
        return self._table.has_schedule

    def create_task(
        self,
        task_type: str,
        data: Mapping[str, JsonValue] | None = None,
        parent_id: str | None = None,
        *,
        priority: int = 0,
        not_before: datetime | None = None,
        max_attempts: int = 1,
    ) -> str:
        """Add a task.

        Args:
            task_type: its type, by which agents choose; not blank, 191 characters at most.
            data: what whoever does it must know; whatever JSON can carry.
            parent_id: the task that it belongs to; a relation only, nothing waits for it.
            priority: more urgent tasks have higher numbers; SQLite only.
            not_before: until then nobody gets it; local time if it names no zone; SQLite only.
            max_attempts: how often it is tried before it counts as failed, 1 to 100; SQLite only.

        Returns:
            Its id, such as "analyze_1f0c77e2".

        Raises:
            InvalidTask: its type is blank or too long, its data is not what JSON can carry, or it
                asks for what a JSON state file has no place for.
            UnknownDependency: there is no such parent.
        """
        entry = new_entry(task_type, data, parent_id)
        schedule = schedule_of(priority, not_before, max_attempts)
        if self._table.has_schedule:
            entry |= schedule
        elif schedule != schedule_of(0, None, 1):
            raise InvalidTask(
                "a JSON state file has no priorities, no times before which a task doesn't start "
                "and no retries; keep the tasks in a SQLite file: state_file='sqlite:///NAME.db'"
            )
        with self._changing() as change:
            if parent_id is not None and self._table.find(parent_id) is None:
                raise UnknownDependency(
                    f"there is no task {parent_id!r} that could be a parent; create it first"
                )
            task_id = self._free_id(task_type)
            self._table.add(task_id, {**entry, "created_at": to_timestamp(change.at)})
            change.tell(What.TASK_ADDED, task_id)
        return task_id

    def _free_id(self, task_type: str) -> str:
        while True:
            task_id = f"{task_type}_{secrets.token_hex(ID_BYTES)}"
            if self._table.find(task_id) is None:
                return task_id

    # ------------------------------------------------------------------ doing

    def get_next_task(self, agent_id: str, task_types: Sequence[str] | None = None) -> Entry | None:
        """Take the next pending task: from now on the agent holds it, and nobody else gets it.

        Tasks that were held for longer than `task_timeout_hours` are pending again before.

        Args:
            agent_id: who takes it; unique among all agents.
            task_types: the types that it can do; None for all.

        Returns:
            The task, with its `id`; None if none waits.

        Raises:
            InvalidInput: the agent's id is blank, or no type is named.
        """
        check_agent(agent_id)
        types = check_types(task_types)
        with self._changing() as change:
            self._release_stale(change)
            task_id = self._table.next_pending(types, change.at)
            if task_id is None:
                return None
            entry = self._find(task_id)
            self._move(task_id, entry, Cause.ASSIGNED)
            entry["locked_by"] = agent_id
            entry["locked_at"] = to_timestamp(change.at)
            self._table.replace(task_id, entry)
            change.tell(What.TASK_ASSIGNED, task_id, agent_id)
        return view(task_id, entry)

    def complete_task(
        self,
        task_id: str,
        agent_id: str,
        status: TaskStatus | str = TaskStatus.COMPLETED,
        result_data: Mapping[str, JsonValue] | None = None,
    ) -> bool:
        """Bring a task to its end, if the agent holds it.

        A failed task that has attempts left is pending again.

        Args:
            task_id: which task.
            agent_id: who did it.
            status: how it ended: completed, failed or cancelled.
            result_data: what came of it, kept as the task's `result_data`.

        Returns:
            Whether it is recorded. If not, the agent does not hold the task: it has never taken
            it, or completed or released it, or held it for too long, or there is no such task.

        Raises:
            InvalidInput: the status is not one to end with, or JSON can't carry the result.
        """
        check_agent(agent_id)
        outcome = check_outcome(status)
        result = None if result_data is None else check_json("result_data", result_data)
        with self._changing() as change:
            entry = self._table.find(task_id)
            if entry is None:
                return False
            if not is_held_by(entry, agent_id):
                change.tell(What.RESULT_IGNORED, task_id, agent_id, describe_holder(task_id, entry))
                return False
            self._settle(change, task_id, entry, outcome)
            if result is not None:
                entry["result_data"] = result
            self._table.replace(task_id, entry)
        return True

    def _settle(self, change: _Change, task_id: str, entry: Entry, outcome: TaskStatus) -> None:
        agent_id = cast("str", entry["locked_by"])
        entry["locked_by"] = entry["locked_at"] = None
        if outcome is TaskStatus.FAILED and self._table.has_schedule:
            failures = cast("int", entry["failures"]) + 1
            left = cast("int", entry["max_attempts"]) - failures
            entry["failures"] = failures
            change.tell(What.ATTEMPT_FAILED, task_id, agent_id)
            if left > 0:
                self._move(task_id, entry, Cause.TO_BE_RETRIED)
                change.tell(What.TASK_REQUEUED, task_id, detail=f"attempts left: {left}")
                return
        cause, what = _OUTCOMES[outcome]
        self._move(task_id, entry, cause)
        entry["completed_at"] = to_timestamp(change.at)
        change.tell(what, task_id, agent_id)

    def release_task(self, task_id: str, agent_id: str) -> None:
        """Give a task back, so that it is pending again, at its former place.

        Args:
            task_id: which task.
            agent_id: who holds it.

        Raises:
            UnknownTask: there is no such task.
            NotTheHolder: another agent holds it.
            IllegalTransition: nobody holds it.
        """
        check_agent(agent_id)
        with self._changing() as change:
            entry = self._find(task_id)
            if not is_held_by(entry, agent_id):
                kind = (
                    NotTheHolder
                    if status_of(entry) is TaskStatus.IN_PROGRESS
                    else IllegalTransition
                )
                raise kind(f"{agent_id!r} can't release a task: {describe_holder(task_id, entry)}")
            self._requeue(change, task_id, entry, Cause.TO_BE_RETRIED, f"released by {agent_id}")

    def _release_stale(self, change: _Change) -> None:
        for task_id in self._table.held_since_before(change.at - self._holds_for_s):
            entry = self._find(task_id)
            detail = (
                f"held for too long: by {entry.get('locked_by')}, since {entry.get('locked_at')}"
            )
            self._requeue(change, task_id, entry, Cause.WORKER_LOST, detail)

    def _requeue(
        self, change: _Change, task_id: str, entry: Entry, cause: Cause, detail: str
    ) -> None:
        holder = entry.get("locked_by")
        self._move(task_id, entry, cause)
        entry["locked_by"] = entry["locked_at"] = None
        self._table.replace(task_id, entry)
        change.tell(What.TASK_REQUEUED, task_id, str(holder or ""), detail)

    @staticmethod
    def _move(task_id: str, entry: Entry, cause: Cause) -> None:
        """Change a task's status as the board's table says."""
        before = status_of(entry)
        after = TRANSITIONS.get((before, cause))
        if after is None:
            raise IllegalTransition(
                f"a task can't be {cause.value} now: {describe_holder(task_id, entry)}"
            )
        entry["status"] = after.value

    # ------------------------------------------------------------------ asking

    def get_task(self, task_id: str) -> Entry:
        """A task, with its `id`, as a copy.

        Raises:
            UnknownTask: there is no such task.
        """
        with self._table.reading():
            return view(task_id, self._find(task_id))

    def get_task_children(self, task_id: str) -> list[Entry]:
        """The tasks that belong to another, in the order of their creation.

        Raises:
            UnknownTask: there is no such task.
        """
        with self._table.reading():
            self._find(task_id)
            return self._views(self._table.children(task_id))

    def get_held_tasks(self, agent_id: str) -> list[Entry]:
        """The tasks that an agent holds; for one that was started again under its old id."""
        check_agent(agent_id)
        with self._table.reading():
            return self._views(self._table.held_by(agent_id))

    def get_status_summary(self) -> StatusSummary:
        """How many tasks there are, of which status and of which type."""
        with self._table.reading():
            tallies = self._table.tallies()
        counts = {each.value: tallies.by_status.get(each.value, 0) for each in TaskStatus}
        return StatusSummary(
            total_tasks=sum(counts.values()),
            status_counts=counts,
            type_counts=dict(tallies.by_type),
        )

    # ------------------------------------------------------------------ the workflow

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

    # ------------------------------------------------------------------ for all of these

    def _find(self, task_id: str) -> Entry:
        entry = self._table.find(task_id)
        if entry is None:
            raise UnknownTask(f"{str(self.state_file)!r} has no task {task_id!r}")
        return entry

    def _views(self, task_ids: list[str]) -> list[Entry]:
        return [view(task_id, self._find(task_id)) for task_id in task_ids]

    @contextlib.contextmanager
    def _changing(self) -> Generator[_Change]:
        with self._table.changing() as at:
            change = _Change(at)
            yield change
        for occurrence in change.told:
            for watcher in self._watchers:
                try:
                    watcher(occurrence)
                except Exception as fault:  # noqa: BLE001 - it is done, whatever a watcher says
                    log.error("a watcher failed", watcher=repr(watcher), exc_info=fault)


class _Change:
    """One change while it is made.

    Args:
        at: when, in seconds since 1970.
    """

    def __init__(self, at: float) -> None:
        self.at = at
        self.told: list[Occurrence] = []

    def tell(self, what: What, task_id: str, worker: str = "", detail: str = "") -> None:
        """Note what happened; it is told when it is written."""
        self.told.append(Occurrence(self.at, what, task_id, worker=worker, detail=detail))
