"""The state of a board, and read access to it; handles no events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....messages import TaskId, TaskResult, TaskStatus
from ..matching.budget import Budget
from ..matching.policies import BestFit, MatchingPolicy
from ..matching.task_queue import TaskQueue
from ..model.config import Rules
from ..model.occurrences import Occurrence
from ..model.records import TaskRecord, WorkerRecord
from .context import BoardContext
from .deadlines import lateness_of
from .delays import DelayEnd
from .draining import Draining
from .expiry import expiry_of
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
        self.queue = TaskQueue(
            policy or BestFit(),
            rules.unmatched_after_s,
            rules.prefetch_s,
            rules.quarantine_after,
            Budget(rules.budget, rules.cost_unit),
        )
        self.context = BoardContext(rules, self.queue)
        self.budget = self.queue.budget
        """What the run may cost, and what it has cost."""
        self.queue.set_thrift(rules.thrift)
        self.queue.set_limits(rules.limits, rules.weights)
        self.spending = Spending(self.context)
        self._follow_rules(rules)
        self.timers: BoardTimers = TimerQueue()
        self.task_registry = TaskRegistry(self.context)
        self.tasks: Mapping[TaskId, TaskRecord] = self.task_registry.by_id
        """The tasks by id, in the order of adding, without forgotten ones."""
        self.counts: Mapping[TaskStatus, int] = self.task_registry.counts
        """How many tasks have each status."""
        self.forgotten: Mapping[TaskStatus, int] = self.task_registry.forgotten
        """How many tasks of each status were forgotten."""
        self.ignored: Mapping[str, int] = self.task_registry.ignored
        """The number of ignored results, by reason."""
        self.worker_registry = WorkerRegistry(self.context)
        self.workers: Mapping[str, WorkerRecord] = self.worker_registry.by_name
        """The workers by name, in the order of joining, including the latest lost ones."""
        self.start_barrier = StartBarrier(self.context)
        self.prefetch = Prefetch(self.context)
        self.membership = Membership(
            self.context, self.worker_registry, self.start_barrier, self.timers
        )
        self.quarantine = QuarantinePolicy(self.context, self.worker_registry, self.timers)
        self.retention = Retention(self.context, self.task_registry, self.spending, self.timers)
        self._list_settled()
        self.draining = Draining(self.context, self.worker_registry, self.prefetch)
        self.pause = Pause(self.context, self.prefetch)
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
    def results(self) -> Sequence[TaskResult]:
        """The recorded results in the order of recording, at most one per task."""
        return tuple(self.task_registry.results.values())

    @property
    def policy_name(self) -> str:
        """The name of the matching policy; of a suspended run, the name of its former policy."""
        return (self.is_suspended and self.former_policy) or self.queue.policy.name

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
