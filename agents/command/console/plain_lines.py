"""Progress where there is no terminal: a line for each thing that matters, or one a second."""

from __future__ import annotations

from typing import TextIO

from ....messages import TaskId
from ...kernel.model.occurrence_text import describe_facts
from ...kernel.model.occurrences import OccurrenceKind
from ...runtime.terminal_text import one_line
from .tally import CountedOccurrence, RunTally

MANY_TASKS = 200
"""With more tasks than these, tasks are not told one by one."""

EVERY_S = 1.0
MAX_DETAIL_CHARACTERS = 200


class PlainLines:
    """Writes a run to a stream, line by line.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._faults: dict[TaskId, str] = {}
        self._summed_up_at = 0.0
        self._summed_up = -1

    def draw(self, tally: RunTally, at: float) -> None:
        """Tell what has happened since the last time."""
        one_by_one = tally.tasks <= MANY_TASKS
        lines: list[str] = []
        while tally.untold:
            told = tally.untold.popleft()
            if one_by_one or told.occurrence.task_id is None:
                line = self._line(told)
                if line:
                    lines.append(f"{_time(told.occurrence.at - tally.began_at)}  {line}")
        if tally.forgotten:
            lines.append(f"          ({tally.forgotten:,} more things happened)")
            tally.forgotten = 0
        if not one_by_one and self._should_sum_up(tally, at):
            self._summed_up_at, self._summed_up = at, tally.settled
            lines.append(f"{_time(at - tally.began_at)}  {summing_up(tally, at)}")
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def close(self, tally: RunTally, at: float) -> None:
        """Tell the rest."""
        self._summed_up_at = 0.0
        self.draw(tally, at)

    def _should_sum_up(self, tally: RunTally, at: float) -> bool:
        return tally.settled != self._summed_up and at - self._summed_up_at >= EVERY_S

    def _line(self, told: CountedOccurrence) -> str:
        occurrence = told.occurrence
        task = "" if occurrence.task_id is None else name_of(occurrence.task_id)
        detail = one_line(describe_facts(occurrence), MAX_DETAIL_CHARACTERS)
        worker = one_line(occurrence.worker, MAX_DETAIL_CHARACTERS)
        match occurrence.what:
            case OccurrenceKind.TASK_ASSIGNED:
                again = f" (attempt {occurrence.attempt})" if occurrence.attempt > 1 else ""
                return f"{task} -> {worker}{again}"
            case OccurrenceKind.TASK_COMPLETED:
                return f"{task} done by {worker}{_in(told.took_s)}"
            case OccurrenceKind.ATTEMPT_FAILED | OccurrenceKind.ATTEMPT_TIMED_OUT:
                # Told together with what comes of it, which the next occurrence says.
                self._faults[occurrence.task_id or 0] = f" on {worker}{_in(told.took_s)}: {detail}"
                return ""
            case OccurrenceKind.TASK_FAILED:
                fault = self._faults.pop(occurrence.task_id or 0, None)
                return f"{task} failed{fault or ': ' + detail}"
            case OccurrenceKind.TASK_REQUEUED:
                fault = self._faults.pop(occurrence.task_id or 0, None)
                return (
                    f"{task} failed{fault} ({detail})" if fault else f"{task} waits again: {detail}"
                )
            case OccurrenceKind.TASK_CANCELLED:
                return f"{task} cancelled: {detail}"
            case OccurrenceKind.WORKER_JOINED:
                return f"{worker} joined ({detail})"
            case OccurrenceKind.WORKER_LOST:
                return f"{worker} lost: {detail}"
            case (
                OccurrenceKind.WORKER_QUARANTINED
                | OccurrenceKind.WORKER_RELEASED
                | OccurrenceKind.WORKER_RETIRED
            ):
                kind = occurrence.what.value.removeprefix("worker_")
                return f"{worker} {kind}: {detail}"
            case OccurrenceKind.WORKER_REFUSED:
                return f"{worker} refused: {detail}"
            case _:
                return ""


def summing_up(tally: RunTally, at: float) -> str:
    """How far the run is, such as "412 of 1,000 settled, 3 failed, 1,400/s"."""
    parts = [f"{tally.settled:,} of {tally.tasks:,} settled"]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    if tally.cancelled:
        parts.append(f"{tally.cancelled:,} cancelled")
    if rate := tally.rate(at):
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")  # noqa: PLR2004
    return ", ".join(parts)


def name_of(task_id: TaskId) -> str:
    """A task's name for people: "T3" for 3, a string as it is."""
    return f"T{task_id}" if isinstance(task_id, int) else one_line(task_id, MAX_DETAIL_CHARACTERS)


def _time(since_s: float) -> str:
    return f"{max(since_s, 0.0):7.1f}s"


def _in(took_s: float | None) -> str:
    return "" if took_s is None else f" in {took_s:.1f} s"
