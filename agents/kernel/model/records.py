"""The board's records of tasks, attempts and workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ....messages import Retry, Task, TaskId, TaskResult, TaskStatus, WorkerProfile
from ....messages.usage import ModelUsage
from ....messages.work import LimitGrant
from .attempt_outcomes import AttemptOutcome, Drain
from .decision import Decision
from .duration_estimate import DurationEstimate
from .events import WorkerId
from .failed_attempt import FailedAttempt
from .occurrences import CancellationFacts, Occurrence, OccurrenceKind, move_occurrence
from .questions import TaskQuestion
from .worker_stats import WorkerStats

MAX_STORY = 64
"""The maximum number of occurrences of a task that are kept; the oldest are dropped."""

MAX_PREFETCHED = 1_000
"""The maximum number of tasks that a worker may prefetch."""

_REPLACED_BY_THE_NEXT = frozenset(
    {
        OccurrenceKind.TASK_PROGRESSED,
        OccurrenceKind.RESULT_IGNORED,
        OccurrenceKind.SLOT_HELD,
        OccurrenceKind.ATTEMPT_SUSPENDED,
    }
)


_SUSPENDED, _RESUMED = OccurrenceKind.ATTEMPT_SUSPENDED, OccurrenceKind.ATTEMPT_RESUMED


@dataclass(slots=True, eq=False)
class WorkerRecord:
    """The record of a worker; it is identified by name and kept over all sessions.

    Args:
        profile: the profile that the worker sent; see `introduce`.
        worker_id: its current or last address.
        session: identifies its latest start.
        call: the number of its conversation within the session.
        order: its number among the workers: first the roster, then in the order of joining.
        joined_at: when it first joined.
        last_heard_at: when something last arrived from it.
        alive: whether it is connected.
        lost_at: when it was lost or left, None while it is connected.
        awaited_until: the time until which a resumed run waits for its return; None if the run does
            not wait for it.
        running: the attempts leased to it, by task and number.
        stopping: attempts it was told to stop, which hold their slots until it confirms.
        prefetched: the attempts leased to it that wait there for a slot, oldest first.
        prefetched_s: the expected total duration of `prefetched`, in seconds.
        suspended: the attempts leased to it that wait for something, and hold no slots meanwhile.
        withdrawn: prefetched or suspended attempts that it was told to drop; they hold no slot.
        stats: its statistics.
        failures_in_a_row: how many attempts failed or timed out since the last success.
        quarantined_until: the end of its quarantine, in seconds; None if it is not in quarantine.
        is_retiring: whether it was told to stop because it is no longer needed.
        drain: why it gets no more tasks; None if it may get some.
        name: its name; this and the following fields are copied from the profile.
        skill_level: its skill level.
        specialties: the task types for which its skill counts more.
        slots: how many tasks it runs at once.
        task_types: the task types for which it has handlers; None for any.
        skills: its named skills with their levels.
        review_types: the task types whose results it can review.
        at_most_once_types: the task types whose lost attempts are not repeated.
        cost_per_s: what a second of its work costs.
        cost_per_task: what each attempt costs besides.
    """

    profile: WorkerProfile
    worker_id: WorkerId
    session: str
    order: int
    joined_at: float
    last_heard_at: float
    alive: bool = True
    lost_at: float | None = None
    awaited_until: float | None = None
    call: int = 1
    running: dict[tuple[TaskId, int], TaskRecord] = field(default_factory=dict)
    stopping: dict[tuple[TaskId, int], None] = field(default_factory=dict)
    prefetched: dict[tuple[TaskId, int], TaskRecord] = field(default_factory=dict)
    prefetched_s: float = 0.0
    suspended: dict[tuple[TaskId, int], TaskRecord] = field(default_factory=dict)
    withdrawn: dict[tuple[TaskId, int], None] = field(default_factory=dict)
    stats: WorkerStats = field(default_factory=WorkerStats)
    failures_in_a_row: int = 0
    quarantined_until: float | None = None
    is_retiring: bool = False
    drain: Drain | None = None
    name: str = field(init=False)
    skill_level: int = field(init=False)
    specialties: frozenset[str] = field(init=False)
    slots: int = field(init=False)
    task_types: frozenset[str] | None = field(init=False)
    skills: Mapping[str, float] = field(init=False)
    cost_per_s: float = field(init=False)
    cost_per_task: float = field(init=False)
    review_types: frozenset[str] = field(init=False)
    at_most_once_types: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.introduce(self.profile)

    def introduce(self, profile: WorkerProfile) -> None:
        """Set the worker's profile, and the fields derived from it."""
        self.profile = profile
        # Copies, because matching reads them so often that access through the profile is too slow.
        self.name = profile.name
        self.skill_level = profile.skill_level
        self.specialties = frozenset(profile.specialties)
        self.slots = profile.slots
        self.task_types = None if profile.task_types is None else frozenset(profile.task_types)
        self.skills = profile.skills
        self.cost_per_s = profile.cost_per_s
        self.cost_per_task = profile.cost_per_task
        self.review_types = frozenset(profile.review_types)
        self.at_most_once_types = frozenset(profile.at_most_once_types)

    @property
    def may_have_leases(self) -> bool:
        """Whether the worker is connected, or a resumed run waits for its return."""
        return self.alive or self.awaited_until is not None

    @property
    def taken(self) -> int:
        """The number of its slots that are in use."""
        return len(self.running) + len(self.stopping)

    @property
    def is_leaving(self) -> bool:
        """Whether it will leave, and gets no more tasks until then."""
        return self.is_retiring or self.drain is not None

    @property
    def holds_nothing(self) -> bool:
        """Whether no attempt is leased to it, and none that it was told to stop may still run."""
        return self.is_idle and not (self.suspended or self.stopping or self.withdrawn)

    @property
    def is_idle(self) -> bool:
        """Whether it runs nothing, and holds nothing that it will begin."""
        return not (self.running or self.prefetched)

    @property
    def is_free(self) -> bool:
        """Whether the worker may get a task now."""
        return (
            self.quarantined_until is None
            and not self.is_leaving
            and len(self.running) + len(self.stopping) < self.slots
        )

    @property
    def is_paid(self) -> bool:
        """Whether its work costs anything, by its rates or by what its results have said."""
        return self.cost_per_s > 0 or self.cost_per_task > 0 or self.stats.cost > 0

    @property
    def load(self) -> float:
        """The share of its slots that is in use, 0 to 1."""
        return self.taken / self.slots


