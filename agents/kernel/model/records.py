"""What the board keeps about tasks and workers, and the rules it goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal

from ....messages import InvalidInput, Task, TaskId, TaskResult, TaskStatus, WorkerProfile
from .duration_estimate import DurationEstimate
from .events import Occurrence, OccurrenceKind, WorkerId

if TYPE_CHECKING:
    from ..matching.explanation import Decision
    from ..matching.task_queue import QueueEntry

MAX_STORY = 64
"""How many occurrences of a task are kept: the latest."""

MAX_AHEAD = 1_000
"""How many tasks a worker may hold beyond its slots."""

LONGEST_PREFETCH_S = 10.0

MAX_WORKERS = 4_096
"""How many workers may be connected to a manager, unless it is told otherwise."""

_REPLACED_BY_THE_NEXT = frozenset(
    {OccurrenceKind.TASK_PROGRESSED, OccurrenceKind.RESULT_IGNORED, OccurrenceKind.SLOT_HELD}
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a board goes by.

    Args:
        expected_workers: how many workers to wait for; 0 begins with the first.
        roster: the names of those to wait for, in the order in which they get tasks.
        join_timeout_s: how long to wait for them, in seconds; None waits for ever.
        on_missing: whether then to "start" with those present or to "fail".
        lost_after_s: after how many seconds of silence a worker counts as lost.
        heartbeat_s: how often a worker is to be heard, in seconds.
        time_scale: how many seconds a second of a task's timeout lasts.
        unmatched_after_s: how long a task waits, in seconds, that no connected worker can do,
            before it fails; None waits for ever.
        max_losses: how often a task's worker may be lost before the task fails.
        ends_when_done: whether the run ends as soon as every task is settled.
        confirms_end: whether it ends only with `RestConfirmed`, since the user may still add tasks.
        allow: the names of those who may come; None lets in everyone.
        max_workers: how many may be connected at the same time, 1 or more.
        reassigns_failed: whether a task that has used up its attempts is tried once more at each
            connected worker that could do it and has not failed it yet.
        quarantine_after: after how many failures in a row a worker is given nothing for a while;
            None never.
        quarantine_s: for how long, in seconds.
        prefetch_s: how much work, in seconds, a worker may hold beyond each of its slots; 0 gives
            it none. With `quarantine_after` no more than may fail before a quarantine begins.

    Raises:
        InvalidInput: one of them is out of range.
    """

    expected_workers: int = 0
    roster: tuple[str, ...] = ()
    join_timeout_s: float | None = None
    on_missing: Literal["fail", "start"] = "fail"
    lost_after_s: float = 10.0
    heartbeat_s: float = 2.0
    time_scale: float = 1.0
    unmatched_after_s: float | None = 30.0
    max_losses: int = 10
    ends_when_done: bool = True
    confirms_end: bool = False
    allow: tuple[str, ...] | None = None
    max_workers: int = MAX_WORKERS
    reassigns_failed: bool = False
    quarantine_after: int | None = None
    quarantine_s: float = 60.0
    prefetch_s: float = 0.0

    @property
    def return_within_s(self) -> float:
        """How long a manager that took over a run waits for the workers of the former one.

        A worker may first miss its manager for `lost_after_s`; then it has as long for the way.
        """
        return 2 * self.lost_after_s

    def __post_init__(self) -> None:
        for name in ("expected_workers", "max_losses"):
            count: int = getattr(self, name)
            if count < 0:
                raise InvalidInput(f"{name} is {count}; it must be 0 or more")
        if self.max_workers < max(self.expected_workers, len(self.roster), 1):
            raise InvalidInput(
                f"max_workers is {self.max_workers}; it must be 1 or more, and not less than the "
                f"{max(self.expected_workers, len(self.roster))} workers that are waited for"
            )
        if self.quarantine_after is not None and self.quarantine_after < 1:
            raise InvalidInput(
                f"quarantine_after is {self.quarantine_after}; it must be 1 or more, or None"
            )
        for name in ("lost_after_s", "heartbeat_s", "time_scale", "quarantine_s"):
            seconds: float = getattr(self, name)
            if not (seconds > 0 and math.isfinite(seconds)):
                raise InvalidInput(f"{name} is {seconds}; it must be above 0")
        if not 0 <= self.prefetch_s <= LONGEST_PREFETCH_S:
            raise InvalidInput(
                f"prefetch_s is {self.prefetch_s}; it must be from 0 to {LONGEST_PREFETCH_S:g}"
            )
        for name in ("join_timeout_s", "unmatched_after_s"):
            patience_s: float | None = getattr(self, name)
            if patience_s is not None and not patience_s >= 0:
                raise InvalidInput(f"{name} is {patience_s}; it must be 0 or more, or None")
        if self.on_missing not in ("fail", "start"):
            raise InvalidInput(f"on_missing is {self.on_missing!r}; it must be 'fail' or 'start'")
        doubled = {name for name in self.roster if self.roster.count(name) > 1}
        if doubled:
            raise InvalidInput(f"the roster names {min(doubled)!r} twice")
        if self.allow is not None:
            if not self.allow:
                raise InvalidInput("allow names nobody; name those who may come, or leave it out")
            missing = set(self.roster) - set(self.allow)
            if missing:
                raise InvalidInput(f"{min(missing)!r} is waited for, but allow does not name it")


