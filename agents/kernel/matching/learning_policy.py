"""The protocol of policies that learn from results and choose pairs of tasks and workers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from ....messages import Payload, Task
from ..model.decision import WorkerFigures
from .policies import MatchingPolicy

if TYPE_CHECKING:
    from ..model.records import AttemptOutcome, WorkerRecord


class SettledAttempt(NamedTuple):
    """An attempt that has ended, as a learning policy is told of it.

    Args:
        task: the task.
        worker: the worker that had the attempt.
        attempt: the number of the attempt, from 1.
        outcome: how it ended.
        duration_s: how long it took, in seconds; 0 if it never began.
        error_kind: the kind of its error; "" for a success.
        quality: a grade from 0 to 1; None if nobody gave one.
        cost: what it cost, in the manager's unit of cost; 0 or more.
        counts_as_skill: whether its outcome tells something about the worker's skill. It does not
            if the attempt was lost, cancelled, declined or never begun, or if it failed for want of
            something that is nobody's skill, such as a connection.
        at: the time at which it ended, in seconds of the board.
    """

    task: Task
    worker: WorkerRecord
    attempt: int
    outcome: AttemptOutcome
    duration_s: float
    error_kind: str
    quality: float | None
    cost: float
    counts_as_skill: bool
    at: float


class WaitingHead(Protocol):
    """The most urgent task of a group: tasks of one type and group that failed at the same workers.

    The object is the same as long as the group exists; its fields follow the queue.
    """

    task: Task
    """The task."""
    able: frozenset[WorkerRecord]
    """The connected workers that may run it by hard facts, without those at which it failed; these
    are included if there are no others."""
    failed_by: frozenset[str]
    """The names of the workers at which it failed."""
    level: float
    """The first value of its urgency; tasks of a lower level come first."""
    waits_since: float
    """When it began to wait, in seconds of the board."""
    count: int
    """How many tasks wait in the group."""
    notes: object
    """For the policy, which may keep here what it knows of the group; None at first."""

    @property
    def attempts_left(self) -> int:
        """How many attempts at it are left, the next one included; 1 or more."""
        ...


class WaitingTasks(NamedTuple):
    """The tasks and workers among which a learning policy chooses.

    Args:
        heads: the heads of the groups, the most urgent first; it changes with each choice.
        free: the workers with a free slot; it changes with each choice.
        thrift: how much of a success one unit of cost is worth.
        budget_left: the cost that may still be spent; None for no limit.
        is_ahead: whether the workers are busy, and prefetch the tasks.
        version: a number that changes when a group is offered that was not offered before.
    """

    heads: Sequence[WaitingHead]
    free: Collection[WorkerRecord]
    thrift: float
    budget_left: float | None
    is_ahead: bool
    version: int


class Choice(NamedTuple):
    """A pair that a learning policy has chosen.

    Args:
        head: one of the heads that were offered.
        worker: one of the free workers that may run it.
        figures: what the policy expected of the workers that it considered, the chosen one first.
    """

    head: WaitingHead
    worker: WorkerRecord
    figures: tuple[WorkerFigures, ...] = ()


class Hold(NamedTuple):
    """Why a task is held back although a worker that may run it is free.

    Args:
        reason: what it waits for, as text for people.
        until: when it may go to another worker, in seconds of the board; infinite if it waits
            until a worker is free.
        figures: what the policy expects of the workers, the one that it waits for first.
    """

    reason: str
    until: float
    figures: tuple[WorkerFigures, ...] = ()


@runtime_checkable
class LearningPolicy(MatchingPolicy, Protocol):
    """A policy that learns from results, and chooses pairs of a task and a worker.

    It has no clock and no randomness of its own: what it decides follows from its calls alone. The
    board tells it of every attempt that has ended before it asks for the next choice. It also asks
    it about the retries of failed tasks.

    `obstacle` gives hard facts alone, since a worker with an obstacle is never offered.
    """

    def learn(self, settled: SettledAttempt) -> None:
        """Note an attempt that has ended; called before the next choice, so it must be cheap."""
        ...

    def meet(self, workers: Sequence[WorkerRecord]) -> None:
        """Note which connected workers may get tasks; called whenever that changes.

        Args:
            workers: the workers in their order, without those in quarantine or retiring.
        """
        ...

    def choose(self, waiting: WaitingTasks, now: float) -> Iterator[Choice]:
        """Choose pairs, one after the other, until all that is left had better wait.

        Each pair is carried out before the next one is requested: `waiting` has changed then. The
        board may stop requesting at any time.

        Args:
            waiting: the tasks and workers to choose from.
            now: the time in seconds of the board.
        """
        ...

    def hold(self, head: WaitingHead, now: float) -> Hold | None:
        """For which worker a task is held back, and until when at most; for explanations."""
        ...

    def suits(self, task: Task, worker: WorkerRecord) -> bool:
        """Whether a task that waits at a busy worker had better go to this free one."""
        ...

    def wakes_at(self) -> float | None:
        """When a task that the last `choose` held back may go to another worker; None for never."""
        ...

    def export_state(self) -> Mapping[str, Payload]:
        """What it has learned, as plain values; see `restore_state`."""
        ...

    def restore_state(self, state: Mapping[str, Payload]) -> None:
        """Continue with what `export_state` returned.

        Raises:
            InvalidInput: the state is not readable; the message names the value and its place.
        """
        ...
