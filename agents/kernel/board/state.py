"""What a board holds, and what can be seen of it from outside: nothing here changes anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ....messages import TaskId, TaskResult, TaskStatus, UnknownTask
from ..matching.explanation import (
    Explanation,
    describe_dependencies,
    explain_decision,
    explain_wait,
)
from ..matching.policies import POLICIES, MatchingPolicy, describe_shortfall, find_obstacle
from ..matching.task_queue import TaskQueue
from ..model.events import Occurrence
from ..model.records import Rules, Snapshot, TaskRecord, WorkerRecord
from .expiry import expiry_of
from .held_slots import held_slots, holders_of
from .invariants import check_invariants
from .lease_check import LeaseCheck
from .membership import Membership
from .prefetch import Prefetch
from .quarantine import QuarantinePolicy
from .task_checks import named_tasks
from .timer_kinds import BoardAlarms
from .timers import TimerQueue
from .worker_registry import Quarantine, StartBarrier, WorkerRegistry

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
            policy or POLICIES["best_fit"],
            self.rules.unmatched_after_s,
            self.rules.prefetch_s,
            self.rules.quarantine_after,
        )
        self.ahead = Prefetch(self.rules, self.queue)
        self.members = WorkerRegistry(self.rules)
        self.roll = StartBarrier(self.rules)
        self.alarms: BoardAlarms = TimerQueue()
        self.attendance = Membership(
            self.members, self.roll, self.queue, self.alarms, self.rules.max_workers
        )
        self.standing = QuarantinePolicy(self.rules, self.members, self.queue, self.alarms)
        # Both hold every task of the run until it is forgotten: a report tells of all of them.
        self._tasks: dict[TaskId, TaskRecord] = {}
        self._results: dict[TaskId, TaskResult] = {}
        self.lease_check = LeaseCheck(self.rules, self._tasks)
        self._next_sequence = 0
        self._counts = dict.fromkeys(TaskStatus, 0)
        self._unsettled = 0
        self._ignored: dict[str, int] = {}
        # The pending tasks that whoever embeds the manager has not handed out yet.
        self._held: dict[TaskId, None] = {}
        self._is_rest_told = False
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
            self._watch_expiry(record)
        for worker in self.members.present.values():
            self.queue.admit(worker)
        recorded = [record for record in snapshot.tasks if record.result is not None]
        recorded.sort(key=lambda record: record.finished_at or 0.0)
        self._results.update(
            (record.task_id, record.result) for record in recorded if record.result is not None
        )

    @property
    def can_move_to_another_clock(self) -> bool:
        """Whether nothing has happened yet but that tasks were added, changed or cancelled."""
        return self.began_at is None and not self.is_suspended and not self.members.by_name

    def move_to_another_clock(self, now: float) -> None:
        """Go by another clock from now on: what has happened so far happens now.

        Args:
            now: the time by that clock, in seconds.
        """
        self._now = now
        self.alarms.clear()
        if self.roll.opened_at is not None:
            self.roll.opened_at = now
            self.alarms.set(self.roll)
        for record in self._tasks.values():
            record.move_to(now)
            self._watch_expiry(record)
            if record.place is not None:
                self.queue.remove(record.place)
                self.queue.push(record, now)

    def _watch_expiry(self, record: TaskRecord) -> None:
        expiry = expiry_of(record, self.rules.time_scale)
        if expiry is not None:
            self.alarms.set(expiry)

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
    def last_event_at(self) -> float:
        """When something last happened, in seconds."""
        return self._now

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.ended_at is not None

    @property
    def unsettled(self) -> int:
        """How many tasks wait or are being done."""
        return self._unsettled

    @property
    def held(self) -> frozenset[TaskId]:
        """The ids of the tasks that wait until whoever embeds the manager hands them out."""
        return frozenset(self._held)

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left to do, or only what is held back."""
        if not self._unsettled:
            return self.rules.ends_when_done
        is_idle = not self.queue.count and not self._counts[TaskStatus.IN_PROGRESS]
        return bool(self._held) and is_idle

    def change_rules(self, rules: Rules) -> None:
        """Go by other rules from now on; whom to expect counts only for who has not come yet."""
        self.rules = rules
        self.ahead.rules = rules
        self.standing.rules = rules
        self.members.change_rules(rules)
        self.roll.rules = rules

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
        record = self.find(task_id)
        remarks = [
            f"{worker.name}: {held.describe(self._now)}" for worker, held in holders_of(record)
        ]
        expiry = expiry_of(record, self.rules.time_scale)
        if expiry is not None and not self.has_ended and (due_at := expiry.due_at()) is not None:
            remarks.append(f"it expires in {max(due_at - self._now, 0.0):.1f} s unless it begins")
        return replace(self._explain(record), remarks=tuple(remarks))

    def _explain(self, record: TaskRecord) -> Explanation:
        policy = self.policy_name
        if record.status is not TaskStatus.PENDING:
            return explain_decision(record, policy)
        place = record.place
        if record.task_id in self._held and not record.unfinished:
            return explain_wait(record, policy, "waits until assign_tasks hands it out")
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
        held_back = {each.name for each in workers if self.queue.is_held_back(each)}
        held = {
            worker.name: [each.describe(self._now) for each in held_slots(worker, self._tasks)]
            for worker in workers
            if worker.stopping
        }
        return explain_wait(
            record, policy, headline, lineup, workers, held_back=held_back, held=held
        )

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
