"""Shows progress without a terminal: one line per event, or one a second."""

from __future__ import annotations

from typing import TextIO

from ....messages import TaskId
from ....messages.wording import short_id
from ...kernel.model.occurrence_text import describe_facts
from ...kernel.model.occurrences import OccurrenceKind, RequeueCause, RequeueFacts
from ...runtime.terminal_text import one_line
from .tally import RunTally, TimedOccurrence

MANY_TASKS = 200
"""With more tasks than this, there is no line per task."""

SUMMARY_INTERVAL_S = 1.0
MAX_DETAIL_CHARACTERS = 200

_DECLINED = RequeueFacts(RequeueCause.DECLINED)


class PlainLines:
    """Writes the events of a run to a stream, line by line.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._errors: dict[TaskId, str] = {}
        self._summarized_at = 0.0
        self._summarized = -1

    def draw(self, tally: RunTally, at: float) -> None:
        """Write the events since the last call."""
        one_by_one = tally.tasks <= MANY_TASKS
        lines: list[str] = []
        while tally.pending:
            timed = tally.pending.popleft()
            if one_by_one or timed.occurrence.task_id is None:
                line = self._line(timed)
                if line:
                    lines.append(f"{_time(timed.occurrence.at - tally.began_at)}  {line}")
        if tally.dropped:
            lines.append(f"          ({tally.dropped:,} events left out)")
            tally.dropped = 0
        if not one_by_one and self._should_summarize(tally, at):
            self._summarized_at, self._summarized = at, tally.settled
            lines.append(f"{_time(at - tally.began_at)}  {summary(tally, at)}")
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def close(self, tally: RunTally, at: float) -> None:
        """Write the remaining events."""
        self._summarized_at = 0.0
        self.draw(tally, at)

    def _should_summarize(self, tally: RunTally, at: float) -> bool:
        is_due = at - self._summarized_at >= SUMMARY_INTERVAL_S
        return is_due and tally.settled != self._summarized

    def _line(self, timed: TimedOccurrence) -> str:
        occurrence = timed.occurrence
        task = "" if occurrence.task_id is None else name_of(occurrence.task_id)
        detail = one_line(describe_facts(occurrence), MAX_DETAIL_CHARACTERS)
        worker = one_line(occurrence.worker, MAX_DETAIL_CHARACTERS)
        match occurrence.what:
            case OccurrenceKind.TASK_ASSIGNED:
                again = f" (attempt {occurrence.attempt})" if occurrence.attempt > 1 else ""
                return f"{task} -> {worker}{again}"
            case OccurrenceKind.TASK_COMPLETED:
                return f"{task} done by {worker}{_in(timed.took_s)}"
            case OccurrenceKind.ATTEMPT_SUCCEEDED:
                return f"{task} run by {worker}{_in(timed.took_s)}"
            case OccurrenceKind.ATTEMPT_REVIEWED:
                return f"{task} reviewed by {worker}{_in(timed.took_s)}: {detail}"
            case (
                OccurrenceKind.ATTEMPT_FAILED
                | OccurrenceKind.ATTEMPT_TIMED_OUT
                | OccurrenceKind.ATTEMPT_REJECTED
            ):
                # The next event says whether the task failed or is retried: one line for both.
                self._errors[occurrence.task_id or 0] = f" on {worker}{_in(timed.took_s)}: {detail}"
                return ""
            case OccurrenceKind.ATTEMPT_DECLINED:
                return f"{task} declined by {worker}: {detail}"
            case OccurrenceKind.BUDGET_CHANGED:
                return f"budget changed {detail}"
            case OccurrenceKind.TASK_FAILED:
                error = self._errors.pop(occurrence.task_id or 0, None)
                return f"{task} failed{error or ': ' + detail}"
            case OccurrenceKind.TASK_REQUEUED if occurrence.facts == _DECLINED:
                # The line before says who declined it, and why.
                return ""
            case OccurrenceKind.TASK_REQUEUED:
                error = self._errors.pop(occurrence.task_id or 0, None)
                return f"{task} failed{error} ({detail})" if error else f"{task} requeued: {detail}"
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
            case OccurrenceKind.WORKER_DRAINED:
                return f"{worker} draining: {detail}"
            case OccurrenceKind.WORKER_RESUMED:
                return f"{worker} gets tasks again"
            case OccurrenceKind.RUN_PAUSED:
                return "paused: no tasks are assigned until the run is resumed"
            case OccurrenceKind.RUN_UNPAUSED:
                return "resumed after the pause"
            case OccurrenceKind.WORKER_REFUSED:
                return f"{worker} refused: {detail}"
            case _:
                return ""


def summary(tally: RunTally, at: float) -> str:
    """The progress of the run, such as "412 of 1,000 settled, 3 failed, 1,400/s"."""
    parts = [f"{tally.settled:,} of {tally.tasks:,} settled"]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    if tally.cancelled:
        parts.append(f"{tally.cancelled:,} cancelled")
    if rate := tally.rate(at):
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")  # noqa: PLR2004
    return ", ".join(parts)


def name_of(task_id: TaskId) -> str:
    """The displayed name of a task: "T3" for 3, a short form of a UUID, other text as it is."""
    if isinstance(task_id, int):
        return f"T{task_id}"
    return one_line(short_id(task_id), MAX_DETAIL_CHARACTERS)


def _time(since_s: float) -> str:
    return f"{max(since_s, 0.0):7.1f}s"


def _in(took_s: float | None) -> str:
    return "" if took_s is None else f" in {took_s:.1f} s"