@dataclass(slots=True, eq=False)
class Attempt:
    """One lease of a task to a worker.

    Args:
        number: which attempt at the task, from 1.
        worker: the worker it was leased to.
        task: the task.
        started_at: when it was assigned, or when it got a slot if it was prefetched.
        timeout_s: its timeout in seconds, before scaling; None for no limit.
        deadline: when it times out, or None.
        outcome: how it ended; None while the lease holds.
        ended_at: when it ended; None while the lease holds.
        is_reported: whether its worker has reported the result.
        is_prefetched: whether it waits at its worker for a slot.
        is_recalled: whether the worker was asked to give it back.
        is_displaced: whether it is prefetched because a resumed attempt has taken its slot.
        asked_at: when the worker was last asked whether it holds the attempt; None for never.
        expected_s: the expected duration of a prefetched attempt, in seconds.
        duration: the estimate that is updated with its duration; None for none.
        cost: what it cost, in the manager's unit; 0 while the lease holds.
        quality: the grade of its output, 0 to 1; None for none.
        is_review: whether it reviews the result of an earlier attempt.
        result: its successful result while that waits for a review or for other votes; None
            before and after.
        reserved: what it is expected to cost while it runs, as far as the budget is concerned.
        suspended_for: what it waits for while it is suspended, such as "waits for 3 subtasks".
        suspended_at: since when it is suspended; None while it is not. A suspended attempt holds no
            slot and does not time out.
        left_s: what was left of its timeout when it was suspended, in seconds; None for no limit.
        suspended_s: for how long it was suspended before, in seconds.
        grant: whether limits count it: "returned" and "wanted" if they don't, because it waits.
        usage: what it has used of a model; None for nothing, and while the lease holds.
    """

    number: int
    worker: WorkerRecord
    task: TaskRecord
    started_at: float
    timeout_s: float | None
    deadline: float | None
    outcome: AttemptOutcome | None = None
    is_reported: bool = False
    is_prefetched: bool = False
    is_recalled: bool = False
    is_displaced: bool = False
    asked_at: float | None = None
    expected_s: float = 0.0
    duration: DurationEstimate | None = None
    ended_at: float | None = None
    cost: float = 0.0
    quality: float | None = None
    is_review: bool = False
    result: TaskResult | None = None
    reserved: float = 0.0
    suspended_for: str = ""
    suspended_at: float | None = None
    left_s: float | None = None
    suspended_s: float = 0.0
    grant: LimitGrant = "kept"
    usage: ModelUsage | None = None

    def due_at(self) -> float | None:
        """When it times out; None for never, and while a resumed run waits for its worker."""
        is_absent = self.worker.awaited_until is not None
        return None if self.outcome is not None or is_absent else self.deadline


