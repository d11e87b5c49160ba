"""`StateFileTaskManager`: tasks in one file, which many processes take from and bring back to."""

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
from .queries import StateFileQueries
from .table import Entry
from .task_entry import describe_holder, is_held_by, status_of, view
from .timestamps import to_timestamp
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
            if parent_id is not None and self._find_if_any(parent_id) is None:
                raise UnknownDependency(
                    f"there is no task {parent_id!r} that could be a parent; create it first"
                )
            task_id = self._free_id(task_type)
            self._table.add(task_id, {**entry, "created_at": to_timestamp(change.at)})
            change.tell(OccurrenceKind.TASK_ADDED, task_id)
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
            change.tell(OccurrenceKind.TASK_ASSIGNED, task_id, agent_id)
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
            entry = self._find_if_any(task_id)
            if entry is None:
                return False
            if not is_held_by(entry, agent_id):
                change.tell(
                    OccurrenceKind.RESULT_IGNORED,
                    task_id,
                    agent_id,
                    describe_holder(task_id, entry),
                )
                return False
            self._settle(change, task_id, entry, outcome)
            if result is not None:
                entry["result_data"] = result
            self._table.replace(task_id, entry)
        return True

    def _settle(self, change: Change, task_id: str, entry: Entry, outcome: TaskStatus) -> None:
        agent_id = cast("str", entry["locked_by"])
        entry["locked_by"] = entry["locked_at"] = None
        if outcome is TaskStatus.FAILED and self._table.has_schedule:
            failures = cast("int", entry["failures"]) + 1
            left = cast("int", entry["max_attempts"]) - failures
            entry["failures"] = failures
            change.tell(OccurrenceKind.ATTEMPT_FAILED, task_id, agent_id)
            if left > 0:
                self._move(task_id, entry, Cause.TO_BE_RETRIED)
                change.tell(
                    OccurrenceKind.TASK_REQUEUED,
                    task_id,
                    facts=RequeueFacts(RequeueCause.RETRY, left),
                )
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
            entry = self._find_held(task_id, agent_id, "release")
            self._requeue(change, task_id, entry, Cause.TO_BE_RETRIED, f"released by {agent_id}")

    def renew_task(self, task_id: str, agent_id: str) -> None:
        """Hold a task for `task_timeout_hours` from now on; for long ones, again and again.

        Args:
            task_id: which task.
            agent_id: who holds it.

        Raises:
            UnknownTask: there is no such task.
            NotTheHolder: another agent holds it, for this one has had it for too long.
            IllegalTransition: nobody holds it.
        """
        check_agent(agent_id)
        with self._changing() as change:
            entry = self._find_held(task_id, agent_id, "renew its hold of")
            entry["locked_at"] = to_timestamp(change.at)
            self._table.replace(task_id, entry)
            change.tell(OccurrenceKind.TASK_PROGRESSED, task_id, agent_id, "its hold was renewed")

    def _find_held(self, task_id: str, agent_id: str, doing: str) -> Entry:
        entry = self._find(task_id)
        if is_held_by(entry, agent_id):
            return entry
        is_anothers = status_of(entry) is TaskStatus.IN_PROGRESS
        kind = NotTheHolder if is_anothers else IllegalTransition
        raise kind(f"{agent_id!r} can't {doing} a task: {describe_holder(task_id, entry)}")

    def _release_stale(self, change: Change) -> None:
        for task_id in self._table.held_since_before(change.at - self._holds_for_s):
            entry = self._find(task_id)
            detail = (
                f"held for too long: by {entry.get('locked_by')}, since {entry.get('locked_at')}"
            )
            self._requeue(change, task_id, entry, Cause.WORKER_LOST, detail)

    # ------------------------------------------------------------------ looking after them

    def cancel_task(self, task_id: str, reason: str = "") -> None:
        """Cancel a task that waits, so that nobody gets it.

        One that an agent holds is that agent's: it can complete it as cancelled.

        Args:
            task_id: which task.
            reason: why, for people; kept as the `error` in the task's `result_data`.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: it does not wait.
            InvalidInput: the reason is no text, or JSON can't carry it.
        """
        if not isinstance(reason, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInput(f"reason is {reason!r}; it must be text")
        result = check_json("result_data", {"error": reason}) if reason else None
        with self._changing() as change:
            entry = self._find(task_id)
            if status_of(entry) is not TaskStatus.PENDING:
                raise IllegalTransition(
                    f"only a task that waits can be cancelled: {describe_holder(task_id, entry)}"
                )
            self._move(task_id, entry, Cause.CANCELLED)
            entry["completed_at"] = to_timestamp(change.at)
            if result is not None:
                entry["result_data"] = result
            self._table.replace(task_id, entry)
            change.tell(OccurrenceKind.TASK_CANCELLED, task_id, facts=reason or None)

    def retry_task(self, task_id: str) -> None:
        """Have a failed task tried again: it is pending, at its former place.

        Its `result_data` stays until there is another. In a SQLite file it has all its attempts
        again.

        Args:
            task_id: which task.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: it has not failed.
        """
        with self._changing() as change:
            entry = self._find(task_id)
            # The one change of a status that the board's table lacks: there, a new task is added.
            if status_of(entry) is not TaskStatus.FAILED:
                raise IllegalTransition(
                    "only a task that has failed can be tried again: "
                    f"{describe_holder(task_id, entry)}"
                )
            entry["status"] = TaskStatus.PENDING.value
            entry["completed_at"] = entry["locked_by"] = entry["locked_at"] = None
            if self._table.has_schedule:
                entry["failures"] = 0
            self._table.replace(task_id, entry)
            change.tell(OccurrenceKind.TASK_REQUEUED, task_id, facts="to be tried again")

    def purge_tasks(
        self, older_than_hours: float, statuses: Collection[TaskStatus | str] = OUTCOMES
    ) -> int:
        """Remove tasks that have been settled for so long, for good.

        One to which a task belongs that stays, stays too.

        Args:
            older_than_hours: how long they must have been settled, in hours, 0 or more. What does
                not tell since when is as old as its creation, and stays if it doesn't tell that.
            statuses: which are removed: completed, failed or cancelled ones.

        Returns:
            How many were removed.

        Raises:
            InvalidInput: the hours are out of range, or a status is not a settled one.
        """
        check_hours("older_than_hours", older_than_hours)
        settled = check_outcomes(statuses)
        with self._changing() as change:
            before = change.at - older_than_hours * HOUR_S
            gone = dict.fromkeys(self._table.settled_before(before, settled))
            families = self._table.families() if gone else []
            while kept := {parent for child, parent in families if child not in gone} & gone.keys():
                for task_id in kept:
                    del gone[task_id]
            if gone:
                self._table.remove(gone.keys())
            for task_id in gone:
                change.tell(OccurrenceKind.TASK_FORGOTTEN, task_id)
        return len(gone)

    # ------------------------------------------------------------------ for all of these

    def _requeue(
        self, change: Change, task_id: str, entry: Entry, cause: Cause, detail: str
    ) -> None:
        holder = entry.get("locked_by")
        self._move(task_id, entry, cause)
        entry["locked_by"] = entry["locked_at"] = None
        self._table.replace(task_id, entry)
        change.tell(OccurrenceKind.TASK_REQUEUED, task_id, str(holder or ""), detail)

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
