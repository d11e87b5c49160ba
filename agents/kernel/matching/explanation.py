"""Why a task stands where it stands: who was considered for it, or what it waits for.

At the decision only names and numbers are kept, and what many decisions share is shared; the words
are made when somebody asks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from ....messages import TaskId, TaskStatus
from ..model.records import AttemptOutcome, TaskRecord, WorkerRecord

MAX_NAMED = 8
"""How many workers an explanation names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Considered:
    """One worker that was looked at for a task.

    Args:
        worker: its name.
        score: its score, None if it was not even scored.
        verdict: why it got the task or did not, for people.
    """

    worker: str
    score: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task stands where it stands.

    Args:
        task_id: which task.
        status: where it stands.
        policy: the name of the policy that decides.
        headline: the answer in one line.
        considered: the workers looked at, the chosen one first; `MAX_NAMED` at most.
        others: how many more were looked at.
        remarks: what else is to be known about the task, a line each.
    """

    task_id: TaskId
    status: TaskStatus
    policy: str
    headline: str
    considered: tuple[Considered, ...] = ()
    others: int = 0
    remarks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The whole answer, a line each."""
        told = [f"task {self.task_id} {self.headline}"]
        told += [f"  {each}" for each in self.remarks]
        told += [f"  {each.worker}: {each.verdict}" for each in self.considered]
        if self.others:
            told.append(f"  and {self.others} more")
        return told


class Candidates(NamedTuple):
    """Who could do tasks of one kind, as long as nobody came or went; shared by decisions.

    Args:
        able: names and slots of those that could; enough of them, not all.
        failed: names of those that could, but at which the task had failed.
        unable: names of those that could not, and why.
        is_recovery: whether the task had failed before.
        in_all: how many workers there were.
    """

    able: tuple[tuple[str, int], ...]
    failed: tuple[str, ...]
    unable: tuple[tuple[str, str], ...]
    is_recovery: bool
    in_all: int

    @classmethod
    def of(
        cls,
        able: Sequence[tuple[str, int]],
        unable: Sequence[tuple[str, str]],
        avoided: frozenset[str],
    ) -> Candidates:
        """Sum up who can do a task: those at which it failed only if nobody else can."""
        untried = [each for each in able if each[0] not in avoided]
        failed = [name for name, _ in able if name in avoided] if untried else []
        # Named are those that were scored and, behind them, as many that were busy.
        eligible = tuple(untried or able)[: 2 * MAX_NAMED]
        return cls(
            eligible,
            tuple(failed[:MAX_NAMED]),
            tuple(unable[:MAX_NAMED]),
            bool(avoided),
            len(able) + len(unable),
        )


class Decision(NamedTuple):
    """What is kept of a decision.

    Args:
        attempt: the attempt it led to.
        lineup: who could do the task.
        scored: names and scores of the free workers that could, the best first; not all of them.
        scored_count: how many these were in all.
    """

    attempt: int
    lineup: Candidates
    scored: tuple[tuple[str, float], ...]
    scored_count: int


def explain_decision(record: TaskRecord, policy: str) -> Explanation:
    """Tell why a task was last given to whom it was given, and what became of it."""
    headline = _tell_state(record)
    decision = record.decision
    if decision is None:
        return Explanation(record.task_id, record.status, policy, headline)
    considered = [*_scored(decision), *_busy(decision), *_passed_over(decision.lineup, record)]
    named = tuple(considered[:MAX_NAMED])
    others = decision.lineup.in_all - len(named)
    return Explanation(record.task_id, record.status, policy, headline, named, others)


