"""What is counted of a run as it happens, and can't be read from its board afterwards."""

from __future__ import annotations

from collections import Counter

from ..kernel.board.state import BoardState
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord
from .histogram import Histogram

_WAIT_BOUNDS_S = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_RUN_BOUNDS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_WRITE_BOUNDS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class MetricTallies:
    """Takes note of occurrences."""

    def __init__(self) -> None:
        self.waits = Histogram(_WAIT_BOUNDS_S)
        self.attempts = {ending: Histogram(_RUN_BOUNDS_S) for ending in BEGUN}
        self.writes = Histogram(_WRITE_BOUNDS_S)
        self.settled: Counter[OccurrenceKind] = Counter()
        self.retries: Counter[AttemptOutcome] = Counter()
        self.joined = 0
        self.lost = 0

    def note(self, occurrence: Occurrence, board: BoardState) -> None:
        """Take note of what happened.

        Args:
            occurrence: what happened.
            board: the board that told of it, as it stands now: a moment later, perhaps.
        """
        what, task_id = occurrence.what, occurrence.task_id
        if what is _ADDED:
            # Of each task, and nothing to be counted.
            return
        if task_id is None:
            if what is OccurrenceKind.WORKER_JOINED:
                self.joined += 1
            elif what is OccurrenceKind.WORKER_LOST:
                self.lost += 1
            return
        if what in SETTLING:
            self.settled[what] += 1
        record = board.tasks.get(task_id)
        if record is None or not 1 <= occurrence.attempt <= len(record.attempts):
            return
        attempt = record.attempts[occurrence.attempt - 1]
        if what is _ASSIGNED:
            if not attempt.expected_s:
                self._note_wait(record, attempt, board)
        elif what in _ENDING:
            self._note_end(what, record, attempt, board)

    def _note_wait(self, record: TaskRecord, attempt: Attempt, board: BoardState) -> None:
        before = attempt.number - 2
        while before >= 0 and record.attempts[before].outcome is AttemptOutcome.NOT_BEGUN:
            before -= 1
        if before >= 0:
            ready_at = record.attempts[before].ended_at
            if ready_at is None:
                return
        else:
            ready_at = max(record.added_at, board.began_at or record.added_at)
            for task_id in record.task.depends_on:
                needed = board.tasks.get(task_id)
                if needed is not None and needed.finished_at is not None:
                    ready_at = max(ready_at, needed.finished_at)
        self.waits.observe(max(attempt.started_at - ready_at, 0.0))

    def _note_end(
        self, what: OccurrenceKind, record: TaskRecord, attempt: Attempt, board: BoardState
    ) -> None:
        ending = attempt.outcome
        if what is OccurrenceKind.TASK_REQUEUED:
            if ending is not None:
                self.retries[ending] += 1
            if ending is not AttemptOutcome.LOST:
                # It was told when it failed or timed out.
                return
        elif what is OccurrenceKind.TASK_FAILED and ending is not AttemptOutcome.LOST:
            return
        elif what is OccurrenceKind.TASK_COMPLETED and ending is not AttemptOutcome.SUCCEEDED:
            # A late success: its own end was told long ago, but it may have overtaken another.
            attempt = record.attempts[-1]
            if attempt.outcome is not AttemptOutcome.OVERTAKEN:
                return
            ending = attempt.outcome
        elif what is OccurrenceKind.TASK_CANCELLED and ending is not AttemptOutcome.CANCELLED:
            # It was cancelled while it waited for another attempt.
            return
        if ending is None or ending not in self.attempts or attempt.ended_at is None:
            return
        if attempt.expected_s:
            # It was sent ahead of a free slot, and waited at its worker too.
            self._note_wait(record, attempt, board)
        self.attempts[ending].observe(max(attempt.ended_at - attempt.started_at, 0.0))


BEGUN = tuple(ending for ending in AttemptOutcome if ending is not AttemptOutcome.NOT_BEGUN)
"""How attempts end that a worker began."""

_ADDED, _ASSIGNED = OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_ASSIGNED


_ENDING = SETTLING | {
    OccurrenceKind.ATTEMPT_FAILED,
    OccurrenceKind.ATTEMPT_TIMED_OUT,
    OccurrenceKind.TASK_REQUEUED,
}
