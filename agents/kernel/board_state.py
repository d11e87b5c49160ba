"""What a board holds, and what can be seen of it from outside: nothing here changes anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...messages import TaskId, TaskResult, TaskStatus, UnknownTask
from .ahead import Ahead, TakingBack
from .alarms import Alarms
from .attendance import Attendance
from .dependencies import named_tasks
from .events import Occurrence
from .explanation import Explanation, describe_dependencies, explain_decision, explain_wait
from .invariants import check_invariants
from .matching import POLICIES, MatchingPolicy, describe_shortfall, find_obstacle
from .members import Absence, Challenge, Members, Quarantine, Roll, Silence
from .records import Attempt, Rules, Snapshot, TaskRecord, WorkerRecord
from .standing import Standing
from .task_queue import TaskQueue

_LONG_NUMBER = 20


class BoardState:
    """The state of a `Board`, to be read.

    Args:
        rules: what the board goes by.
        policy: who gets which task; `best_fit` by default.
    """

    def __init__(self, rules: Rules | None = None, policy: MatchingPolicy | None = None) -> None:
        self.rules = rules or Rules()
        self.queue = TaskQueue(
            policy or POLICIES["best_fit"], self.rules.unmatched_after_s, self.rules.prefetch_s
        )
        self.ahead = Ahead(self.rules, self.queue)
        self.members = Members(self.rules)
        self.roll = Roll(self.rules)
        self.alarms: Alarms[
            Attempt | Silence | Absence | Challenge | Quarantine | TakingBack | Roll
        ] = Alarms()
        self.attendance = Attendance(
            self.members, self.roll, self.queue, self.alarms, self.rules.max_workers
        )
        self.standing = Standing(self.rules, self.members, self.queue, self.alarms)
        # Both hold every task of the run until it is forgotten: a report tells of all of them.
        self._tasks: dict[TaskId, TaskRecord] = {}
        self._results: dict[TaskId, TaskResult] = {}
        self._next_sequence = 0
        self._counts = dict.fromkeys(TaskStatus, 0)
        self._unsettled = 0
        self._ignored: dict[str, int] = {}
        self._now = 0.0
        self._restored_ids: set[TaskId] = set()
        self.is_suspended = False
        self._policy_before = ""
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self.failure: str | None = None

    def restore(self, snapshot: Snapshot, now: float) -> None:
        """Take over a run as it stood, on a board that has none yet; it stands still at first.

        Args:
            snapshot: the run.
            now: the time in seconds.
        """
        self._now = now
        self.is_suspended = True
        self._policy_before = snapshot.policy
        self.began_at = snapshot.began_at
        self.ended_at = snapshot.ended_at
        self.failure = snapshot.failure
        self.roll.is_called = snapshot.began_at is not None
        self._ignored.update(snapshot.ignored)
        self._tasks.update((record.task_id, record) for record in snapshot.tasks)
        self._restored_ids.update(self._tasks)
        for worker in snapshot.workers:
            silence = self.members.restore(worker)
            if silence is not None:
                self.alarms.set(silence)
            self.alarms.set(Quarantine(worker))
        for record in snapshot.tasks:
            self._counts[record.status] += 1
            self._unsettled += not record.status.is_final
            self._next_sequence = max(self._next_sequence, record.sequence + 1)
            self._link_restored(record)
            if record.status is TaskStatus.PENDING and not record.unfinished:
                self.queue.push(record, now)
            elif record.status is TaskStatus.IN_PROGRESS:
                if self.ahead.restore(record.attempts[-1], now):
                    self.alarms.set(self.ahead.looking)
                self.alarms.set(record.attempts[-1])
        for worker in self.members.present.values():
            self.queue.admit(worker)
        recorded = [record for record in snapshot.tasks if record.result is not None]
        recorded.sort(key=lambda record: record.finished_at or 0.0)
        self._results.update(
            (record.task_id, record.result) for record in recorded if record.result is not None
        )

    def _link_restored(self, record: TaskRecord) -> None:
        for task_id in named_tasks(record.task):
            self._tasks[task_id].named_by += 1
        for task_id in dict.fromkeys(record.task.depends_on):
            needed = self._tasks[task_id]
            if needed.status is TaskStatus.COMPLETED:
                continue
            record.unfinished += 1
            if needed.dependents is None:
                needed.dependents = []
            needed.dependents.append(record)

    def next_alarm(self) -> float | None:
        """When `TimePassed` is to be handled unless something else is before; None if never."""
        alarm, patience = self.alarms.next_at(), self.queue.patience.due_at()
        if alarm is None or (patience is not None and patience < alarm):
            return patience
        return alarm

    @property
    def tasks(self) -> Mapping[TaskId, TaskRecord]:
        """All tasks by id, in the order of their adding; without those that were forgotten."""
        return self._tasks

    @property
    def workers(self) -> Mapping[str, WorkerRecord]:
        """The workers by name, in the order in which they first came; the latest lost ones too."""
        return self.members.by_name

    @property
    def counts(self) -> Mapping[TaskStatus, int]:
        """How many tasks there are of each status."""
        return self._counts

    @property
    def results(self) -> Sequence[TaskResult]:
        """The recorded results, in the order of their recording; one a task at most."""
        return tuple(self._results.values())

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many results did not count, by reason."""
        return self._ignored

    @property
    def policy_name(self) -> str:
        """What the matching policy is called; of a run that stands still, what it was called."""
        return (self.is_suspended and self._policy_before) or self.queue.policy.name

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.ended_at is not None

    def story(self, task_id: TaskId) -> tuple[Occurrence, ...]:
        """What happened to a task, the oldest first; the latest 64 occurrences.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.find(task_id).story

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task stands where it stands: who was considered for it, or what it waits for.

        Raises:
            UnknownTask: no task has this id.
        """
        record, policy = self.find(task_id), self.policy_name
        if record.status is not TaskStatus.PENDING:
            return explain_decision(record, policy)
        place = record.place
        if place is None:
            needed = [self._tasks[each] for each in dict.fromkeys(record.task.depends_on)]
            unfinished = [each for each in needed if each.status is not TaskStatus.COMPLETED]
            return explain_wait(record, policy, describe_dependencies(unfinished))
        if self.failure is not None:
            return explain_wait(record, policy, f"was never assigned: {self.failure}")
        if self.has_ended:
            return explain_wait(record, policy, "waits no more: the run was stopped")
        workers = self.queue.workers
        if self.began_at is None:
            awaited = "" if self.roll.is_called else f": {self.roll.progress(self.members)}"
            headline = f"waits for the assigning to begin{awaited}"
        elif not workers:
            headline = "waits for a worker: none is connected"
        elif (gives_up_at := self.queue.gives_up_at(place)) is not None:
            shortfall = describe_shortfall(self.queue.policy, record.task, workers)
            headline = f"waits for somebody who can do it: {shortfall}"
            if gives_up_at < math.inf:
                headline += f"; it fails after {gives_up_at - self._now:.1f} s more"
        else:
            headline = "waits for a free slot: all who can do it are busy"
        lineup = self.queue.lineup_of(place)
        if self.began_at is not None and place.bucket.crew is not None and not lineup.able:
            headline = "waits for a worker: all who can do it are in quarantine or retiring"
        return explain_wait(record, policy, headline, lineup, workers)

    def has_free_worker_for(self, task_id: TaskId) -> bool:
        """Whether a worker is free that could do a task.

        Raises:
            UnknownTask: no task has this id.
        """
        task, policy = self.find(task_id).task, self.queue.policy
        return any(find_obstacle(policy, task, worker) is None for worker in self.queue.free)

    def next_recovery_id(self, task_id: TaskId) -> TaskId:
        """The id for the next task that takes the place of a failed one, such as "7-recovery-1"."""
        number = 1
        while f"{task_id}-recovery-{number}" in self._tasks:
            number += 1
        return f"{task_id}-recovery-{number}"

    def validate(self) -> None:
        """See that everything fits together; for tests, since it looks at every task.

        Raises:
            AssertionError: something does not; says what.
        """
        check_invariants(self)

    def find(self, task_id: TaskId) -> TaskRecord:
        """What is kept of a task.

        Raises:
            UnknownTask: no task has this id.
        """
        record = self._tasks.get(task_id)
        if record is None:
            other: TaskId = str(task_id)
            if isinstance(task_id, str) and task_id.isdecimal() and len(task_id) < _LONG_NUMBER:
                other = int(task_id)
            hint = f"; there is one with the id {other!r}" if other in self._tasks else ""
            raise UnknownTask(f"no task has the id {task_id!r}{hint}")
        return record
