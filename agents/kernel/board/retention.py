"""Forgets settled tasks: when the user asks, and in a service after a while.

A service that never forgot would need more memory every day. So it keeps results for a time, and at
most so many. It also keeps a task as long as a kept task depends on it or is its child, and a child
as long as its parent is not settled.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....messages import TaskId
from ..model.events import TasksForgotten
from ..model.occurrences import OccurrenceKind
from ..model.records import TaskRecord
from .context import BoardContext
from .retention_end import RetentionEnd
from .spending import Spending
from .task_checks import find_forgettable, is_stopping, named_tasks
from .task_registry import TaskRegistry, in_words
from .timer_kinds import BoardTimers

MOST_AHEAD = 500
"""How many more results than `keep_results` are kept at most: they are forgotten together."""


class Retention:
    """Forgets settled tasks."""

    def __init__(
        self,
        context: BoardContext,
        tasks: TaskRegistry,
        spending: Spending,
        timers: BoardTimers,
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._queue = context.queue
        self._spending = spending
        self._timers = timers
        self._end = RetentionEnd()
        # Those whose time is over, but which kept tasks depend on, or are children of.
        self._named: dict[TaskId, TaskRecord] = {}
        # Those whose time is over, by the parent that is not settled.
        self._children: dict[TaskId, list[TaskRecord]] = {}

    def forget(self, event: TasksForgotten) -> None:
        """Forget settled tasks, all of them or none."""
        self._forget(find_forgettable(event.task_ids, self._tasks.by_id), "")

    def _is_due(self) -> bool:
        """Whether results have been kept for long enough, or there are too many."""
        settled, rules = self._tasks.settled, self._context.rules
        if not settled:
            return False
        most = rules.keep_results
        if most is not None and len(settled) > most + min(most // 10, MOST_AHEAD):
            return True
        if rules.keep_results_s is None:
            return False
        at = settled[0][0] + rules.keep_results_s
        if at <= self._context.now:
            return True
        if self._end.at is None:
            self._end.at = at
            self._timers.set(self._end)
        return False

    def forget_due(self) -> None:
        """Forget the oldest results: those whose time is over, and those that are too many."""
        if self._is_due():
            self._forget_oldest()
            # Sets the timer for the next time.
            self._is_due()

    def _forget_oldest(self) -> None:
        settled, rules = self._tasks.settled, self._context.rules
        assert settled is not None
        keep_s, most = rules.keep_results_s, rules.keep_results
        # Each is looked at once, because those that must stay for now go to the end.
        for _ in range(len(settled)):
            if keep_s is not None and settled[0][0] + keep_s <= self._context.now:
                why = f"its result was kept for {in_words(keep_s)}"
            elif most is not None and len(settled) > most:
                why = f"the latest {most:,} results are kept"
            else:
                return
            self._release(settled.popleft(), why)

    def describe(self) -> str:
        """How long results are kept, such as "results are kept for 24 h"; "" if for ever."""
        rules = self._context.rules
        if self._tasks.settled is None:
            return ""
        kept: list[str] = []
        if rules.keep_results_s is not None:
            kept.append(f"for {in_words(rules.keep_results_s)}")
        if rules.keep_results is not None:
            kept.append(f"as long as they are among the latest {rules.keep_results:,}")
        return f"results are kept {' and '.join(kept)}" if kept else ""

    def _release(self, entry: tuple[float, TaskRecord], why: str) -> None:
        """Forget a task, and those that were kept only for it, unless it is still needed."""
        since, record = entry
        if record.finished_at is None or record.finished_at > since:
            # It was tried again; once it is settled again, it has a later entry.
            return
        to_look_at = [record]
        while to_look_at:
            each = to_look_at.pop()
            if self._tasks.by_id.get(each.task_id) is not each or each.finished_at is None:
                continue
            # They had to wait until it was settled, which it is now.
            children = self._children.pop(each.task_id, [])
            if children:
                to_look_at += [each, *children]
            elif not self._keeps(each):
                to_look_at += self._forget([each], why)

    def _keeps(self, record: TaskRecord) -> bool:
        """Whether a task must be kept for now; then it will be looked at again."""
        parent_id = record.task.parent_id
        parent = None if parent_id is None else self._tasks.by_id.get(parent_id)
        if parent is not None and parent.finished_at is None:
            self._children.setdefault(parent.task_id, []).append(record)
            return True
        if record.named_by:
            self._named[record.task_id] = record
            return True
        if is_stopping(record):
            settled = self._tasks.settled
            assert settled is not None
            settled.append((self._context.now, record))
            return True
        return False

    def _forget(self, records: Sequence[TaskRecord], why: str) -> list[TaskRecord]:
        """Forget tasks. Returns those that had been kept only for them."""
        by_id = self._tasks.by_id
        if self._queue.limiter is not None:
            self._context.forgotten_begins.note(records, self._queue.limiter, self._context.now)
        for record in records:
            self._tasks.forget(record, why)
            self._queue.forget(record.task_id)
            self._spending.forget(record)
            self._context.note_task(OccurrenceKind.TASK_FORGOTTEN, record)
        freed: list[TaskRecord] = []
        for record in records:
            freed += self._children.pop(record.task_id, ())
            for task_id in named_tasks(record.task):
                needed = by_id.get(task_id)
                if needed is None:
                    continue
                needed.named_by -= 1
                if not needed.named_by and task_id in self._named:
                    freed.append(self._named.pop(task_id))
        return freed
