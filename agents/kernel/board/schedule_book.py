"""The schedules of a board: each due time has its tasks once, whatever happens to the manager."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from ....messages import TaskId, TaskStatus
from ..model.events import CancelRequested, ScheduleCameDue, ScheduleDeclared, ScheduleRemoved
from ..model.records import TaskRecord
from ..model.schedules import ScheduleRecord, parse_scheduled_id
from .task_lifecycle import TaskLifecycle


class ScheduleBook:
    """Keeps the state of schedules, and adds the tasks that they make."""

    def __init__(self, tasks: Mapping[TaskId, TaskRecord]) -> None:
        self._tasks = tasks
        self.by_name: dict[str, ScheduleRecord] = {}
        self._changed: dict[str, None] = {}

    @property
    def is_active(self) -> bool:
        """Whether a schedule may still make tasks."""
        return any(each.is_active for each in self.by_name.values())

    # ------------------------------------------------------------------ events

    def declare(self, event: ScheduleDeclared) -> None:
        """Make a schedule active; a known one continues where it was."""
        name, terms, at = event.name, event.terms, event.at
        record = self.by_name.get(name)
        # Whole seconds make better ids.
        anchor = float(floor(at))
        if record is None:
            record = self.by_name[name] = ScheduleRecord(name, terms, anchor, at)
        elif record.terms.cadence != terms.cadence:
            # The new due times count from now on; none is made that was made before.
            record.anchor, record.through = anchor, max(record.through, at)
        record.terms = terms
        record.is_active = True
        self._changed[name] = None

    def remove(self, event: ScheduleRemoved) -> None:
        """Forget a schedule; its tasks stay."""
        if self.by_name.pop(event.name, None) is not None:
            self._changed[event.name] = None

    def come_due(self, event: ScheduleCameDue, lifecycle: TaskLifecycle) -> None:
        """Add the tasks of a due time, unless the due time is over already.

        Raises:
            InvalidTask: a task can't be added; then nothing changes.
        """
        record = self.by_name.get(event.name)
        if record is None or event.due <= record.through:
            return
        if event.tasks:
            # A task that has this id, and may have other content, is the one of this due time.
            pairs = [
                pair
                for pair in zip(event.tasks, event.packed, strict=True)
                if pair[0].id not in self._tasks
            ]
            lifecycle.add([task for task, _ in pairs], [packed for _, packed in pairs])
            if record.terms.overlap == "cancel":
                reason = f"the schedule {record.name!r} came due again"
                # Those that depend on a cancelled one are cancelled with it.
                while unsettled := self.unsettled_tasks(record):
                    lifecycle.cancel(CancelRequested(unsettled[0], reason))
            record.last_due = event.due
            record.last_tasks = tuple(task.id for task in event.tasks)
            record.last_outcome = ""
            record.made += 1
        record.through = event.due
        record.missed += event.missed
        record.skipped += event.skipped
        if event.failure:
            record.failed += 1
            record.failure = event.failure
        self._changed[record.name] = None

    # ------------------------------------------------------------------ questions

    def unsettled_tasks(self, record: ScheduleRecord) -> list[TaskId]:
        """The tasks of a schedule's last due time that are not settled."""
        known = (self._tasks.get(task_id) for task_id in record.last_tasks)
        return [each.task_id for each in known if each is not None and not each.status.is_final]

    def note_outcome(self, record: ScheduleRecord) -> None:
        """Remember how the tasks of the last due time ended, once all of them are settled."""
        known = [self._tasks[each] for each in record.last_tasks if each in self._tasks]
        statuses = {each.status for each in known}
        if not known or not all(status.is_final for status in statuses):
            return
        worst = (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.COMPLETED)
        record.last_outcome = next(each.value for each in worst if each in statuses)
        self._changed[record.name] = None

    def describe_origin(self, task_id: TaskId) -> str:
        """Which schedule made a task, and for which due time; "" for other tasks."""
        if not self.by_name:
            return ""
        found = parse_scheduled_id(task_id)
        if found is None or found[0] not in self.by_name:
            return ""
        return f"the schedule {found[0]!r} made it for {found[1]}"

    def take_changed(self) -> list[str]:
        """The names of the schedules that have changed, or are gone, since the last call."""
        if not self._changed:
            return []
        changed, self._changed = list(self._changed), {}
        return changed
