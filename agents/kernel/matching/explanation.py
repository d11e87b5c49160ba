"""Explains a task's status: which workers were considered for it, or what it waits for.

A decision stores only names and numbers, and decisions share common parts. The text is generated on
demand.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ....messages import TaskId, TaskStatus
from ..model.decision import MAX_NAMED, Candidates, Considered, Decision, WorkerFigures
from ..model.occurrences import RequeueFacts
from ..model.records import AttemptOutcome, TaskRecord, WorkerRecord

_SMALLEST_PRICE = 0.001
"""Lower prices of a second are not worth telling."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task has its status.

    Args:
        task_id: the task's id.
        status: the task's status.
        policy: the name of the matching policy.
        headline: the answer in one line.
        considered: the workers that were considered, the chosen one first; `MAX_NAMED` at most.
        others: how many more workers were considered.
        remarks: further facts about the task, one line each.
        traceback: the traceback of its last failure, as text; None if there is none.
    """

    task_id: TaskId
    status: TaskStatus
    policy: str
    headline: str
    considered: tuple[Considered, ...] = ()
    others: int = 0
    remarks: tuple[str, ...] = ()
    traceback: str | None = None

    def __str__(self) -> str:
        """The explanation as text."""
        return "\n".join(self.lines(with_traceback=True))

    def lines(self, *, with_traceback: bool = False) -> list[str]:
        """The explanation as lines of text.

        Args:
            with_traceback: whether the traceback of the last failure follows.
        """
        told = [f"task {self.task_id} {self.headline}"]
        told += [f"  {each}" for each in self.remarks]
        told += [f"  {each.worker}: {each.verdict}" for each in self.considered]
        if self.others:
            told.append(f"  and {self.others} more")
        if with_traceback and self.traceback is not None:
            told += [f"  {line}" for line in self.traceback.splitlines()]
        return told


def explain_decision(record: TaskRecord, policy: str) -> Explanation:
    """Explain the assignment of the last attempt at a task, and the task's status."""
    headline = _describe_status(record)
    decision = record.decision
    if decision is None:
        return Explanation(record.task_id, record.status, policy, headline)
    considered = [
        *_scored(decision, policy),
        *_busy(decision),
        *_passed_over(decision.candidates, record),
    ]
    named = tuple(considered[:MAX_NAMED])
    others = _count_others(decision.candidates, named)
    return Explanation(record.task_id, record.status, policy, headline, named, others)


def explain_wait(
    record: TaskRecord,
    policy: str,
    headline: str,
    candidates: Candidates | None = None,
    workers: Iterable[WorkerRecord] = (),
    *,
    held_back: Container[str] = (),
    held: Mapping[str, Sequence[str]] = MappingProxyType({}),
    figures: Sequence[WorkerFigures] = (),
    too_dear: Mapping[str, str] = MappingProxyType({}),
) -> Explanation:
    """Explain what a task waits for, and why no connected worker has it.

    Args:
        record: the task.
        policy: the name of the matching policy.
        headline: the reason for the wait, in one line.
        candidates: the workers that can run it; None if that does not matter yet.
        workers: the connected workers.
        held_back: the names of the workers that get no more tasks because their attempts failed.
        held: by worker name, the attempts that still hold slots after they were told to stop.
        figures: what a learning policy expects of the best of them.
        too_dear: by worker name, why the budget allows it no more tasks.
    """
    if record.error_message is not None:
        headline = f"{headline} (its last failure: {record.error_message})"
    if candidates is None:
        return Explanation(record.task_id, record.status, policy, headline)
    taken = {worker.name: worker.taken for worker in workers}
    expected = {each.worker: each for each in figures}
    considered: list[Considered] = []
    for name, slots in candidates.able:
        is_free = taken[name] < slots
        verdict = "free" if is_free else f"busy {taken[name]}/{slots} slots"
        if is_free and name in held_back:
            verdict = (
                f"{taken[name]}/{slots} slots in use; gets no more tasks because its last attempts "
                "failed (close to quarantine)"
            )
        elif is_free and name in too_dear:
            verdict = too_dear[name]
        verdict = "; ".join((verdict, *held.get(name, ())[:MAX_NAMED]))
        if name in expected:
            verdict += f"; {describe_figures(expected[name])}"
        considered.append(Considered(name, None, verdict))
    considered += _passed_over(candidates, record)
    named = tuple(considered[:MAX_NAMED])
    others = _count_others(candidates, named)
    return Explanation(record.task_id, record.status, policy, headline, named, others)


def _count_others(candidates: Candidates, named: Iterable[Considered]) -> int:
    # A worker is named twice that has failed an attempt, and may do the next one.
    return candidates.in_all - len({each.worker for each in named})


