"""`StateFileTaskManager`: many processes share the tasks in one file and record results in it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast

from pydantic import JsonValue

from ...messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    NotTheHolder,
    TaskStatus,
    UnknownDependency,
)
from ..kernel.board.transitions import TRANSITIONS, Cause
from ..kernel.model.occurrences import OccurrenceKind, RequeueCause, RequeueFacts
from .json_values import to_timestamp
from .queries import StateFileQueries
from .table import TaskEntry, describe_holder, is_held_by, status_of, view
from .validation import (
    ID_BYTES,
    OUTCOMES,
    check_agent,
    check_hours,
    check_json,
    check_outcome,
    check_outcomes,
    check_types,
    new_entry,
    schedule_of,
)
from .workflow import HOUR_S, Change

_OUTCOMES: Mapping[TaskStatus, tuple[Cause, OccurrenceKind]] = {
    TaskStatus.COMPLETED: (Cause.SUCCEEDED, OccurrenceKind.TASK_COMPLETED),
    TaskStatus.FAILED: (Cause.FAILED_FOR_GOOD, OccurrenceKind.TASK_FAILED),
    TaskStatus.CANCELLED: (Cause.CANCELLED, OccurrenceKind.TASK_CANCELLED),
}


class StateFileTaskManager(StateFileQueries):
    """The tasks of one workflow in a file, for any number of agents in any number of processes.

    ```python
    manager = StateFileTaskManager("states/my_workflow.json")
    manager.create_task("analyze", {"file": "data.csv"})
    task = manager.get_next_task("worker-001")
    if task:
        manager.complete_task(task["id"], "worker-001", result_data={"rows": 3})
    ```

    An agent takes a task and holds it until it completes or releases it, or until the timeout.
    Each call is atomic, and its change is in the file when it returns.

    A JSON file gives out pending tasks in their order in the file. A SQLite file can hold millions
    of tasks, with priorities, start times and retries.

    Args:
        state_file: the JSON file, which is created if it does not exist; or "sqlite:///tasks.db"
            for a SQLite file.
        lock_timeout: how long to wait for other processes, in seconds, 0 or more.
        task_timeout_hours: after how many hours a held task is given to another agent.
        survives_power_loss: whether each change waits until the disk has it. If False, nothing is
            lost when a process dies, but the last changes may be lost when the machine does.
        clock: returns the time in seconds since 1970.

    Raises:
        StoreCorrupt: the file is not a state file; it is left unchanged, and a copy is kept.
        StoreBusy: another process held the lock for longer than the timeout.
        StoreUnusable: the file can't be read or created.
        InvalidInput: an argument is out of range.
    """

    # ------------------------------------------------------------------ creating

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
            task_type: its type, by which agents choose tasks; not blank, 191 characters at most.
            data: the input of the task; any values that JSON can carry.
            parent_id: the id of its parent. This is only a relation: no task waits for another.
            priority: its priority; the highest goes first; SQLite only.
            not_before: the earliest start; local time if it has no time zone; SQLite only.
            max_attempts: how many attempts it has before it is failed, 1 to 100; SQLite only.

        Returns:
            Its id, such as "analyze_1f0c77e2".

        Raises:
            InvalidTask: its type is blank or too long, JSON can't carry its data, or it needs an
                option that JSON state files do not support.
            UnknownDependency: no task has the id of the parent.
        """
        entry = new_entry(task_type, data, parent_id)
        schedule = schedule_of(priority, not_before, max_attempts)
        if self._file.has_schedule:
            entry |= schedule
        elif schedule != schedule_of(0, None, 1):
            raise InvalidTask(
                "JSON state files do not support priority, not_before and max_attempts; "
                "keep the tasks in a SQLite file: state_file='sqlite:///NAME.db'"
            )
        with self._changing() as change:
            if parent_id is not None and self._find_if_any(parent_id) is None:
                raise UnknownDependency(f"the parent {parent_id!r} does not exist; create it first")
            task_id = self._free_id(task_type)
            self._tasks.add(task_id, {**entry, "created_at": to_timestamp(change.at)})
            change.note(OccurrenceKind.TASK_ADDED, task_id)
        return task_id

    def _free_id(self, task_type: str) -> str:
        while True:
            task_id = f"{task_type}_{secrets.token_hex(ID_BYTES)}"
            if self._tasks.find(task_id) is None:
                return task_id

    # ------------------------------------------------------------------ working on tasks

    def get_next_task(
        self, agent_id: str, task_types: Sequence[str] | None = None
    ) -> TaskEntry | None:
        """Take the next pending task; the agent then holds it, and no other agent gets it.

        Tasks that were held for longer than `task_timeout_hours` become pending first.

        Args:
            agent_id: the id of the agent; unique among all agents.
            task_types: the types that the agent can do; None for all.

        Returns:
            The task, with its `id`; None if no task is pending.

        Raises:
            InvalidInput: the agent's id is blank, or the list of types is empty.
        """
        check_agent(agent_id)
        types = check_types(task_types)
        with self._changing() as change:
            self._release_stale(change)
            task_id = self._tasks.next_pending(types, change.at)
            if task_id is None:
                return None
            entry = self._find(task_id)
            self._move(task_id, entry, Cause.ASSIGNED)
            entry["locked_by"] = agent_id
            entry["locked_at"] = to_timestamp(change.at)
            self._tasks.replace(task_id, entry)
            change.note(OccurrenceKind.TASK_ASSIGNED, task_id, agent_id)
        return view(task_id, entry)

    def complete_task(
        self,
        task_id: str,
        agent_id: str,
        status: TaskStatus | str = TaskStatus.COMPLETED,
        result_data: Mapping[str, JsonValue] | None = None,
    ) -> bool:
        """Record how a task ended, if the agent holds it.

        A failed task that has attempts left becomes pending again.

        Args:
            task_id: the id of the task.
            agent_id: the id of the agent that worked on it.
            status: how it ended: completed, failed or cancelled.
            result_data: its result, stored as the task's `result_data`.

        Returns:
            Whether it was recorded. False means that the agent does not hold the task: it never
            took it, has completed or released it, or exceeded the timeout; or no task has this id.

        Raises:
            InvalidInput: the status is not final, or JSON can't carry the result.
        """
        check_agent(agent_id)
        outcome = check_outcome(status)
        result = None if result_data is None else check_json("result_data", result_data)
        with self._changing() as change:
            entry = self._find_if_any(task_id)
            if entry is None:
                return False
            if not is_held_by(entry, agent_id):
                change.note(
                    OccurrenceKind.RESULT_IGNORED,
                    task_id,
                    agent_id,
                    describe_holder(task_id, entry),
                )
                return False
            self._settle(change, task_id, entry, outcome)
            if result is not None:
                entry["result_data"] = result
            self._tasks.replace(task_id, entry)
        return True

    def _settle(self, change: Change, task_id: str, entry: TaskEntry, outcome: TaskStatus) -> None:
        agent_id = cast("str", entry["locked_by"])
        entry["locked_by"] = entry["locked_at"] = None
        if outcome is TaskStatus.FAILED and self._file.has_schedule:
            failures = cast("int", entry["failures"]) + 1
            left = cast("int", entry["max_attempts"]) - failures
            entry["failures"] = failures
            change.note(OccurrenceKind.ATTEMPT_FAILED, task_id, agent_id)
            if left > 0:
                self._move(task_id, entry, Cause.TO_BE_RETRIED)
                change.note(
                    OccurrenceKind.TASK_REQUEUED,
                    task_id,
                    facts=RequeueFacts(RequeueCause.RETRY, left),
                )
                return
        cause, what = _OUTCOMES[outcome]
        self._move(task_id, entry, cause)
        entry["completed_at"] = to_timestamp(change.at)
        change.note(what, task_id, agent_id)

    def release_task(self, task_id: str, agent_id: str) -> None:
        """Make a held task pending again; it keeps its position.

        Args:
            task_id: the id of the task.
            agent_id: the agent that holds it.

        Raises:
            UnknownTask: no task has this id.
            NotTheHolder: another agent holds it.
            IllegalTransition: no agent holds it.
        """
        check_agent(agent_id)
        with self._changing() as change:
            entry = self._find_held(task_id, agent_id, "release")
            self._requeue(change, task_id, entry, Cause.TO_BE_RETRIED, f"released by {agent_id}")

    def renew_task(self, task_id: str, agent_id: str) -> None:
        """Restart the timeout of a held task; call it repeatedly during a long task.

        Args:
            task_id: the id of the task.
            agent_id: the agent that holds it.

        Raises:
            UnknownTask: no task has this id.
            NotTheHolder: another agent holds it, since this one exceeded the timeout.
            IllegalTransition: no agent holds it.
        """
        check_agent(agent_id)
        with self._changing() as change:
            entry = self._find_held(task_id, agent_id, "renew")
            entry["locked_at"] = to_timestamp(change.at)
            self._tasks.replace(task_id, entry)
            change.note(
                OccurrenceKind.TASK_PROGRESSED, task_id, agent_id, "the timeout was restarted"
            )

    def _find_held(self, task_id: str, agent_id: str, action: str) -> TaskEntry:
        entry = self._find(task_id)
        if is_held_by(entry, agent_id):
            return entry
        is_anothers = status_of(entry) is TaskStatus.IN_PROGRESS
        kind = NotTheHolder if is_anothers else IllegalTransition
        raise kind(f"{agent_id!r} can't {action} a task: {describe_holder(task_id, entry)}")

    def _release_stale(self, change: Change) -> None:
        for task_id in self._tasks.held_since_before(change.at - self._holds_for_s):
            entry = self._find(task_id)
            detail = (
                f"held for too long: by {entry.get('locked_by')}, since {entry.get('locked_at')}"
            )
            self._requeue(change, task_id, entry, Cause.WORKER_LOST, detail)

    # ------------------------------------------------------------------ administration

    def cancel_task(self, task_id: str, reason: str = "") -> None:
        """Cancel a pending task.

        A task that an agent holds can't be cancelled; its agent can complete it as cancelled.

        Args:
            task_id: the id of the task.
            reason: why, for people; stored as the `error` in the task's `result_data`.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: the task is not pending.
            InvalidInput: the reason is not text, or JSON can't carry it.
        """
        if not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(f"reason is {reason!r}; it must be text")
        result = check_json("result_data", {"error": reason}) if reason else None
        with self._changing() as change:
            entry = self._find(task_id)
            if status_of(entry) is not TaskStatus.PENDING:
                raise IllegalTransition(
                    f"only a pending task can be cancelled: {describe_holder(task_id, entry)}"
                )
            self._move(task_id, entry, Cause.CANCELLED)
            entry["completed_at"] = to_timestamp(change.at)
            if result is not None:
                entry["result_data"] = result
            self._tasks.replace(task_id, entry)
            change.note(OccurrenceKind.TASK_CANCELLED, task_id, facts=reason or None)

    def retry_task(self, task_id: str) -> None:
        """Make a failed task pending again; it keeps its position.

        Its `result_data` stays until there is a new one. In a SQLite file it has all its attempts
        again.

        Args:
            task_id: the id of the task.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: the task has not failed.
        """
        with self._changing() as change:
            entry = self._find(task_id)
            # The board's table lacks this transition: there, a retry is a new task.
            if status_of(entry) is not TaskStatus.FAILED:
                raise IllegalTransition(
                    f"only a failed task can be retried: {describe_holder(task_id, entry)}"
                )
            entry["status"] = TaskStatus.PENDING.value
            entry["completed_at"] = entry["locked_by"] = entry["locked_at"] = None
            if self._file.has_schedule:
                entry["failures"] = 0
            self._tasks.replace(task_id, entry)
            change.note(OccurrenceKind.TASK_REQUEUED, task_id, facts="to be retried")

    def purge_tasks(
        self, older_than_hours: float, statuses: Collection[TaskStatus | str] = OUTCOMES
    ) -> int:
        """Remove tasks permanently that were settled long ago.

        The parent of a task that stays is kept too.

        Args:
            older_than_hours: how long ago they were settled, in hours, 0 or more. A task without a
                time of completion counts as settled when it was created, and is kept if that is
                unknown too.
            statuses: the statuses to remove: completed, failed or cancelled.

        Returns:
            How many tasks were removed.

        Raises:
            InvalidInput: the hours are out of range, or a status is not final.
        """
        check_hours("older_than_hours", older_than_hours)
        settled = check_outcomes(statuses)
        with self._changing() as change:
            before = change.at - older_than_hours * HOUR_S
            old = dict.fromkeys(self._tasks.settled_before(before, settled))
            families = self._tasks.families() if old else []
            while kept := {parent for child, parent in families if child not in old} & old.keys():
                for task_id in kept:
                    del old[task_id]
            if old:
                self._tasks.remove(old.keys())
            for task_id in old:
                change.note(OccurrenceKind.TASK_FORGOTTEN, task_id)
        return len(old)

    # ------------------------------------------------------------------ shared by the calls above

    def _requeue(
        self, change: Change, task_id: str, entry: TaskEntry, cause: Cause, detail: str
    ) -> None:
        holder = entry.get("locked_by")
        self._move(task_id, entry, cause)
        entry["locked_by"] = entry["locked_at"] = None
        self._tasks.replace(task_id, entry)
        change.note(OccurrenceKind.TASK_REQUEUED, task_id, str(holder or ""), detail)

    @staticmethod
    def _move(task_id: str, entry: TaskEntry, cause: Cause) -> None:
        """Change a task's status by the board's table of transitions."""
        before = status_of(entry)
        after = TRANSITIONS.get((before, cause))
        if after is None:
            raise IllegalTransition(
                f"a task can't be {cause.value} now: {describe_holder(task_id, entry)}"
            )
        entry["status"] = after.value
