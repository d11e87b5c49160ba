"""What notes of a diagram claim of a run, in the words for which that is checked.

Other notes are for people alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..kernel.events import What
from ..kernel.trace import Trace
from .conversation import Party, Role, name_of
from .escaping import tidy
from .sequence_model import Note

_SUCCESS_RATE = re.compile(r"success rate\s*[:=]?\s*(\d+(?:\.\d+)?) ?%", re.IGNORECASE)
_OF_A_WORKER = re.compile(r"(.{1,200}?) success_rate\s*=\s*(\d+(?:\.\d+)?) ?%", re.DOTALL)
_OF_A_TASK = re.compile(r"(.{1,200}?) (completed|failed|cancelled)(?:: (.*))?", re.DOTALL)

_SETTLED = {
    What.TASK_COMPLETED: "completed",
    What.TASK_FAILED: "failed",
    What.TASK_CANCELLED: "cancelled",
}


def check_note(note: Note, cast: Mapping[str, Party], trace: Trace) -> str | None:
    """What the run had in place of what a note claims; None if the note is right.

    Checked are lines such as "Success rate: 66.67%", "Ada success_rate = 0%", "T1 failed" and
    "T1 failed: timed out: after 10 s", of the run as a whole.
    """
    for line in note.text.split("\n"):
        had = _check_line(line.strip(), cast, trace)
        if had is not None:
            return had
    return None


def _check_line(line: str, cast: Mapping[str, Party], trace: Trace) -> str | None:
    if claimed := _SUCCESS_RATE.fullmatch(line):
        completed = sum(each.what is What.TASK_COMPLETED for each in trace.occurrences)
        return _compare(claimed[1], completed, len(trace.tasks))
    if claimed := _OF_A_WORKER.fullmatch(line):
        name = cast[claimed[1]].name if claimed[1] in cast else claimed[1]
        return _check_worker(name, claimed[2], cast, trace)
    if claimed := _OF_A_TASK.fullmatch(line):
        return _check_task(claimed[1], claimed[2], claimed[3], trace)
    return None


def _check_worker(name: str, rate: str, cast: Mapping[str, Party], trace: Trace) -> str | None:
    if Party(Role.WORKER, name) not in cast.values():
        return f"no worker {name!r}"
    ended = [each.what for each in trace.occurrences if each.worker == name]
    succeeded = ended.count(What.TASK_COMPLETED)
    failed = ended.count(What.ATTEMPT_FAILED) + ended.count(What.ATTEMPT_TIMED_OUT)
    return _compare(rate, succeeded, succeeded + failed)


def _check_task(name: str, outcome: str, reason: str | None, trace: Trace) -> str | None:
    by_name = {name_of(task_id): task_id for task_id in trace.tasks}
    if name not in by_name:
        # Not a task's name, and so a sentence for people.
        return None
    for each in reversed(trace.occurrences):
        if each.task_id == by_name[name] and each.what in _SETTLED:
            told = tidy(each.detail).partition("\n")[0]
            is_so = _SETTLED[each.what] == outcome and (
                reason is None or told.startswith(reason.rstrip("…"))
            )
            detail = f": {each.detail}" if each.detail else ""
            return None if is_so else f"{name} {_SETTLED[each.what]}{detail}"
    return f"{name} is not settled"


def _compare(claimed: str, part: int, whole: int) -> str | None:
    share = 100 * part / whole if whole else 0.0
    places = len(claimed.partition(".")[2])
    return None if f"{share:.{places}f}" == claimed else f"{share:.{places}f}%, {part} of {whole}"
