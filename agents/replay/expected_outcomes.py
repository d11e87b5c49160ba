"""How attempts of a replay end: as they were seen to end, or else as the record lets expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...messages import Task, TaskId
from ..kernel.matching.learning_policy import SettledAttempt
from ..kernel.matching.scorecards.scorecards import Scorecards
from ..kernel.matching.scorecards.skill_errors import is_skill_error
from ..kernel.model.error_kind import error_kind
from ..kernel.model.records import AttemptOutcome, WorkerRecord
from .recorded_run import RecordedAttempt, RecordedRun

_TIMED_OUT = "timed out: its duration is above the timeout"


class ExpectedOutcome(NamedTuple):
    """How an attempt of a replay ends.

    Args:
        is_success: whether it succeeds.
        duration_s: how long it takes, in seconds.
        cost: what it costs.
        quality: the grade of its output; None for none.
        error: its error message; "" for a success.
        is_seen: whether an attempt of this worker at this task was recorded.
        is_declined: whether the worker declines the task.
    """

    is_success: bool
    duration_s: float
    cost: float
    quality: float | None
    error: str
    is_seen: bool
    is_declined: bool = False


class ExpectedOutcomes:
    """Tells how attempts end. It draws nothing at random.

    Where the worker was seen to try the task, the attempt ends in the same way and as soon.
    Otherwise scorecards tell the chance of success, and the successes of a worker at a type are
    spread evenly, so that their number is the expected one.

    Args:
        recorded: the recorded run, of which the scorecards are made.
    """

    def __init__(self, recorded: RecordedRun) -> None:
        self._seen: dict[tuple[TaskId, str], list[RecordedAttempt]] = {}
        self._tried: dict[tuple[TaskId, str], int] = {}
        # By worker and type: by how much there were too few successes so far.
        self._owed: dict[tuple[str, str], float] = {}
        self._failed_s: dict[tuple[str, str], tuple[int, float]] = {}
        self._costs: dict[str, tuple[int, float]] = {}
        self._scorecards = _learn(recorded)
        for attempt in recorded.attempts:
            count, total = self._costs.get(attempt.worker, (0, 0.0))
            self._costs[attempt.worker] = (count + 1, total + attempt.cost)
            self._seen.setdefault((attempt.task_id, attempt.worker), []).append(attempt)
            if attempt.outcome is AttemptOutcome.FAILED:
                key = (attempt.worker, recorded.tasks[attempt.task_id].type)
                count, total_s = self._failed_s.get(key, (0, 0.0))
                self._failed_s[key] = (count + 1, total_s + attempt.duration_s)

    def chance(self, task: Task, worker: WorkerRecord) -> float:
        """The chance of success of a worker at a task, 0 to 1, as the record lets expect."""
        return self._scorecards.chance(worker, task).success

    def next(self, task: Task, worker: WorkerRecord) -> ExpectedOutcome:
        """How the next attempt of a worker at a task ends."""
        pair = (task.id, worker.name)
        seen = self._seen.get(pair)
        if seen is None:
            return self.expect(task, worker)
        number = self._tried.get(pair, 0)
        self._tried[pair] = number + 1
        attempt = seen[min(number, len(seen) - 1)]
        return ExpectedOutcome(
            attempt.outcome is AttemptOutcome.SUCCEEDED,
            attempt.duration_s,
            attempt.cost,
            attempt.quality,
            attempt.error,
            is_seen=True,
            is_declined=attempt.outcome is AttemptOutcome.DECLINED,
        )

    def times_seen(self, task: Task, worker: WorkerRecord) -> int:
        """How often a worker was seen to try a task."""
        return len(self._seen.get((task.id, worker.name), ()))

    def expect(self, task: Task, worker: WorkerRecord) -> ExpectedOutcome:
        """How an attempt ends that was not seen."""
        key = (worker.name, task.type)
        owed = self._owed.get(key, 0.0) + self._scorecards.chance(worker, task).success
        is_success = owed >= 0.5  # noqa: PLR2004 - rounded to the nearest
        self._owed[key] = owed - 1.0 if is_success else owed
        duration_s = self._scorecards.expected_s(worker, task)
        if not is_success and key in self._failed_s:
            count, total_s = self._failed_s[key]
            duration_s = total_s / count
        error = "" if is_success else "expected failure"
        if task.timeout is not None and duration_s > task.timeout:
            is_success, duration_s, error = False, task.timeout, _TIMED_OUT
        cost = worker.cost_per_task + worker.cost_per_s * duration_s
        if not cost:
            cost = self._scorecards.expected_cost(worker, task) or self._mean_cost(worker)
        return ExpectedOutcome(is_success, duration_s, cost, None, error, is_seen=False)

    def _mean_cost(self, worker: WorkerRecord) -> float:
        """What its attempts at all types have cost on average: at this one it has none."""
        count, total = self._costs.get(worker.name, (0, 0.0))
        return total / count if count else 0.0


def _learn(recorded: RecordedRun) -> Scorecards:
    scorecards = Scorecards()
    workers: Mapping[str, WorkerRecord] = {
        name: WorkerRecord(profile, "", "", order, 0.0, 0.0)
        for order, (name, profile) in enumerate(recorded.profiles.items())
    }
    for each in recorded.attempts:
        kind = error_kind(each.error)
        scorecards.learn(
            SettledAttempt(
                recorded.tasks[each.task_id],
                workers[each.worker],
                each.number,
                each.outcome,
                each.duration_s,
                kind,
                each.quality,
                each.cost,
                each.outcome is not AttemptOutcome.DECLINED
                and (not each.error or is_skill_error(kind, each.error)),
                each.ended_at,
            )
        )
        scorecards.settle()
    return scorecards
