"""The tasks of a board, with their results and counts; only this module changes a status."""

from __future__ import annotations

from collections import OrderedDict, deque

from ....messages import (
    IllegalTransition,
    ResultForgotten,
    TaskId,
    TaskResult,
    TaskStatus,
    UnknownTask,
)
from ..model.records import TaskRecord
from ..model.story_text import describe_story
from .context import BoardContext
from .transitions import TRANSITIONS, Cause

_FINAL = frozenset(status for status in TaskStatus if status.is_final)
_LONG_NUMBER = 20

MAX_FORGOTTEN_IDS = 10_000
"""Of how many forgotten tasks, the latest ones, the manager still knows that it forgot them."""


class TaskRegistry:
    """The tasks of a board."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        # These two contain every task of the run until it is forgotten: reports list all tasks.
        self.by_id: dict[TaskId, TaskRecord] = {}
        self.results: dict[TaskId, TaskResult] = {}
        self.counts = dict.fromkeys(TaskStatus, 0)
        """The number of tasks by status."""
        self.unsettled = 0
        """The number of tasks that are pending or in progress."""
        self.held: dict[TaskId, None] = {}
        """The pending tasks that the manager's custom `assign_tasks` has not handed out yet."""
        self.delayed: dict[TaskId, TaskRecord] = {}
        """The tasks that wait until a time."""
        self.ignored: dict[str, int] = {}
        """The number of ignored results, by reason."""
        self.next_sequence = 0
        self.settled: deque[tuple[float, TaskRecord]] | None = None
        """When tasks were settled, the oldest first; None if all are kept."""
        self.forgotten = dict.fromkeys(TaskStatus, 0)
        """The number of forgotten tasks by status."""
        # The latest ones, with when and why they were forgotten. After many removals, finding the
        # first key of a plain dict takes long.
        self._forgotten_ids: OrderedDict[TaskId, tuple[float, str]] = OrderedDict()

    def list_settled(self) -> None:
        """List when tasks were settled, from now on."""
        ended = [each for each in self.by_id.values() if each.finished_at is not None]
        ended.sort(key=lambda record: record.finished_at or 0.0)
        self.settled = deque((record.finished_at or 0.0, record) for record in ended)

    def find(self, task_id: TaskId) -> TaskRecord:
        """The record of a task.

        Raises:
            UnknownTask: no task has this id.
            ResultForgotten: a task had this id, and was forgotten.
        """
        record = self.by_id.get(task_id)
        if record is None:
            if task_id in self._forgotten_ids:
                at, why = self._forgotten_ids[task_id]
                ago_s = max(self._context.now - at, 0.0)
                reason = f"; {why}" if why else ""
                raise ResultForgotten(
                    f"no task has the id {task_id!r} any more: it was forgotten {in_words(ago_s)} "
                    f"ago{reason}"
                )
            other: TaskId = str(task_id)
            if isinstance(task_id, str) and task_id.isdecimal() and len(task_id) < _LONG_NUMBER:
                other = int(task_id)
            hint = f"; there is one with the id {other!r}" if other in self.by_id else ""
            raise UnknownTask(f"no task has the id {task_id!r}{hint}")
        return record

    def restore(self, record: TaskRecord) -> None:
        """Update the counts for a restored task, whose record is already in `by_id`."""
        self.counts[record.status] += 1
        self.unsettled += not record.status.is_final
        self.next_sequence = max(self.next_sequence, record.sequence + 1)

    def forget(self, record: TaskRecord, why: str) -> None:
        """Remove a settled task, and its result."""
        del self.by_id[record.task_id]
        self.results.pop(record.task_id, None)
        self.counts[record.status] -= 1
        self.forgotten[record.status] += 1
        self._forgotten_ids[record.task_id] = self._context.now, why
        if len(self._forgotten_ids) > MAX_FORGOTTEN_IDS:
            self._forgotten_ids.popitem(last=False)
        parent_id = record.task.parent_id
        parent = None if parent_id is None else self.by_id.get(parent_id)
        if parent is not None and parent.children is not None:
            parent.children.pop(record.task_id, None)

    def clear(self) -> None:
        """Remove all tasks."""
        self.by_id.clear()
        self.results.clear()
        self.held.clear()
        self.delayed.clear()
        self.ignored.clear()
        self.counts.update(dict.fromkeys(TaskStatus, 0))
        self.unsettled = 0
        self.next_sequence = 0

    def delay(self, record: TaskRecord, until: float, reason: str) -> None:
        """Note that an unsettled task waits until a time, in seconds of the board's time."""
        record.wait_until, record.wait_reason = until, reason
        self.delayed[record.task_id] = record

    def end_delay(self, record: TaskRecord) -> None:
        """Note that no time holds a task back any more."""
        record.wait_until, record.wait_reason = None, ""
        del self.delayed[record.task_id]

    def count_ignored(self, reason: str) -> None:
        """Count an ignored result."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def transition(self, record: TaskRecord, cause: Cause) -> None:
        """Change a task's status according to `TRANSITIONS`.

        Raises:
            IllegalTransition: the table has no such transition.
        """
        before = record.status
        after = TRANSITIONS.get((before, cause))
        if after is None:
            raise IllegalTransition(
                f"task {record.task_id!r} is {before.value}, so it can't be {cause.value}; "
                f"its story: {describe_story(record)}"
            )
        record.status = after
        if self.held:
            self.held.pop(record.task_id, None)
        counts = self.counts
        counts[before] -= 1
        counts[after] += 1
        if before in _FINAL:
            record.finished_at = None
            self.unsettled += 1
        elif after in _FINAL:
            record.finished_at = self._context.now
            self.unsettled -= 1
            if self.settled is not None:
                self.settled.append((self._context.now, record))
            if record.wait_until is not None:
                self.end_delay(record)
            for attempt in record.attempts:
                attempt.result = None


def in_words(seconds: float) -> str:
    """A duration in the unit that suits it, such as "24 h" or "3 days"."""
    for unit, unit_s in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        # "48 h" says more than "2 days" to whoever wrote 172,800.
        if seconds >= unit_s * (3 if unit == "days" else 1):
            return f"{seconds / unit_s:.4g} {unit}"
    return f"{seconds:.3g} s"
