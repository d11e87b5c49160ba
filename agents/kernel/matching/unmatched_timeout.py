"""The timeout after which a task fails that no connected worker can run."""

from __future__ import annotations

import math
from collections import deque

from ....messages import TaskId
from .ready_queue import QueueEntry, TaskGroup


class UnmatchedTimeout:
    """The timeouts of tasks that no connected worker can run.

    The timeout is the same for all tasks, so they are due in the order in which they began to wait.

    Args:
        after_s: the timeout in seconds; None waits without limit.
    """

    def __init__(self, after_s: float | None) -> None:
        self.lasts_s = math.inf if after_s is None else after_s
        # Bounded by the tasks, and by the workers that join and leave while one waits.
        self._is_suspended = False
        self._not_before = -math.inf
        self._begun: deque[tuple[float, TaskGroup | QueueEntry]] = deque()

    def suspend(self) -> None:
        """Let no timeout end until `resume`."""
        self._is_suspended = True

    def resume(self, now: float) -> None:
        """Let timeouts end again, none of them before a whole timeout has passed."""
        self._is_suspended = False
        self._not_before = now + self.lasts_s

    def ends_at(self, since: float) -> float:
        """When the timeout of a task ends that began at `since`, in seconds."""
        return math.inf if self._is_suspended else max(since + self.lasts_s, self._not_before)

    def begin(self, now: float, waiting: TaskGroup | QueueEntry) -> None:
        """Start the timeout of a task, or of all tasks that wait in a group."""
        if self.lasts_s < math.inf:
            self._begun.append((now, waiting))

    def due_at(self) -> float | None:
        """When the next timeout is due, in seconds; None if there is none."""
        if self._is_suspended:
            return None
        while self._begun and self.lasts_s < math.inf:
            since, waiting = self._begun[0]
            if _still_waits(since, waiting):
                return self.ends_at(since)
            self._begun.popleft()
        return None

    def take(self, now: float) -> list[QueueEntry]:
        """Remove the timeouts that are due. Returns their entries in the order of adding."""
        due: dict[TaskId, QueueEntry] = {}
        while (due_at := self.due_at()) is not None and due_at <= now:
            since, waiting = self._begun.popleft()
            entries = (waiting,) if isinstance(waiting, QueueEntry) else waiting.current_entries()
            due.update((entry.record.task_id, entry) for entry in entries if entry.since <= since)
        return sorted(due.values(), key=lambda entry: (entry.sequence, entry.stamp))


def _still_waits(since: float, waiting: TaskGroup | QueueEntry) -> bool:
    if isinstance(waiting, QueueEntry):
        unmatched_since = waiting.group.unmatched_since
        # A later timeout of the whole group replaces this one.
        is_current = unmatched_since is not None and unmatched_since <= since
        entry = waiting.record.queue_entry
        # Its urgency may have changed since, by the turns of keys.
        still_waits = isinstance(entry, QueueEntry) and entry.stamp == waiting.stamp
        return is_current and still_waits
    return waiting.unmatched_since == since and waiting.count > 0
