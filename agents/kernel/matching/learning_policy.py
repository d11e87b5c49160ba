"""The protocol of policies that learn from results and choose pairs of tasks and workers."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
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


class WaitingHead(NamedTuple):
    """The most urgent task of a group: tasks of one kind that failed at the same workers.

    Args:
        task: the task.
        kind: the type of the task and its group by the policy; equal for all tasks of the kind.
        able: the connected workers that may run it by hard facts: they have the handler and the
            skills that the task insists on, and have not failed it unless everybody has.
        failed_by: the names of the workers at which it failed.
        failures: how many attempts at it failed.
        attempts_left: how many attempts are left, this one included; 1 or more.
        waits_since: when it began to wait, in seconds of the board.
        backlog: how many tasks wait in the group.
    """

    task: Task
    kind: Hashable
    able: frozenset[WorkerRecord]
    failed_by: frozenset[str]
    failures: int
    attempts_left: int
    waits_since: float
    backlog: int


class WaitingTasks(NamedTuple):
    """The tasks and workers among which a learning policy chooses.

    Args:
        heads: the heads of the groups with the highest urgency, the most urgent first; bounded.
        free: the workers with a free slot.
        budget_left: the cost that may still be spent; None for no limit.
    """

    heads: Sequence[WaitingHead]
    free: Collection[WorkerRecord]
    budget_left: float | None


class Choice(NamedTuple):
    """A pair that a learning policy has chosen.

    Args:
        head: one of the heads that were offered.
        worker: one of the free workers that may run it.
        figures: what the policy knew of the workers that it considered, the chosen one first.
    """

    head: WaitingHead
    worker: WorkerRecord
    figures: tuple[WorkerFigures, ...] = ()


class Hold(NamedTuple):
    """Why a task is held back although a worker that may run it is free.

    Args:
        worker: the name of the worker for which it waits.
        until: when it stops waiting for that worker, in seconds of the board.
        figures: what the policy knows of the workers, the one that it waits for first.
    """

    worker: str
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

    def choose(self, waiting: WaitingTasks, now: float) -> Choice | None:
        """Choose the next pair; called until it returns None.

        Args:
            waiting: the tasks and workers to choose from.
            now: the time in seconds of the board.

        Returns:
            A pair; None if all these tasks had better wait.
        """
        ...

    def hold(self, head: WaitingHead, now: float) -> Hold | None:
        """For which worker a task is held back, and until when at most; None if it is not.

        The board asks for the next choice at that time, so nothing waits for ever.
        """
        ...

    def wakes_at(self) -> float | None:
        """When a task that the last `choose` held back is due; None if it held none back."""
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