@dataclass(slots=True, eq=False)
class TaskRecord:
    """A task with its status, attempts and story.

    Args:
        task_id: the task's id.
        task: the task.
        sequence: its number in the order of adding.
        added_at: when it was added.
        added: the task as it was added; its priority may have been changed since.
        packed: the encoded form of `added`; None if it is not encoded yet, or large.
        status: its status.
        attempts: its attempts; their number is bounded by `max_attempts`, `max_losses` and the
            number of workers that may decline it.
        failures: how many current attempts failed, timed out or were rejected, without failed
            reviews.
        losses: how many of them ended because their worker was lost.
        failed_by: the names of the workers at which it failed.
        declined_by: the names of the workers that declined it.
        result: the recorded result; None if there is none, also if no worker ever ran the task.
        error_message: why the task or its last attempt failed; None once it is completed.
        failure: the last failed attempt that had a traceback, None if there was none.
        finished_at: when it was settled, None before.
        progress: the progress of the running attempt, 0 to 100.
        note: the note sent with the progress.
        unfinished: how many of its dependencies are not completed.
        wait_until: the time until which it waits, whatever else it waits for; None if no time holds
            it back.
        wait_reason: why it waits until then.
        retry: which failed attempts are followed by another; None if only `max_attempts` says it.
        returns_to: the name of the worker that gets the next attempt while it is connected, or "".
        retried_at: when it last began anew after it was settled; None for never.
        former_attempts: how many attempts it had before that; they count towards no limit.
        named_by: how many tasks depend on it or are its children, including settled ones.
        dependents: the tasks that depend on it.
        children: the tasks that are cancelled with it, by id; None for none.
        place: the number of the task whose place in the queue it has; None for its own.
        queue_entry: its entry in the task queue while it waits there; only the queue reads it.
        decision: the decision that assigned its last attempt.
        questions: what it has asked people, by key, since it last began anew; None for nothing.
        forgotten: the number of occurrences dropped from the story.
    """

    task_id: TaskId
    task: Task
    sequence: int
    added_at: float
    added: Task = field(init=False)
    packed: bytes | None = field(init=False, default=None)
    status: TaskStatus = TaskStatus.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    failures: int = 0
    losses: int = 0
    failed_by: frozenset[str] = frozenset()
    declined_by: frozenset[str] = frozenset()
    result: TaskResult | None = None
    error_message: str | None = None
    failure: FailedAttempt | None = None
    finished_at: float | None = None
    progress: float = 0.0
    note: str = ""
    unfinished: int = 0
    wait_until: float | None = None
    wait_reason: str = ""
    retry: Retry | None = None
    returns_to: str = ""
    retried_at: float | None = None
    former_attempts: int = 0
    named_by: int = 0
    dependents: list[TaskRecord] | None = None
    children: dict[TaskId, TaskRecord] | None = None
    place: int | None = None
    queue_entry: object | None = None
    decision: Decision | None = None
    questions: dict[str, TaskQuestion] | None = None
    forgotten: int = 0
    _story: list[Occurrence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.added = self.task

    @property
    def error_traceback(self) -> str | None:
        """The traceback that belongs to the error message, None if it has none."""
        if self.result is not None:
            return self.result.error_traceback
        failure = self.failure
        if failure is None or failure.error != self.error_message:
            return None
        return failure.traceback

    @property
    def since(self) -> float:
        """When it was added, or last began anew; its time limits count from then."""
        return self.added_at if self.retried_at is None else self.retried_at

    @property
    def current_attempts(self) -> list[Attempt]:
        """Its attempts since it was added, or since it last began anew."""
        return self.attempts[self.former_attempts :] if self.former_attempts else self.attempts

    @property
    def max_attempts(self) -> int:
        """How many attempts it has; see `max_attempts_of` for one with a ladder."""
        return self.task.max_attempts if self.retry is None else self.retry.max_attempts

    @property
    def attempt(self) -> int:
        """The number of the last attempt, 0 if there was none."""
        return len(self.attempts)

    @property
    def worker(self) -> str:
        """The name of the worker of the last attempt, or ""."""
        return self.attempts[-1].worker.name if self.attempts else ""

    @property
    def assigned_at(self) -> float | None:
        """When it was last assigned, None if never."""
        return self.attempts[-1].started_at if self.attempts else None

    @property
    def deadline(self) -> float | None:
        """The deadline of the last attempt; None if it has none."""
        return self.attempts[-1].deadline if self.attempts else None

    @property
    def suspended_for(self) -> str:
        """What its suspended attempt waits for, such as "waits for 3 subtasks"; "" if none does."""
        return self.attempts[-1].suspended_for if self.attempts else ""

    @property
    def story(self) -> tuple[Occurrence, ...]:
        """The latest `MAX_STORY` occurrences of the task, the oldest first."""
        return tuple(self._story)

    @property
    def cancellation(self) -> CancellationFacts | None:
        """Why it is cancelled, None if it is not."""
        if self.status is not TaskStatus.CANCELLED:
            return None
        for each in reversed(self._story):
            if each.what is OccurrenceKind.TASK_CANCELLED:
                return each.facts if isinstance(each.facts, CancellationFacts) else None
        return None

    def move_to(self, at: float) -> None:
        """Set the time of all past occurrences, in seconds."""
        # A datetime stays what it is, and seconds count from the new time.
        later_s = 0.0 if isinstance(self.task.not_before, datetime) else at - self.added_at
        self.added_at = at
        self.finished_at = None if self.finished_at is None else at
        self.wait_until = None if self.wait_until is None else self.wait_until + later_s
        self._story = [move_occurrence(each, at, later_s) for each in self._story]

    def add_occurrence(self, occurrence: Occurrence) -> None:
        """Add an occurrence to the story.

        Of consecutive progress reports or ignored results only the latest is kept, so that a worker
        that sends many does not displace other occurrences. So it is with suspensions.
        """
        story = self._story
        if story:
            last = story[-1].what
            if last is occurrence.what and last in _REPLACED_BY_THE_NEXT:
                self.forgotten += 1
                story[-1] = occurrence
                return
            is_again = last is _RESUMED and occurrence.what is _SUSPENDED
            if is_again and len(story) > 1 and story[-2].what is _SUSPENDED:
                self.forgotten += 2
                del story[-2:]
            if len(story) == MAX_STORY:
                self.forgotten += 1
                del story[0]
        story.append(occurrence)
