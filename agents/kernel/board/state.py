"""The state of a board, and read access to it; handles no events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ....messages import TaskId, TaskResult, TaskStatus
from ..matching.budget import Budget, describe_rates
from ..matching.eligibility import describe_declines
from ..matching.explanation import (
    Explanation,
    describe_dependencies,
    describe_losses,
    explain_decision,
    explain_wait,
)
from ..matching.learning_policy import Hold
from ..matching.policies import BestFit, MatchingPolicy
from ..matching.task_queue import TaskQueue
from ..model.config import Rules
from ..model.occurrence_text import describe_delay
from ..model.occurrences import DelayFacts, FailureCause, Occurrence
from ..model.records import TaskRecord, WorkerRecord
from ..model.second_opinions import describe_next, describe_opinions
from .context import BoardContext
from .deadlines import describe_deadline, lateness_of
from .delays import DelayEnd
from .dependents import waits_for
from .draining import Draining
from .expiry import expiry_of
from .held_slots import held_slots, holders_of
from .lease_check import LeaseCheck
from .limit_history import count_begun
from .membership import Membership
from .pause import Pause
from .prefetch import Prefetch
from .quarantine import QuarantinePolicy
from .questions import TaskQuestions
from .retention import Retention
from .schedule_book import ScheduleBook
from .spending import Spending
from .task_registry import TaskRegistry
from .timer_kinds import BoardTimers
from .timers import TimerQueue
from .worker_registry import StartBarrier, WorkerRegistry


class BoardState:
    """The state of a `Board`.

    Args:
        rules: the rules that the board goes by.
        policy: which worker gets which task; `best_fit` by default.
    """

    def __init__(self, rules: Rules | None = None, policy: MatchingPolicy | None = None) -> None:
        rules = rules or Rules()
        self.context = BoardContext(rules)
        self.queue = TaskQueue(
            policy or BestFit(),
            rules.unmatched_after_s,
            rules.prefetch_s,
            rules.quarantine_after,
            Budget(rules.budget, rules.cost_unit),
        )
        self.queue.set_thrift(rules.thrift)
        self.queue.set_limits(rules.limits, rules.weights)
        self.queue.unmatched_timeout.change(rules.unmatched_after_s)
        self.spending = Spending(self.context, self.queue)
        self._follow_rules(rules)
        self.timers: BoardTimers = TimerQueue()
        self.task_registry = TaskRegistry(self.context)
        self.worker_registry = WorkerRegistry(self.context)
        self.start_barrier = StartBarrier(self.context)
        self.prefetch = Prefetch(self.context, self.queue)
        self.membership = Membership(
            self.context, self.worker_registry, self.start_barrier, self.queue, self.timers
        )
        self.quarantine = QuarantinePolicy(
            self.context, self.worker_registry, self.queue, self.timers
        )
        self.retention = Retention(
            self.context, self.task_registry, self.queue, self.spending, self.timers
        )
        self._list_settled()
        self.draining = Draining(self.context, self.worker_registry, self.queue, self.prefetch)
        self.pause = Pause(self.context, self.queue, self.prefetch)
        self.lease_check = LeaseCheck(self.context, self.task_registry.by_id)
        self.questions = TaskQuestions(self.context, self.task_registry, self.timers)
        """What tasks ask people."""
        self.schedules = ScheduleBook(self.task_registry.by_id)
        self.is_suspended = False
        """Whether this is a restored run that has not been resumed yet."""
        self.former_policy = ""
        """The name of the policy of a restored run."""
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self.failure: str | None = None

    @property
    def rules(self) -> Rules:
        """The board's configuration."""
        return self.context.rules

    @property
    def can_move_to_another_clock(self) -> bool:
        """Whether the only events so far added, changed or cancelled tasks."""
        return self.began_at is None and not self.is_suspended and not self.worker_registry.by_name

    def move_to_another_clock(self, now: float) -> None:
        """Switch to another clock, and set the time of all past events to now.

        Args:
            now: the time by that clock, in seconds.
        """
        self.context.now = now
        self.timers.clear()
        if self.start_barrier.opened_at is not None:
            self.start_barrier.opened_at = now
            self.timers.set(self.start_barrier)
        for record in self.tasks.values():
            record.move_to(now)
            if record.wait_until is not None:
                self.timers.set(DelayEnd(record, record.wait_until))
            expiry = expiry_of(record, self.rules.time_scale)
            if expiry is not None:
                self.timers.set(expiry)
            lateness = lateness_of(record, self.rules.time_scale)
            if lateness is not None and self.rules.on_late == "fail":
                self.timers.set(lateness)
            self.queue.requeue(record, now)

    def next_timer_at(self) -> float | None:
        """The time at which `TimePassed` is due; None for never."""
        timer_at, unmatched_at = self.timers.next_at(), self.queue.unmatched_timeout.due_at()
        if timer_at is None or (unmatched_at is not None and unmatched_at < timer_at):
            timer_at = unmatched_at
        offers, limiter = self.queue.offers, self.queue.limiter
        is_over = self.has_ended or self.pause.holds
        if offers is not None and offers.wakes_at is not None and not is_over:
            timer_at = offers.wakes_at if timer_at is None else min(timer_at, offers.wakes_at)
        if limiter is not None and self.is_assigning:
            opens_at = limiter.wakes_at()
            if opens_at is not None:
                timer_at = opens_at if timer_at is None else min(timer_at, opens_at)
        return timer_at

    @property
    def tasks(self) -> Mapping[TaskId, TaskRecord]:
        """The tasks by id, in the order of adding, without forgotten ones."""
        return self.task_registry.by_id

    @property
    def workers(self) -> Mapping[str, WorkerRecord]:
        """The workers by name, in the order of joining, including the latest lost ones."""
        return self.worker_registry.by_name

    @property
    def counts(self) -> Mapping[TaskStatus, int]:
        """How many tasks have each status."""
        return self.task_registry.counts

    @property
    def forgotten(self) -> Mapping[TaskStatus, int]:
        """How many tasks of each status were forgotten."""
        return self.task_registry.forgotten

    @property
    def results(self) -> Sequence[TaskResult]:
        """The recorded results in the order of recording, at most one per task."""
        return tuple(self.task_registry.results.values())

    @property
    def ignored(self) -> Mapping[str, int]:
        """The number of ignored results, by reason."""
        return self.task_registry.ignored

    @property
    def policy_name(self) -> str:
        """The name of the matching policy; of a suspended run, the name of its former policy."""
        return (self.is_suspended and self.former_policy) or self.queue.policy.name

    @property
    def budget(self) -> Budget:
        """What the run may cost, and what it has cost."""
        return self.queue.budget

    @property
    def last_event_at(self) -> float:
        """The time of the last event, in seconds."""
        return self.context.now

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return self.ended_at is not None

    @property
    def is_assigning(self) -> bool:
        """Whether waiting tasks are assigned to workers now."""
        is_over = self.ended_at is not None or self.is_suspended
        return self.began_at is not None and not is_over and not self.pause.holds

    @property
    def is_paused(self) -> bool:
        """Whether no tasks are assigned until the user resumes the run."""
        return self.pause.since is not None

    @property
    def unsettled(self) -> int:
        """How many tasks are pending or in progress."""
        return self.task_registry.unsettled

    @property
    def held(self) -> frozenset[TaskId]:
        """The ids of the tasks that a manager's own `assign_tasks` has not handed out yet."""
        return frozenset(self.task_registry.held)

    @property
    def ends_when_settled(self) -> bool:
        """Whether the run ends when all tasks are settled: no schedule may make more of them."""
        return self.rules.ends_when_done and not self.schedules.is_active

    @property
    def is_at_rest(self) -> bool:
        """Whether no task is left to run, except held ones."""
        tasks = self.task_registry
        if not tasks.unsettled:
            return self.ends_when_settled
        is_busy = tasks.delayed or tasks.counts[TaskStatus.IN_PROGRESS]
        return bool(tasks.held) and not self.queue.count and not is_busy

    def count_begun(self, *, is_restored: bool = False) -> None:
        """Let new limits count what has begun.

        Args:
            is_restored: whether the run has just been restored.
        """
        count_begun(self.queue, self.tasks.values(), self.context, is_restored=is_restored)

    def change_rules(self, rules: Rules) -> None:
        """Replace the configuration; a worker that has joined keeps its order.

        The queue keeps its values of `prefetch_s` and `quarantine_after`.
        """
        self.context.rules = rules
        self.spending.change_limit(rules.budget, rules.cost_unit)
        self.queue.set_thrift(rules.thrift)
        self._follow_rules(rules)
        self.worker_registry.follow_roster()
        self._list_settled()

    def _list_settled(self) -> None:
        """List when tasks were settled, if they are not kept for ever."""
        keeps_all = self.rules.keep_results_s is None and self.rules.keep_results is None
        if not keeps_all and self.task_registry.settled is None:
            self.task_registry.list_settled()

    def _follow_rules(self, rules: Rules) -> None:
        urgency = self.queue.urgency
        urgency.aging_s, urgency.time_scale = rules.aging_s, rules.time_scale

    def story(self, task_id: TaskId) -> tuple[Occurrence, ...]:
        """The latest 64 occurrences of a task, the oldest first.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.find(task_id).story

    def find(self, task_id: TaskId) -> TaskRecord:
        """The record of a task.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.task_registry.find(task_id)

    def has_free_worker_for(self, task_id: TaskId) -> bool:
        """Whether a free worker can run a task.

        Raises:
            UnknownTask: no task has this id.
        """
        eligibility, queue = self.queue.eligibility_of(self.find(task_id)), self.queue
        return any(eligibility.may_get(worker, queue.workers) for worker in queue.free)

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task has its status: which workers were considered for it, or what it waits for.

        Raises:
            UnknownTask: no task has this id.
        """
        record, now = self.find(task_id), self.context.now
        remarks = [f"{worker.name}: {held.describe(now)}" for worker, held in holders_of(record)]
        expiry = expiry_of(record, self.rules.time_scale)
        if expiry is not None and not self.has_ended and (due_at := expiry.due_at()) is not None:
            remarks.append(f"it expires in {max(due_at - now, 0.0):.1f} s unless it begins")
        if origin := self.schedules.describe_origin(task_id):
            remarks.append(origin)
        deadline = describe_deadline(record, self.rules.time_scale, now)
        if deadline is not None:
            remarks.append(deadline)
        remarks += [
            f"{each.worker.name}: attempt {each.number} {each.suspended_for}; its slot is free"
            for each in record.attempts
            if each.suspended_for
        ]
        remarks += [*describe_losses(record), *self._describe_opinions(record)]
        if self.queue.limiter is not None and record.queue_entry is not None:
            turns = self.queue.limiter.describe_turns(record.task)
            remarks += [] if turns is None else [turns]
        is_remark = record.unfinished or record.status is not TaskStatus.PENDING
        if record.wait_until is not None and is_remark and not self.has_ended:
            remarks.append(f"it {self._describe_delay(record)}")
        explanation = self._explain(record)
        return replace(explanation, remarks=tuple(remarks), traceback=record.error_traceback)

    def _describe_opinions(self, record: TaskRecord) -> list[str]:
        """What is known of a task's review, or of the votes on it."""
        remarks = describe_opinions(record)
        is_voted_on = record.status is TaskStatus.IN_PROGRESS and record.queue_entry is not None
        if is_voted_on and not self.has_ended:
            remarks.append(f"one more vote {self._describe_wait(record)}")
        return remarks

    def _explain(self, record: TaskRecord) -> Explanation:
        policy, tasks, queue = self.policy_name, self.tasks, self.queue
        if record.status is not TaskStatus.PENDING:
            return explain_decision(record, policy)
        if record.task_id in self.task_registry.held and not record.unfinished:
            return explain_wait(record, policy, "waits until assign_tasks hands it out")
        if record.queue_entry is None and (record.unfinished or record.wait_until is None):
            needed = [tasks[each] for each in dict.fromkeys(record.task.depends_on)]
            unfinished = [each for each in needed if waits_for(record, each)]
            return explain_wait(record, policy, describe_dependencies(unfinished))
        if self.failure is not None:
            return explain_wait(record, policy, f"was never assigned: {self.failure}")
        if self.has_ended:
            return explain_wait(record, policy, "waits no more: the run was stopped")
        if self.pause.holds:
            return explain_wait(record, policy, f"waits: {self.pause.describe()}")
        if record.wait_until is not None:
            return explain_wait(record, policy, self._describe_delay(record))
        candidates, workers = queue.candidates_for(record), queue.workers
        headline, limit = self._describe_wait(record), self._describe_limit(record)
        if self.began_at is not None and queue.has_candidates(record) and not candidates.able:
            what = describe_next(record)
            headline = f"waits for a worker: all that can {what} are in quarantine or leaving"
        held_back = {each.name for each in workers if queue.is_held_back(each)}
        held = {
            worker.name: [each.describe(self.context.now) for each in held_slots(worker, tasks)]
            for worker in workers
            if worker.stopping
        }
        hold = queue.hold(record, self.context.now) if self.began_at is not None else None
        if hold is not None and limit is not None:
            hold = None
        if hold is not None:
            headline = self._describe_hold(hold)
        too_dear = {
            each.name: f"{self.budget.describe()}; {each.name} costs {describe_rates(each)}"
            for each in workers
            if queue.is_too_dear(each)
        }
        return explain_wait(
            record,
            policy,
            headline,
            candidates,
            workers,
            held_back=held_back,
            held=held,
            figures=() if hold is None else hold.figures,
            too_dear=too_dear,
        )

    def _describe_limit(self, record: TaskRecord) -> str | None:
        limiter = self.queue.limiter
        return None if limiter is None else limiter.describe_wait(record, self.context.now)

    def _describe_delay(self, record: TaskRecord) -> str:
        assert record.wait_until is not None
        facts, now = DelayFacts(record.wait_until, record.wait_reason), self.context.now
        left_s = max(record.wait_until - now, 0.0)
        return f"waits {describe_delay(facts, now)}, {left_s:.1f} s more"

    def _describe_hold(self, hold: Hold) -> str:
        if hold.until == math.inf:
            return f"is held back: {hold.reason}"
        left_s = max(hold.until - self.context.now, 0.0)
        return f"is held back: {hold.reason} in {left_s:.1f} s at most"

    def _describe_wait(self, record: TaskRecord) -> str:
        queue, barrier = self.queue, self.start_barrier
        if self.began_at is None:
            awaited = "" if barrier.is_over else f": {barrier.progress(self.worker_registry)}"
            return f"waits for the assigning to begin{awaited}"
        if not queue.workers:
            return "waits for a worker: none is connected"
        gives_up_at = queue.gives_up_at(record)
        limit = self._describe_limit(record)
        if gives_up_at is None and limit is not None:
            return limit
        if gives_up_at is None:
            what, able = (
                describe_next(record),
                self.queue.eligibility_of(record).able(queue.workers),
            )
            if able and all(map(queue.is_too_dear, able)):
                return f"waits: {self.budget.describe()}, and all that can {what} cost something"
            return f"waits for a free slot: all workers that can {what} are busy"
        shortfall = queue.shortfall_of(record)
        headline = f"waits: no connected worker can {describe_next(record)}: {shortfall.text}"
        if shortfall.cause is FailureCause.BUDGET:
            headline = f"waits: {shortfall.text}"
        elif shortfall.cause is FailureCause.DECLINED:
            headline = f"waits: declined: {describe_declines(record)}"
        if gives_up_at < math.inf:
            headline += f"; it fails in {gives_up_at - self.context.now:.1f} s"
        return headline
