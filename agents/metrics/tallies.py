"""Counts what can't be read from a run's board afterwards, and durations in histograms."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from itertools import accumulate

from ..kernel.board.state import BoardState
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind
from ..kernel.model.records import Attempt, AttemptOutcome, TaskRecord

_WAIT_BOUNDS_S = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_RUN_BOUNDS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_WRITE_BOUNDS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Histogram:
    """Counts durations by ranges. It has no lock: counting and reading happen in one thread.

    Args:
        bounds_s: the upper bound of each range but the last, in seconds, in ascending order.
    """

    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration."""
        self._counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.sum_s += duration_s

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative counts: for each bound, the durations up to it, in Prometheus's form."""
        ends = (
            "+Inf" if math.isinf(bound) else str(bound) for bound in (*self._bounds_s, math.inf)
        )
        return list(zip(ends, accumulate(self._counts), strict=True))


class MetricTallies:
    """Counts occurrences."""

    def __init__(self) -> None:
        self.waits = Histogram(_WAIT_BOUNDS_S)
        self.attempts = {ending: Histogram(_RUN_BOUNDS_S) for ending in BEGUN}
        self.writes = Histogram(_WRITE_BOUNDS_S)
        self.settled: Counter[OccurrenceKind] = Counter()
        self.retries: Counter[AttemptOutcome] = Counter()
        self.declined = 0
        self.rejected = 0
        self.grades = 0
        self.grade_sum = 0.0
        self.joined = 0
        self.lost = 0

    def note(self, occurrence: Occurrence, board: BoardState) -> None:
        """Count an occurrence.

        Args:
            occurrence: the occurrence.
            board: the board that reported it; its state may be a little newer.
        """
        what, task_id = occurrence.what, occurrence.task_id
        if what is _ADDED:
            # It occurs for each task, and nothing is counted.
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
        if record is not None and what in _GIVEN_UP and record.task.review:
            self._note_unreviewed(record)
        if record is None or not 1 <= occurrence.attempt <= len(record.attempts):
            return
        attempt = record.attempts[occurrence.attempt - 1]
        if what is OccurrenceKind.ATTEMPT_DECLINED:
            self.declined += 1
        elif what is OccurrenceKind.ATTEMPT_REJECTED:
            self.rejected += 1
            self._note_grade(attempt)
        elif what is OccurrenceKind.TASK_COMPLETED:
            # A review or a vote grades attempts that ended before.
            of_votes = record.attempts if record.task.votes > 1 else (attempt,)
            for each in of_votes:
                self._note_grade(each)
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
            ready_at = max(ready_at, record.since)
        else:
            ready_at = max(record.added_at, board.began_at or record.added_at)
            for task_id in record.task.depends_on:
                needed = board.tasks.get(task_id)
                if needed is not None and needed.finished_at is not None:
                    ready_at = max(ready_at, needed.finished_at)
        self.waits.observe(max(attempt.started_at - ready_at, 0.0))

    def _note_grade(self, attempt: Attempt) -> None:
        if attempt.quality is not None:
            self.grades += 1
            self.grade_sum += attempt.quality

    def _note_unreviewed(self, record: TaskRecord) -> None:
        """Count the attempt of a task that failed or was cancelled before its review ended."""
        for each in record.attempts:
            if each.outcome is AttemptOutcome.SUCCEEDED and not each.is_review:
                self._observe(each, AttemptOutcome.SUCCEEDED)

    def _observe(self, attempt: Attempt, ending: AttemptOutcome) -> None:
        if attempt.ended_at is not None:
            self.attempts[ending].observe(max(attempt.ended_at - attempt.started_at, 0.0))

    def _note_end(
        self, what: OccurrenceKind, record: TaskRecord, attempt: Attempt, board: BoardState
    ) -> None:
        ending = attempt.outcome
        if what is OccurrenceKind.TASK_REQUEUED:
            if ending is not None:
                self.retries[ending] += 1
            if ending not in _ENDED_UNTOLD:
                # It was counted when it failed or timed out.
                return
        elif what is OccurrenceKind.TASK_FAILED and ending not in _ENDED_UNTOLD:
            return
        elif what is OccurrenceKind.ATTEMPT_SUCCEEDED and record.task.review:
            # It counts when a review has accepted or rejected it.
            return
        elif what is OccurrenceKind.TASK_COMPLETED and record.task.votes > 1:
            # The attempt was counted before other votes.
            return
        elif what is OccurrenceKind.TASK_COMPLETED and ending is not AttemptOutcome.SUCCEEDED:
            # A late success: its own end was counted before, but it may have overtaken another.
            attempt = record.attempts[-1]
            if attempt.outcome is not AttemptOutcome.OVERTAKEN:
                return
            ending = attempt.outcome
        elif what is OccurrenceKind.TASK_CANCELLED and ending is not AttemptOutcome.CANCELLED:
            # It was cancelled between two attempts.
            return
        if ending is None or ending not in self.attempts or attempt.ended_at is None:
            return
        if attempt.expected_s:
            # It was prefetched, and waited at its worker too.
            self._note_wait(record, attempt, board)
        self._observe(attempt, ending)


BEGUN = tuple(ending for ending in AttemptOutcome if ending is not AttemptOutcome.NOT_BEGUN)
"""The outcomes of attempts that a worker began."""

_ADDED, _ASSIGNED = OccurrenceKind.TASK_ADDED, OccurrenceKind.TASK_ASSIGNED


_ENDED_UNTOLD = frozenset({AttemptOutcome.LOST, AttemptOutcome.RETURNED})
"""The outcomes of attempts about whose end nothing else is told."""

_GIVEN_UP = frozenset({OccurrenceKind.TASK_FAILED, OccurrenceKind.TASK_CANCELLED})

_ENDING = SETTLING | {
    OccurrenceKind.ATTEMPT_SUCCEEDED,
    OccurrenceKind.ATTEMPT_REVIEWED,
    OccurrenceKind.ATTEMPT_REJECTED,
    OccurrenceKind.ATTEMPT_FAILED,
    OccurrenceKind.ATTEMPT_TIMED_OUT,
    OccurrenceKind.ATTEMPT_DECLINED,
    OccurrenceKind.TASK_REQUEUED,
}
