"""The board: the manager as a pure state machine that takes events and returns instructions.

It has no clock, no event loop and no network. A shell passes events with their times, carries out
the returned instructions, and passes `TimePassed` at `next_timer_at`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

from ....messages import IllegalTransition, InvalidTask, TaskId
from ..matching.explanation import Explanation
from ..matching.policies import MatchingPolicy
from ..model.config import Rules
from ..model.events import (
    AssigningBegun,
    BudgetChanged,
    CancelRequested,
    ClosingBegun,
    DrainEnded,
    DrainRequested,
    Event,
    LimitsChanged,
    ListeningInterrupted,
    ListeningStarted,
    PauseEnded,
    PauseRequested,
    PriorityChanged,
    ProgressReported,
    QuestionAnswered,
    QuestionAsked,
    RecoveryRequested,
    RestConfirmed,
    ResultReceived,
    ResultsReceived,
    ResumptionReported,
    RetirementRequested,
    RetryRequested,
    ScheduleCameDue,
    ScheduleDeclared,
    ScheduleRemoved,
    StopRequested,
    SuspensionReported,
    TasksAdded,
    TasksForgotten,
    TasksGivenBack,
    TasksHandedOut,
    TimePassed,
    WorkerHeard,
    WorkerJoined,
    WorkerLeft,
)
from ..model.instructions import ComeToRest, EndRun, Instruction, SendCancel
from ..model.occurrences import BudgetFacts, OccurrenceKind
from ..model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord
from ..model.second_opinions import needs_second_opinion
from .assigner import Assigner
from .attempt_leases import AttemptLeases
from .attempt_results import AttemptResults
from .deadlines import Lateness
from .delays import DelayEnd
from .expiry import Expiry
from .held_slots import HeldSlotWarning
from .lessons import Lessons
from .prefetch import PrefetchRecall
from .question_expiry import QuestionExpiry
from .retention_end import RetentionEnd
from .state import BoardState
from .suspensions import Suspensions
from .task_explanation import explain_task
from .task_lifecycle import TaskLifecycle
from .task_retries import TaskRetries
from .worker_registry import Absence, Challenge, Quarantine, Silence, StartBarrier

_STOPPED = frozenset({AttemptOutcome.CANCELLED, AttemptOutcome.TIMED_OUT, AttemptOutcome.OVERTAKEN})

_EventT = TypeVar("_EventT", bound=Event)


class Board(BoardState):
    """The state machine of tasks, workers and leases.

    Args:
        rules: the configuration.
        policy: the matching policy; `best_fit` by default.
    """

    def __init__(self, rules: Rules | None = None, policy: MatchingPolicy | None = None) -> None:
        super().__init__(rules, policy)
        context, tasks, timers = self.context, self.task_registry, self.timers
        spending = self.spending
        self._leases = AttemptLeases(context, self.prefetch, timers, spending)
        self.lifecycle = TaskLifecycle(context, tasks, self._leases, timers, spending=spending)
        self._suspensions = Suspensions(context, tasks, self.membership, self._leases)
        self._retries = TaskRetries(context, tasks, self.lifecycle)
        self._results = AttemptResults(
            context,
            tasks,
            self.worker_registry,
            leases=self._leases,
            lifecycle=self.lifecycle,
            quarantine=self.quarantine,
            lessons=Lessons(context),
            spending=spending,
        )
        self._assigner = Assigner(
            context,
            tasks,
            self.prefetch,
            lifecycle=self.lifecycle,
            timers=timers,
            spending=spending,
        )
        self._is_rest_announced = False
        self._handlers: dict[type[Event], Callable[[Event], None]] = {}
        self._on(TasksAdded, self._add_tasks)
        self._on(WorkerJoined, self._join)
        self._on(WorkerHeard, self._hear)
        self._on(WorkerLeft, self._leave)
        self._on(AssigningBegun, self._begin_assigning)
        self._on(TasksHandedOut, self._hand_out)
        self._on(RestConfirmed, self._leave_rest)
        self._on(ProgressReported, self._note_progress)
        self._on(SuspensionReported, self._suspensions.suspend)
        self._on(ResumptionReported, self._suspensions.resume)
        self._on(ResultReceived, self._take_result)
        self._on(ResultsReceived, self._take_results)
        self._on(TasksGivenBack, self._take_back)
        self._on(CancelRequested, self.lifecycle.cancel)
        self._on(QuestionAsked, self.questions.ask)
        self._on(QuestionAnswered, self.questions.answer)
        self._on(PriorityChanged, self.lifecycle.change_priority)
        self._on(TasksForgotten, self.retention.forget)
        self._on(RecoveryRequested, self._recover)
        self._on(RetryRequested, self._retry)
        self._on(RetirementRequested, self.quarantine.retire)
        self._on(DrainRequested, self.draining.begin)
        self._on(DrainEnded, self.draining.end)
        self._on(PauseRequested, self.pause.begin)
        self._on(PauseEnded, self.pause.end)
        self._on(ClosingBegun, self.pause.close)
        self._on(ListeningStarted, self._start_listening)
        self._on(BudgetChanged, self._change_budget)
        self._on(LimitsChanged, self._change_limits)
        self._on(ScheduleDeclared, self.schedules.declare)
        self._on(ScheduleCameDue, self._come_due)
        self._on(ScheduleRemoved, self.schedules.remove)
        self._on(StopRequested, self._stop)
        self._on(ListeningInterrupted, self._excuse)
        self._on(TimePassed, self._fire_timers)

    def _on(self, kind: type[_EventT], handler: Callable[[_EventT], None]) -> None:
        self._handlers[kind] = cast("Callable[[Event], None]", handler)

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task has its status; see `explain_task`."""
        return explain_task(self, task_id)

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Handle an event.

        Args:
            event: the event.
            now: the time of the event in seconds; never less than before.

        Returns:
            The instructions, in order.

        Raises:
            InvalidTask: a new task can't be added, so none is. Its subclasses give the reason.
            UnknownTask: the task to cancel, try again, reprioritise or forget does not exist.
            UnknownName: the worker to retire or drain does not exist.
            IllegalTransition: the state of the task or worker does not allow the change.
        """
        context = self.context
        context.now = now
        instructions: list[Instruction] = []
        context.instructions = instructions
        if self.start_barrier.opened_at is None and not self.is_suspended:
            self._start_listening()
        self._handlers[type(event)](event)
        if (limiter := self.queue.limiter) is not None and limiter.grants.granted:
            self._suspensions.send_grants(limiter)
        if self.began_at is not None and self.ended_at is None and not self.is_suspended:
            if not self.pause.holds:
                self._assigner.assign_waiting()
            if not self.task_registry.unsettled or self.task_registry.held:
                self._look_for_rest()
            else:
                self._is_rest_announced = False
        if self.draining.leaving and self.ended_at is None and not self.is_suspended:
            self.draining.dismiss_idle()
        if self.task_registry.settled and not (self.has_ended or self.is_suspended):
            self.retention.forget_due()
        return instructions

    # ------------------------------------------------------------------ tasks

    def _add_tasks(self, event: TasksAdded) -> None:
        self._check_not_ended()
        self.lifecycle.add(event.tasks, event.packed)

    def _recover(self, event: RecoveryRequested) -> None:
        self._check_not_ended()
        self.lifecycle.recover(event)

    def _retry(self, event: RetryRequested) -> None:
        if self.has_ended and not self.is_suspended:
            raise IllegalTransition("the run has ended, so no task can be tried again")
        self._retries.retry(event)

    def _check_not_ended(self) -> None:
        if self.has_ended and not self.is_suspended:
            raise InvalidTask("the run has ended, so no more tasks can be added")

    def _hand_out(self, event: TasksHandedOut) -> None:
        if not self.has_ended:
            self._assigner.hand_out(event, holds_others=self.began_at is None)
            self._note_assigning_begun()

    def _begin_assigning(self, _: AssigningBegun | None = None) -> None:
        if not self.has_ended:
            self._assigner.release(tuple(self.task_registry.held))
            self._note_assigning_begun()

    def _note_assigning_begun(self) -> None:
        if self.began_at is None:
            self.start_barrier.is_over = True
            self.began_at = self.context.now
            self.context.note(OccurrenceKind.ASSIGNING_BEGUN)

    # ------------------------------------------------------------------ attempts

    def _take_result(self, event: ResultReceived) -> None:
        present = self.membership.hear(event.worker_id)
        self._results.take(event.result, event.worker_id, present)

    def _take_results(self, event: ResultsReceived) -> None:
        present = self.membership.hear(event.worker_id)
        self._leases.postpone_slot_updates()
        try:
            for result in event.results:
                self._results.take(result, event.worker_id, present)
        finally:
            self._leases.resume_slot_updates()

    def _note_progress(self, event: ProgressReported) -> None:
        self._results.note_progress(event.progress, self.membership.hear(event.worker_id))

    def _take_back(self, event: TasksGivenBack) -> None:
        worker = self.membership.hear(event.worker_id)
        if worker is not None:
            self._results.take_back(worker, event.attempts)

    # ------------------------------------------------------------------ workers

    def _join(self, event: WorkerJoined) -> None:
        lost, returned, admitted = self.membership.join(event)
        if returned is not None:
            self._note_what_it_still_does(returned, event)
            self._leases.update_slots(returned)
            self._leases.continue_deadlines(returned)
            # Its prefetched tasks were not recalled while it was disconnected.
            if self.prefetch.watch(returned):
                self.timers.set(self.prefetch.recall)
        elif admitted is not None and event.holding:
            self._note_what_it_still_does(admitted, event)
        joined = returned or admitted
        if joined is not None and joined.drain is not None:
            self.draining.note_joined(joined)
        self._results.lose(lost)

    def _note_what_it_still_does(self, worker: WorkerRecord, event: WorkerJoined) -> None:
        """Count the slots of attempts that ended on the board but still run at the worker.

        The worker may have missed the message to stop them.
        """
        leases = worker.running.keys() | worker.prefetched.keys() | worker.suspended.keys()
        ended: list[tuple[int, int, TaskRecord]] = []
        for task_id, number in event.holding - leases:
            record = self.tasks.get(task_id)
            if record is not None and 1 <= number <= record.attempt:
                ended.append((record.sequence, number, record))
        # In an order of their own, since those of a set differ from one process to the next.
        for _, number, record in sorted(ended):
            task_id, attempt = record.task_id, record.attempts[number - 1]
            if attempt.worker is not worker or attempt.outcome is None or attempt.is_reported:
                continue
            if attempt.grant != "kept":
                # It waited when it was lost.
                worker.withdrawn[task_id, number] = None
            elif worker.taken < worker.slots and (task_id, number) not in worker.withdrawn:
                self._leases.await_stop(attempt)
                self.queue.update_load(worker)
            # A lost attempt may continue: its success counts unless another attempt was faster.
            is_useless = record.finished_at is not None or needs_second_opinion(record.task)
            if attempt.outcome in _STOPPED or is_useless:
                reason = record.error_message or "the manager ended the attempt"
                self.context.instructions.append(
                    SendCancel(worker.worker_id, task_id, number, reason)
                )

    def _hear(self, event: WorkerHeard) -> None:
        worker = self.membership.hear(event.worker_id)
        if worker is not None and not self.has_ended:
            self.lease_check.ask(worker)
            self.draining.note_heard(worker, event)

    def _leave(self, event: WorkerLeft) -> None:
        end = self._results.return_all if event.is_orderly else self._results.lose
        end(self.membership.leave(event))

    # ------------------------------------------------------------------ time

    def _excuse(self, event: ListeningInterrupted) -> None:
        """Extend timeouts by the duration of a time in which nothing could be received."""
        self.worker_registry.excuse(event.lasted_s, self.context.now)

    def _fire_timers(self, _: TimePassed) -> None:
        # Timers fire only here, so a message that arrived in time counts even if it is read late.
        has_expired = False
        while (timer := self.timers.take(self.context.now)) is not None:
            match timer:
                case Attempt():
                    self._results.time_out(timer)
                case Silence():
                    reason = f"silent for {timer.lost_after_s:g} s"
                    self._results.lose(self.membership.lose(timer.worker, reason))
                case Absence():
                    reason = f"not back within {self.rules.return_within_s:g} s"
                    self._results.lose(self.membership.give_up(timer.worker, reason))
                case Quarantine():
                    self.quarantine.release(timer.worker)
                case Challenge():
                    known = self.worker_registry.by_name[timer.newcomer.name]
                    reason = "silent, and replaced by a new worker with its name"
                    self._results.lose(self.membership.lose(known, reason))
                case PrefetchRecall():
                    self.prefetch.recall_unbegun()
                    self.timers.set(timer)
                case StartBarrier():
                    self._end_start_barrier()
                case Expiry() | Lateness():
                    if not self.has_ended:
                        self.lifecycle.give_up(timer)
                    has_expired = True
                case DelayEnd():
                    self.lifecycle.end_delay(timer.record)
                case QuestionExpiry():
                    if not self.has_ended:
                        self.questions.expire(timer)
                case RetentionEnd():
                    timer.at = None
                case HeldSlotWarning():
                    self._leases.warn_of_held_slot(timer)
        if self.began_at is not None and not self.has_ended:
            self.lifecycle.fail_unmatched()
        elif has_expired and not (self.unsettled or self.has_ended or self.is_suspended):
            # All tasks expired during the wait for workers, so the run can end now.
            self._look_for_rest()

    # ------------------------------------------------------------------ the run

    def _change_budget(self, event: BudgetChanged) -> None:
        rules = replace(self.rules, budget=event.budget)
        facts = BudgetFacts(self.rules.budget, rules.budget, rules.cost_unit)
        self.change_rules(rules)
        self.context.note(OccurrenceKind.BUDGET_CHANGED, facts=facts)

    def _change_limits(self, event: LimitsChanged) -> None:
        weights = self.rules.weights if event.weights is None else event.weights
        self.context.rules = replace(self.rules, limits=event.limits, weights=weights)
        self.queue.set_limits(event.limits, weights)
        self.count_begun()
        self._suspensions.return_grants()

    def _come_due(self, event: ScheduleCameDue) -> None:
        # A due time of a run that has ended is made when the run is resumed.
        if not self.has_ended:
            self.schedules.come_due(event, self.lifecycle)

    def _start_listening(self, _: ListeningStarted | None = None) -> None:
        if self.is_suspended:
            self._resume()
        self.start_barrier.opened_at = self.context.now
        self.timers.set(self.start_barrier)

    def _resume(self) -> None:
        """Continue a restored run: workers may return to their leases.

        Until a worker is back its attempts do not time out.
        """
        self.is_suspended = False
        self.ended_at = None
        self.failure = None
        self.context.note(OccurrenceKind.RUN_RESUMED)
        for worker in self.worker_registry.by_name.values():
            if worker.may_have_leases:
                self.membership.expect_back(worker)

    def _end_start_barrier(self) -> None:
        if self.rules.on_missing == "start" and self.worker_registry.present:
            self.membership.end_start_barrier()
        else:
            self.start_barrier.is_over = True
            self._end(self.start_barrier.verdict(self.worker_registry))

    def _look_for_rest(self) -> None:
        if not self.is_at_rest:
            self._is_rest_announced = False
        elif not self.unsettled and not self.rules.confirms_end:
            self._end(None)
        elif not self._is_rest_announced:
            self._is_rest_announced = True
            self.context.instructions.append(ComeToRest())

    def _leave_rest(self, _: RestConfirmed) -> None:
        if self.has_ended or not self.is_at_rest:
            return
        if self.unsettled:
            self._begin_assigning()
        else:
            self._end(None)

    def _end(self, failure: str | None) -> None:
        self.failure = failure
        self._note_end(failure or "")
        self.context.instructions.append(EndRun(failure))

    def _stop(self, event: StopRequested) -> None:
        if not self.has_ended:
            self.start_barrier.is_over = True
            if event.is_failure:
                self.failure = event.reason
            self._note_end(event.reason)

    def _note_end(self, reason: str) -> None:
        self.ended_at = self.context.now
        self.context.note(OccurrenceKind.RUN_ENDED, facts=reason or None)