def explain_wait(
    record: TaskRecord,
    policy: str,
    headline: str,
    lineup: Candidates | None = None,
    workers: Iterable[WorkerRecord] = (),
    *,
    held_back: Container[str] = (),
    held: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Explanation:
    """Tell what a task waits for, and how it stands with the workers that are connected.

    Args:
        record: the task.
        policy: the name of the policy that decides.
        headline: what it waits for, in one line.
        lineup: who could do it; None if that plays no part yet.
        workers: the workers that are connected.
        held_back: the names of the workers that are not given all their slots, since they have
            failed.
        held: by the workers' names, what holds their slots though it was to stop.
    """
    if record.error_message is not None:
        headline = f"{headline} (its last failure: {record.error_message})"
    if lineup is None:
        return Explanation(record.task_id, record.status, policy, headline)
    taken = {worker.name: worker.taken for worker in workers}
    considered: list[Considered] = []
    for name, slots in lineup.able:
        is_free = taken[name] < slots
        verdict = "free" if is_free else f"busy {taken[name]}/{slots} slots"
        if is_free and name in held_back:
            verdict = f"busy {taken[name]}/{slots} slots, and given no more since it has failed"
        verdict = "; ".join((verdict, *held.get(name, ())[:MAX_NAMED]))
        considered.append(Considered(name, None, verdict))
    considered += _passed_over(lineup, record)
    named = tuple(considered[:MAX_NAMED])
    others = lineup.in_all - len(named)
    return Explanation(record.task_id, record.status, policy, headline, named, others)


def describe_dependencies(unfinished: Sequence[TaskRecord]) -> str:
    """The tasks that another waits for, with their status."""
    named = ", ".join(
        f"task {each.task_id} ({each.status.label.lower()})" for each in unfinished[:MAX_NAMED]
    )
    more = len(unfinished) - MAX_NAMED
    return f"waits for {named}" + (f" and {more} more" if more > 0 else "")


def _tell_state(record: TaskRecord) -> str:
    at = f"attempt {record.attempt} at {record.worker}"
    match record.status:
        case TaskStatus.IN_PROGRESS if record.attempts[-1].is_ahead:
            return f"waits for a slot at {record.worker}, where it was sent ahead: {at}"
        case TaskStatus.IN_PROGRESS:
            return f"is in progress: {at}"
        case TaskStatus.COMPLETED if record.result is not None:
            return f"is completed: attempt {record.result.attempt} at {record.result.worker}"
        case TaskStatus.FAILED if record.result is not None:
            return f"failed: {at}: {record.error_message}"
        case TaskStatus.FAILED:
            return f"failed: {record.error_message}"
        case _:
            error = (record.error_message or "").removeprefix("cancelled: ")
            return f"is {record.status.value}: {error}"


def _scored(decision: Decision) -> list[Considered]:
    (name, best), *rest = decision.scored
    why = ", the most skilled first since it had failed before"
    verdict = f"chosen with score {best:.2f}" + (why if decision.lineup.is_recovery else "")
    told = [Considered(name, best, verdict)]
    for name, score in rest:
        verdict = f"score {score:.2f}, below {best:.2f}"
        if score == best:
            verdict = f"score {score:.2f}, the same, but later in order"
        told.append(Considered(name, score, verdict))
    return told


def _busy(decision: Decision) -> list[Considered]:
    if decision.scored_count > MAX_NAMED:
        return []
    scored = {name for name, _ in decision.scored}
    # Whoever could do it and was not scored had no slot left.
    return [
        Considered(name, None, f"busy {slots}/{slots} slots")
        for name, slots in decision.lineup.able
        if name not in scored
    ]


def _passed_over(lineup: Candidates, record: TaskRecord) -> list[Considered]:
    failed = [Considered(name, None, _failed_attempt(name, record)) for name in lineup.failed]
    return failed + [Considered(name, None, reason) for name, reason in lineup.unable]


def _failed_attempt(name: str, record: TaskRecord) -> str:
    numbers = [
        str(attempt.number)
        for attempt in record.attempts
        if attempt.worker.name == name
        and attempt.ending in (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT)
    ]
    return f"failed attempt {', '.join(numbers)}" if numbers else "failed it before"
