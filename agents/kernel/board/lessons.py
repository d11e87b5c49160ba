"""Tells a learning policy of the attempts that have ended."""

from __future__ import annotations

from ....messages import TaskResult
from ..matching.learning_policy import SettledAttempt
from ..matching.scorecards.skill_errors import is_skill_error
from ..model.error_kind import error_kind
from ..model.named_tuples import make_named
from ..model.records import Attempt, AttemptOutcome
from .context import BoardContext

_UNSKILLED = frozenset(
    {
        AttemptOutcome.LOST,
        AttemptOutcome.CANCELLED,
        AttemptOutcome.NOT_BEGUN,
        AttemptOutcome.OVERTAKEN,
        AttemptOutcome.DECLINED,
        AttemptOutcome.POSTPONED,
        AttemptOutcome.RETURNED,
    }
)
"""The outcomes that say nothing about the skill of the worker."""


class Lessons:
    """Tells a learning policy of the attempts that have ended, before it chooses again."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self._queue = context.queue

    def tell(
        self,
        attempt: Attempt,
        outcome: AttemptOutcome,
        result: TaskResult | None = None,
        error: str = "",
    ) -> None:
        """Tell the policy of an attempt.

        Args:
            attempt: the attempt.
            outcome: how it ended; a late success replaces the outcome that the board gave it.
            result: the result that its worker reported; None if there is none.
            error: its error message; "" for a success.
        """
        offers = self._queue.offers
        if offers is None:
            return
        now = self._context.now
        if attempt.is_prefetched:
            duration_s = 0.0 if result is None else result.execution_time
        else:
            # Measured here, because a worker may report any duration.
            ended_at = now if attempt.ended_at is None else attempt.ended_at
            duration_s = ended_at - attempt.started_at
        settled = (
            attempt.task.task,
            attempt.worker,
            attempt.number,
            outcome,
            duration_s,
            error_kind(error) if error else "",
            attempt.quality,
            attempt.cost,
            _counts_as_skill(outcome, error),
            now,
        )
        offers.policy.learn(make_named(SettledAttempt, settled))


def _counts_as_skill(outcome: AttemptOutcome, error: str) -> bool:
    if outcome in _UNSKILLED:
        return False
    # The text of a rejection is the reviewer's, whatever words it has.
    is_rejected = outcome is AttemptOutcome.REJECTED
    return is_rejected or not error or is_skill_error(error_kind(error), error)