def describe_losses(record: TaskRecord) -> list[str]:
    """Which lost attempts of a task had told something, such as that a call may have been paid."""
    return [
        f"attempt {each.attempt} was lost with {each.worker}; it had told: {each.facts.note}"
        for each in record.story
        if isinstance(each.facts, RequeueFacts) and each.facts.note
    ]


def describe_dependencies(unfinished: Sequence[TaskRecord]) -> str:
    """The tasks that a task waits for, with their status."""
    named = ", ".join(
        f"task {each.task_id} ({each.status.label.lower()})" for each in unfinished[:MAX_NAMED]
    )
    more = len(unfinished) - MAX_NAMED
    return f"waits for {named}" + (f" and {more} more" if more > 0 else "")


def _describe_status(record: TaskRecord) -> str:
    at = f"attempt {record.attempt} at {record.worker}"
    match record.status:
        case TaskStatus.IN_PROGRESS if record.attempts[-1].is_prefetched:
            return f"waits for a slot at {record.worker}, where it was sent ahead: {at}"
        case TaskStatus.IN_PROGRESS:
            return f"is in progress: {at}"
        case TaskStatus.COMPLETED if record.result is not None:
            return f"is completed: attempt {record.result.attempt} at {record.result.worker}"
        case TaskStatus.FAILED if record.result is not None:
            at = f"attempt {record.result.attempt} at {record.result.worker}"
            return f"failed: {at}: {record.error_message}"
        case TaskStatus.FAILED:
            return f"failed: {record.error_message}"
        case _:
            cancellation = record.cancellation
            reason = record.error_message if cancellation is None else cancellation.reason
            return f"is {record.status.value}: {reason}"


def describe_figures(figures: WorkerFigures) -> str:
    """What a learning policy expected of a worker, as text."""
    count = figures.results
    results = "no result yet" if not count else f"{count} result{'s' if count > 1 else ''}"
    told = (
        f"chance {figures.chance:.2f} (skill {figures.skill:.1f} ± {figures.deviation:.1f} from "
        f"{results}), {figures.duration_s:.2g} s"
    )
    if figures.price_per_s >= _SMALLEST_PRICE:
        told += f", its time is worth {figures.price_per_s:.2g}/s elsewhere"
    if figures.cost:
        told += f", cost {figures.cost:.3g}"
    return told


# Many decisions in a row have the same figures.
@lru_cache(maxsize=256)
def _expected(figures: tuple[WorkerFigures, ...]) -> tuple[Considered, ...]:
    chosen, *others = figures
    told = [Considered(chosen.worker, chosen.value, f"chosen: {describe_figures(chosen)}")]
    for each in others:
        better = "would have " if each.value > chosen.value else ""
        told.append(Considered(each.worker, each.value, better + describe_figures(each)))
    return tuple(told)


_SCORES: Mapping[str, str] = {
    "best_fit": "10 for a specialist, minus skill level, minus share of slots in use",
    "in_order": "minus the number of its running tasks",
    "score": "0.7 · success rate + 0.3 · completed tasks",
}
"""What the scores of the policies are made of."""


def _scored(decision: Decision, policy: str) -> Sequence[Considered]:
    if decision.figures:
        return _expected(decision.figures)
    (name, best), *rest = decision.scored
    made_of = _SCORES.get("best_fit" if policy == "adaptive" else policy)
    why = ", the highest" + (f" ({made_of})" if made_of else "")
    if decision.candidates.is_recovery:
        why = ", the highest: the most skilled first since it had failed before"
    verdict = f"chosen with score {best:.2f}{why}"
    told = [Considered(name, best, verdict)]
    for name, score in rest:
        verdict = f"score {score:.2f}, below {best:.2f}"
        if score == best:
            verdict = f"score {score:.2f}, the same, but later in order"
        told.append(Considered(name, score, verdict))
    return told


def _busy(decision: Decision) -> list[Considered]:
    if decision.figures or decision.scored_count > MAX_NAMED:
        return []
    scored = {name for name, _ in decision.scored}
    # A worker that can run the task and was not scored had no free slot.
    return [
        Considered(name, None, f"busy {slots}/{slots} slots")
        for name, slots in decision.candidates.able
        if name not in scored
    ]


def _passed_over(candidates: Candidates, record: TaskRecord) -> list[Considered]:
    failed = [Considered(name, None, _failed_attempt(name, record)) for name in candidates.failed]
    return failed + [Considered(name, None, reason) for name, reason in candidates.unable]


def _failed_attempt(name: str, record: TaskRecord) -> str:
    numbers = [
        str(attempt.number)
        for attempt in record.attempts
        if attempt.worker.name == name
        and attempt.outcome in (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT)
    ]
    return f"failed attempt {', '.join(numbers)}" if numbers else "failed it before"
