"""Formats the facts of occurrences as text, and parses the text that older versions stored.

The text is for people. Only `read_older_detail` parses it, because older versions stored nothing
else in trace files and stores.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ....messages import TaskId, TaskStatus
from .occurrences import (
    FACTS_OF,
    AnswerFacts,
    BudgetFacts,
    CancellationCause,
    CancellationFacts,
    ChargeFacts,
    DeclineFacts,
    DelayFacts,
    Facts,
    FailureCause,
    FailureFacts,
    HeldSlotFacts,
    JoinFacts,
    Occurrence,
    OccurrenceKind,
    PriorityFacts,
    ProgressFacts,
    QuarantineFacts,
    QuestionFacts,
    RequeueCause,
    RequeueFacts,
    RetryFacts,
    ReturnFacts,
    ReviewFacts,
)

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all times are UTC


def describe_facts(occurrence: Occurrence) -> str:
    """The facts of an occurrence as text for people; "" if there are none."""
    facts, worker = occurrence.facts, occurrence.worker
    match facts:
        case None:
            return _WITHOUT_FACTS.get(occurrence.what, "")
        case str():
            return facts
        case FailureFacts(_, error):
            return error
        case ReviewFacts():
            return _describe_review(facts)
        case CancellationFacts(cause, reason):
            is_asked = cause in (CancellationCause.REQUESTED, CancellationCause.PARENT)
            return f"cancelled: {reason}" if is_asked else reason
        case RequeueFacts(RequeueCause.RETRY, attempts_left):
            return f"attempts left: {attempts_left}"
        case RequeueFacts(RequeueCause.REASSIGNED):
            return "to another worker"
        case RequeueFacts(RequeueCause.WORKER_LOST, _, note):
            return f"worker lost: {worker}" + _after_note(note)
        case RequeueFacts(RequeueCause.ATTEMPT_LOST, _, note):
            return f"attempt lost: {worker} does not hold it" + _after_note(note)
        case RequeueFacts(RequeueCause.DECLINED):
            return f"declined: {worker}"
        case RequeueFacts(RequeueCause.RETURNED):
            return f"given back by {worker}, which left"
        case RequeueFacts():
            return "given back, not begun"
        case DelayFacts():
            return describe_delay(facts, occurrence.at)
        case DeclineFacts(reason):
            return reason
        case ChargeFacts(cost, unit, is_counted):
            return f"{cost:g} {unit}" + ("" if is_counted else ", not counted: another unit")
        case BudgetFacts(before, after, unit):
            return f"from {_describe_budget(before, unit)} to {_describe_budget(after, unit)}"
        case PriorityFacts(before, after):
            return f"from {before} to {after}"
        case RetryFacts(_, reason):
            return reason
        case QuestionFacts(_, text):
            return text
        case AnswerFacts(_, answer, by):
            return _describe_answer(answer, by)
        case ProgressFacts(percent, note):
            return f"{percent:g} %: {note}" if note else f"{percent:g} %"
        case HeldSlotFacts(held_s, reason):
            return describe_held_slot(occurrence.task_id, occurrence.attempt, held_s, reason)
        case JoinFacts(skill_level, slots):
            return f"skill {skill_level}, {slots} {'slot' if slots == 1 else 'slots'}"
        case ReturnFacts(leases):
            return f"holds {leases} of its tasks"
        case QuarantineFacts(failures_in_a_row, lasts_s):
            return f"failed {failures_in_a_row} times in a row; for {lasts_s:g} s"


def _after_note(note: str) -> str:
    return f"; it had told: {note}" if note else ""


def describe_delay(facts: DelayFacts, now: float) -> str:
    """Until when and why a task waits, such as "until 14:05:10 UTC (retry 2 of 5 after OSError)".

    Args:
        facts: until when, and why.
        now: the time in seconds; the date is left out if it is that of the same day.
    """
    return f"until {describe_time(facts.until, now)} ({facts.reason})"


def describe_time(at: float, now: float) -> str:
    """A time in seconds, such as "14:05:10 UTC"; with its date if that is not the day of now."""
    try:
        moment, today = (_EPOCH + timedelta(seconds=each) for each in (at, now))
    except (ValueError, OverflowError):
        # A store may hold any number.
        return f"{at:g}"
    form = "%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S"
    return f"{moment.strftime(form)} UTC"


def _describe_review(facts: ReviewFacts) -> str:
    reviewed, grade, reason = facts
    graded = "accepted" if grade is None else f"graded {grade:g}"
    return f"attempt {reviewed} {graded}" + (f": {reason}" if reason else "")


def _describe_answer(answer: str | None, by: str) -> str:
    if answer is None:
        return "nobody answered in time"
    return f"{answer!r} by {by}" if by else f"nobody answered in time; the default is {answer!r}"


def _describe_budget(budget: float | None, unit: str) -> str:
    return "no limit" if budget is None else f"{budget:g} {unit}"


_WITHOUT_FACTS = {
    OccurrenceKind.WORKER_RELEASED: "its quarantine is over",
    OccurrenceKind.WORKER_RETIRED: "not needed any more",
    OccurrenceKind.WORKER_DRAINED: "gets no more tasks",
    OccurrenceKind.WORKER_RESUMED: "gets tasks again",
    OccurrenceKind.RUN_PAUSED: "no more tasks are assigned",
    OccurrenceKind.RUN_UNPAUSED: "tasks are assigned again",
}


def describe_held_slot(task_id: TaskId | None, attempt: int, held_s: float, reason: str) -> str:
    """Describe a slot that an attempt still holds.

    Args:
        task_id: the task's id.
        attempt: the number of the attempt.
        held_s: the time since it was told to stop, in seconds.
        reason: the reason for the stop, such as "it was cancelled".
    """
    return (
        f"task {task_id} (attempt {attempt}) still holds a slot, {max(held_s, 0.0):.0f} s after "
        f"{reason}"
    )


def facts_from_values(what: OccurrenceKind, values: object) -> Facts | str | None:
    """The facts of an occurrence as a store kept them.

    Args:
        what: the kind of occurrence.
        values: the values of the typed facts, or a text: a reason, or the text of an older version.

    Raises:
        TypeError: the values have another type.
        ValueError: the values are not the facts of such an occurrence.
    """
    if values is None:
        return None
    if isinstance(values, str):
        return read_older_detail(what, values)
    if not isinstance(values, list | tuple) or what not in FACTS_OF:
        raise TypeError(f"the facts of {what.value} are {values!r}")
    given = list(values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if what in _CAUSES and given:
        given[0] = _CAUSES[what](given[0])
    return FACTS_OF[what](*given)


_CAUSES: dict[
    OccurrenceKind, type[FailureCause | CancellationCause | RequeueCause | TaskStatus]
] = {
    OccurrenceKind.TASK_FAILED: FailureCause,
    OccurrenceKind.ATTEMPT_FAILED: FailureCause,
    OccurrenceKind.ATTEMPT_TIMED_OUT: FailureCause,
    OccurrenceKind.ATTEMPT_REJECTED: FailureCause,
    OccurrenceKind.TASK_CANCELLED: CancellationCause,
    OccurrenceKind.TASK_REQUEUED: RequeueCause,
    OccurrenceKind.TASK_RETRIED: TaskStatus,
}


def read_older_detail(what: OccurrenceKind, detail: str) -> Facts | str | None:
    """Parse the text that an older version stored for an occurrence.

    Returns:
        The facts; the text itself if it contains none, and None if it only repeats the kind.
    """
    if not detail or _WITHOUT_FACTS.get(what) == detail:
        return None
    match what:
        case OccurrenceKind.TASK_CANCELLED:
            before, marker, reason = detail.partition("cancelled: ")
            if marker and not before:
                return CancellationFacts(CancellationCause.REQUESTED, reason)
            return CancellationFacts(CancellationCause.UPSTREAM, detail)
        case OccurrenceKind.TASK_FAILED | OccurrenceKind.ATTEMPT_FAILED:
            causes = (cause for begins, cause in _OLDER_FAILURES if detail.startswith(begins))
            return FailureFacts(next(causes, FailureCause.HANDLER), detail)
        case OccurrenceKind.ATTEMPT_TIMED_OUT:
            return FailureFacts(FailureCause.TIMED_OUT, detail)
        case _:
            pattern = _OLDER_DETAILS.get(what)
            found = None if pattern is None else pattern.fullmatch(detail)
            return detail if found is None else _facts_of(what, found)


_OLDER_FAILURES = (
    ("timed out: ", FailureCause.TIMED_OUT),
    ("worker lost: ", FailureCause.LOST),
    ("attempt lost: ", FailureCause.LOST),
    ("nobody can: ", FailureCause.UNMATCHED),
    ("expired: ", FailureCause.EXPIRED),
)

_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"

_OLDER_DETAILS = {
    OccurrenceKind.TASK_PROGRESSED: re.compile(rf"({_NUMBER}) %(?:: (.*))?", re.DOTALL),
    OccurrenceKind.TASK_REPRIORITIZED: re.compile(r"from (-?\d{1,18}) to (-?\d{1,18})"),
    OccurrenceKind.TASK_REQUEUED: re.compile(
        r"(?P<retry>attempts left: )(?P<left>\d{1,18})|(?P<reassigned>to another worker)"
        r"|(?P<worker_lost>worker lost: ).*|(?P<attempt_lost>attempt lost: ).*"
        r"|(?P<given_back>given back).*",
        re.DOTALL,
    ),
    OccurrenceKind.SLOT_HELD: re.compile(
        r".* still holds a slot, (\d{1,18}) s after (.*)",
        re.DOTALL,
    ),
    OccurrenceKind.WORKER_JOINED: re.compile(r"skill (-?\d{1,18}), (\d{1,18}) slots?"),
    OccurrenceKind.WORKER_RETURNED: re.compile(r"holds (\d{1,18}) of its tasks"),
    OccurrenceKind.WORKER_QUARANTINED: re.compile(
        rf"failed (\d{{1,18}}) times in a row; for ({_NUMBER}) s"
    ),
}


def _facts_of(what: OccurrenceKind, found: re.Match[str]) -> Facts:
    match what:
        case OccurrenceKind.TASK_PROGRESSED:
            return ProgressFacts(float(found[1]), found[2] or "")
        case OccurrenceKind.TASK_REPRIORITIZED:
            return PriorityFacts(int(found[1]), int(found[2]))
        case OccurrenceKind.SLOT_HELD:
            return HeldSlotFacts(float(found[1]), found[2])
        case OccurrenceKind.WORKER_JOINED:
            return JoinFacts(int(found[1]), int(found[2]))
        case OccurrenceKind.WORKER_RETURNED:
            return ReturnFacts(int(found[1]))
        case OccurrenceKind.WORKER_QUARANTINED:
            return QuarantineFacts(int(found[1]), float(found[2]))
        case _:
            cause = next(RequeueCause(name) for name, text in found.groupdict().items() if text)
            return RequeueFacts(cause, int(found["left"] or 0))
