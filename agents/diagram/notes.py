"""Checks the notes of a diagram that make claims about a run; other notes are for people only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..kernel.model.occurrence_text import describe_facts
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.trace import Trace
from .escaping import tidy
from .leases import Lease, leases_of
from .run_messages import Party, Role, name_of
from .sequence_model import Note

_SUCCESS_RATE = re.compile(r"success rate\s*[:=]?\s*(\d+(?:\.\d+)?) ?%", re.IGNORECASE)
_OF_A_WORKER = re.compile(r"(.{1,200}?) success_rate\s*=\s*(\d+(?:\.\d+)?) ?%", re.DOTALL)
_OF_A_TASK = re.compile(
    r"(.{1,200}?) (completed|failed|cancelled|declined|rejected)(?:: (.*))?", re.DOTALL
)

_DURATION = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?) s"
_TAKES = re.compile(rf"(.{{1,200}}?) takes {_DURATION}", re.IGNORECASE)
_PROCESSING = re.compile(rf"processing(?: (.{{1,200}}?))? \({_DURATION}\)", re.IGNORECASE)
_ENDED = re.compile(rf"(.{{1,200}}?): {_DURATION}, ([a-z ]+)")
_TOLERANCE_S = 0.05
_ROUNDING = 0.005
_MAX_NAMED = 5

_ATTEMPT_ENDED = {
    "declined": OccurrenceKind.ATTEMPT_DECLINED,
    "rejected": OccurrenceKind.ATTEMPT_REJECTED,
}
_SETTLED = {
    OccurrenceKind.TASK_COMPLETED: "completed",
    OccurrenceKind.TASK_FAILED: "failed",
    OccurrenceKind.TASK_CANCELLED: "cancelled",
}


def check_note(
    note: Note, parties: Mapping[str, Party], trace: Trace, second_s: float | None
) -> str | None:
    """Check a note; returns what the run had instead, or None if the note is right.

    These lines are checked against the whole run: "Success rate: 66.67%", "Ada success_rate = 0%",
    "T1 failed" and "T1 failed: timed out: after 10 s". These are checked against the worker over
    which the note is: "T1 takes 4 s", "Processing T1 (4 s)" and "Processing (4 s)".

    Args:
        note: the note.
        parties: the parties of the run, by the ids of the participants.
        trace: the run.
        second_s: how long a second of the scenario lasted, in seconds; None to skip durations.
    """
    workers = [
        parties[each].name for each in note.participants if parties[each].role is Role.WORKER
    ]
    for line in map(str.strip, note.text.split("\n")):
        had = _check_line(line, parties, trace)
        if had is None and workers:
            had = _check_duration(line, workers, trace, second_s)
        if had is not None:
            return had
    return None


def _check_duration(
    line: str, workers: Sequence[str], trace: Trace, second_s: float | None
) -> str | None:
    task, claimed, ending = "", "", ""
    if found := _PROCESSING.fullmatch(line) or _TAKES.fullmatch(line):
        task, claimed = found[1] or "", found[2]
    elif found := _ENDED.fullmatch(line):
        task, claimed, ending = found[1], found[2], found[3]
    else:
        return None
    leases = [lease for lease in leases_of(trace) if lease.worker in workers]
    matching = [lease for lease in leases if task in ("", name_of(lease.task_id))]
    if any(_lasts(lease, claimed, ending, second_s) for lease in matching):
        return None
    found = ", ".join(
        f"{name_of(lease.task_id)}: {lease.ended_at - lease.began_at:.3g} s, {lease.ending}"
        for lease in matching[:_MAX_NAMED]
    )
    return found or f"nothing of the kind on {' and '.join(workers)}"


def _lasts(lease: Lease, claimed: str, ending: str, second_s: float | None) -> bool:
    if ending not in ("", lease.ending):
        return False
    if second_s is None:
        return True
    claimed_s, took_s = float(claimed) * second_s, lease.ended_at - lease.began_at
    return abs(took_s - claimed_s) <= _TOLERANCE_S * second_s + _ROUNDING * took_s


def _check_line(line: str, parties: Mapping[str, Party], trace: Trace) -> str | None:
    if claimed := _SUCCESS_RATE.fullmatch(line):
        completed = sum(each.what is OccurrenceKind.TASK_COMPLETED for each in trace.occurrences)
        return _compare(claimed[1], completed, len(trace.tasks))
    if claimed := _OF_A_WORKER.fullmatch(line):
        name = parties[claimed[1]].name if claimed[1] in parties else claimed[1]
        return _check_worker(name, claimed[2], parties, trace)
    if claimed := _OF_A_TASK.fullmatch(line):
        return _check_task(claimed[1], claimed[2], claimed[3], trace)
    return None


def _check_worker(name: str, rate: str, parties: Mapping[str, Party], trace: Trace) -> str | None:
    if Party(Role.WORKER, name) not in parties.values():
        return f"no worker {name!r}"
    ended = [each.what for each in trace.occurrences if each.worker == name]
    succeeded = ended.count(OccurrenceKind.TASK_COMPLETED)
    failed = ended.count(OccurrenceKind.ATTEMPT_FAILED) + ended.count(
        OccurrenceKind.ATTEMPT_TIMED_OUT
    )
    return _compare(rate, succeeded, succeeded + failed)


def _check_task(name: str, outcome: str, reason: str | None, trace: Trace) -> str | None:
    by_name = {name_of(task_id): task_id for task_id in trace.tasks}
    if name not in by_name:
        # It names no task, so it is a sentence for people.
        return None
    if outcome in _ATTEMPT_ENDED:
        about = (by_name[name], _ATTEMPT_ENDED[outcome])
        ended = [each for each in trace.occurrences if (each.task_id, each.what) == about]
        if any(_is_reason(reason, each) for each in ended):
            return None
        found = "; ".join(f"{name} {outcome}: {describe_facts(each)}" for each in ended)
        return found or f"no attempt at {name} was {outcome}"
    for each in reversed(trace.occurrences):
        if each.task_id == by_name[name] and each.what in _SETTLED:
            facts = describe_facts(each)
            is_so = _SETTLED[each.what] == outcome and _is_reason(reason, each)
            detail = f": {facts}" if facts else ""
            return None if is_so else f"{name} {_SETTLED[each.what]}{detail}"
    return f"{name} is not settled"


def _is_reason(reason: str | None, end: Occurrence) -> bool:
    found = _plain(tidy(describe_facts(end)).partition("\n")[0])
    if end.what is OccurrenceKind.ATTEMPT_REJECTED:
        found = found.removeprefix("rejected: ")
    # A long reason is truncated when it is drawn.
    return reason is None or found.startswith(_plain(reason.rstrip("…")))


def _plain(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _compare(claimed: str, part: int, whole: int) -> str | None:
    share = 100 * part / whole if whole else 0.0
    places = len(claimed.partition(".")[2])
    return None if f"{share:.{places}f}" == claimed else f"{share:.{places}f}%, {part} of {whole}"