class AttemptOutcome(str, Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LOST = "lost"
    CANCELLED = "cancelled"
    OVERTAKEN = "overtaken"
    NOT_BEGUN = "not begun"


@dataclass(slots=True, eq=False)
class WorkerStats:
    """What a worker has done, over all its starts.

    Args:
        completed_tasks: attempts that it brought to an end, well or not, those that timed out too.
        successful_tasks: those of them that succeeded.
        total_time: seconds they took, by the worker's own account.
        busy_time: seconds for which tasks were leased to it, slot by slot.
    """

    completed_tasks: int = 0
    successful_tasks: int = 0
    total_time: float = 0.0
    busy_time: float = 0.0

    @property
    def success_rate(self) -> float:
        """The share of attempts that succeeded, 0 to 1; 0 before it has ended any."""
        return self.successful_tasks / self.completed_tasks if self.completed_tasks else 0.0


@dataclass(slots=True, eq=False)
class WorkerRecord:
    """A worker by its name, through all its starts.

    Args:
        profile: what it says of itself; see `introduce`.
        worker_id: where it is, or was, reached.
        session: its number for this start.
        call: which of this start's conversations it is in.
        order: its place among the workers: first those of the roster, then as they came.
        joined_at: when it first came.
        last_heard_at: when something last arrived from it.
        alive: whether it is connected.
        lost_at: when it was lost or left, None while it is connected.
        awaited_until: until when it may come back to the leases that it had from a manager that is
            no more; None if it is not away like this.
        running: the attempts leased to it, by task and number.
        stopping: attempts it was told to stop, which hold their slots until it confirms.
        ahead: the attempts leased to it that wait there for a slot, in the order of their coming.
        ahead_s: how long they will take, in seconds.
        withdrawn: attempts that it was told to let go of while they waited there.
        stats: what it has done.
        failures_in_a_row: how many of its attempts failed or timed out since one succeeded.
        quarantined_until: until when it is given nothing because of them; None if it is not.
        is_retiring: whether it was told to stop because it is not needed any more.
        name: its name, out of its profile, as what follows.
        skill_level: what it can do.
        specialties: types of task for which its skill counts more.
        slots: how many tasks it runs at once.
        task_types: types it has handlers for; None takes any.
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
    stopping: set[tuple[TaskId, int]] = field(default_factory=set)
    ahead: dict[tuple[TaskId, int], TaskRecord] = field(default_factory=dict)
    ahead_s: float = 0.0
    withdrawn: set[tuple[TaskId, int]] = field(default_factory=set)
    stats: WorkerStats = field(default_factory=WorkerStats)
    failures_in_a_row: int = 0
    quarantined_until: float | None = None
    is_retiring: bool = False
    name: str = field(init=False)
    skill_level: int = field(init=False)
    specialties: frozenset[str] = field(init=False)
    slots: int = field(init=False)
    task_types: frozenset[str] | None = field(init=False)

    def __post_init__(self) -> None:
        self.introduce(self.profile)

    def introduce(self, profile: WorkerProfile) -> None:
        """Take in what it says of itself."""
        self.profile = profile
        # The matching asks for these so often that a look into the profile would cost too much.
        self.name = profile.name
        self.skill_level = profile.skill_level
        self.specialties = frozenset(profile.specialties)
        self.slots = profile.slots
        self.task_types = None if profile.task_types is None else frozenset(profile.task_types)

    @property
    def may_have_leases(self) -> bool:
        """Whether it is connected, or away and awaited."""
        return self.alive or self.awaited_until is not None

    @property
    def taken(self) -> int:
        """How many of its slots are taken."""
        return len(self.running) + len(self.stopping)

    @property
    def is_free(self) -> bool:
        """Whether it may be given a task right now."""
        return (
            self.quarantined_until is None
            and not self.is_retiring
            and len(self.running) + len(self.stopping) < self.slots
        )

    @property
    def load(self) -> float:
        """The share of its slots that is taken, 0 to 1."""
        return self.taken / self.slots

    def most_ahead(self, quarantine_after: int | None) -> int:
        """How many tasks it may hold ahead of its slots.

        A worker begins with them on its own. So they are no more than may fail, with those that it
        runs, before its quarantine begins: then none is left to be begun.

        Args:
            quarantine_after: after how many failures in a row that is; None never.
        """
        if quarantine_after is None:
            return MAX_AHEAD
        may_fail = quarantine_after - self.failures_in_a_row - len(self.running)
        return min(max(may_fail, 0), MAX_AHEAD)

    def room_ahead_s(self, prefetch_s: float) -> float:
        """How much more work it may get ahead of its free slots, in seconds; 0 if none for now.

        It gets nothing more before it has done half of what it had, so that much goes at once.

        Args:
            prefetch_s: how much it may hold beyond each slot, in seconds.
        """
        whole_s = prefetch_s * self.slots
        if (
            self.ahead_s > whole_s / 2
            or len(self.ahead) > MAX_AHEAD // 2
            or self.quarantined_until is not None
            or self.is_retiring
        ):
            return 0.0
        return whole_s - self.ahead_s


@dataclass(slots=True, eq=False)
class Attempt:
    """One lease of a task to a worker.

    Args:
        number: which attempt at the task, from 1.
        worker: the worker it was leased to.
        task: the task.
        started_at: when it was assigned, or got a slot if it had to wait for one.
        timeout_s: how long it may take, in seconds of the story; None for no limit.
        deadline: when it times out, or None.
        ending: how it ended; None while the lease holds.
        ended_at: when it ended; None while the lease holds.
        is_reported: whether its worker has told how it went.
        is_ahead: whether it waits at its worker for a slot.
        is_recalled: whether its worker was asked for it back.
        asked_at: when its worker was last asked whether it holds it; None if it never was.
        expected_s: how long it should take, in seconds, if it was sent ahead.
        usual: what is learnt from how long it takes; None if nothing is.
    """

    number: int
    worker: WorkerRecord
    task: TaskRecord
    started_at: float
    timeout_s: float | None
    deadline: float | None
    ending: AttemptOutcome | None = None
    is_reported: bool = False
    is_ahead: bool = False
    is_recalled: bool = False
    asked_at: float | None = None
    expected_s: float = 0.0
    usual: DurationEstimate | None = None
    ended_at: float | None = None

    def due_at(self) -> float | None:
        """When the lease must be looked at, None if never."""
        return self.deadline if self.ending is None else None


@dataclass(slots=True, eq=False)
class TaskRecord:
    """Where a task stands and how it came there.

    Args:
        task_id: the task's id.
        task: the task.
        sequence: its place in the order of adding.
        added_at: when it was added.
        added: the task as it was added; its priority may have been changed since.
        packed: the same, packed; None if nobody has packed it, or it is large.
        status: where it stands.
        attempts: its leases; bounded by its attempts and the losses it may suffer.
        failures: how many attempts failed or timed out.
        losses: how many ended because their worker was lost.
        failed_by: the names of the workers at which it failed.
        result: the recorded result, None until then or if no worker had it.
        error_message: why it is not done, or why its last attempt failed; None once completed.
        finished_at: when it was settled, None before.
        progress: how far the running attempt has come, 0 to 100.
        note: the remark that came with it.
        unfinished: how many of the tasks it depends on are not completed.
        named_by: how many tasks depend on it or are its children, settled ones too.
        dependents: the tasks that depend on it.
        place: its place in the queue while it waits there.
        decision: why it was last given to whom it was given.
        forgotten: how many occurrences the story no longer holds.
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
    result: TaskResult | None = None
    error_message: str | None = None
    finished_at: float | None = None
    progress: float = 0.0
    note: str = ""
    unfinished: int = 0
    named_by: int = 0
    dependents: list[TaskRecord] | None = None
    place: QueueEntry | None = None
    decision: Decision | None = None
    forgotten: int = 0
    _story: list[Occurrence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.added = self.task

    @property
    def attempt(self) -> int:
        """The number of the last attempt, 0 if there was none."""
        return len(self.attempts)

    @property
    def worker(self) -> str:
        """The name of the worker that had it last, or ""."""
        return self.attempts[-1].worker.name if self.attempts else ""

    @property
    def assigned_at(self) -> float | None:
        """When it was last assigned, None if never."""
        return self.attempts[-1].started_at if self.attempts else None

    @property
    def deadline(self) -> float | None:
        """When the last attempt times out, or would have; None if it has no limit."""
        return self.attempts[-1].deadline if self.attempts else None

    @property
    def story(self) -> tuple[Occurrence, ...]:
        """What happened to it, the oldest first; the latest `MAX_STORY` occurrences."""
        return tuple(self._story)

    def move_to(self, at: float) -> None:
        """Let all that happened so far have happened at another time, in seconds."""
        self.added_at = at
        self.finished_at = None if self.finished_at is None else at
        self._story = [each._replace(at=at) for each in self._story]

    def tell(self, occurrence: Occurrence) -> None:
        """Add an occurrence to the story.

        Of progress in a row only the newest stays, and of ignored results too: a chatty worker
        must not push out what matters.
        """
        story = self._story
        if story:
            last = story[-1].what
            if last is occurrence.what and last in _REPLACED_BY_THE_NEXT:
                self.forgotten += 1
                story[-1] = occurrence
                return
            if len(story) == MAX_STORY:
                self.forgotten += 1
                del story[0]
        story.append(occurrence)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of a run at one moment; who takes it takes over the records in it.

    Args:
        tasks: the tasks, in the order of their adding.
        workers: the workers.
        began_at: when the assigning began, None if it has not.
        ended_at: when the run ended, None if it has not.
        failure: why it could not be carried through, or None.
        ignored: how many results did not count, by reason.
        policy: the name of the policy that said who gets which task.
        expected_workers: how many workers were waited for.
        roster: the names of those that were.
        heartbeat_s: how often a worker was to be heard, in seconds; None if that is not known.
        lost_after_s: after how many seconds of silence one counted as lost; None if not known.
    """

    tasks: list[TaskRecord] = field(default_factory=list)
    workers: list[WorkerRecord] = field(default_factory=list)
    began_at: float | None = None
    ended_at: float | None = None
    failure: str | None = None
    ignored: dict[str, int] = field(default_factory=dict[str, int])
    policy: str = ""
    expected_workers: int = 0
    roster: tuple[str, ...] = ()
    heartbeat_s: float | None = None
    lost_after_s: float | None = None


def describe_story(record: TaskRecord) -> str:
    """A task's story as one line, for error messages."""
    started = record.added_at
    told = [
        f"+{each.at - started:g} s {each.what.value}"
        + (f" {each.attempt}" if each.attempt else "")
        + (f" by {each.worker}" if each.worker else "")
        + (f" ({each.detail})" if each.detail else "")
        for each in record.story
    ]
    if record.forgotten:
        told.insert(0, f"{record.forgotten} earlier ones forgotten")
    return "; ".join(told)
