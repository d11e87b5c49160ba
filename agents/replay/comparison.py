"""Compares a replayed run with the recorded one, in figures and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...messages import TaskStatus
from ..kernel.model.occurrences import OccurrenceKind
from .recorded_run import RecordedAttempt, RecordedRun
from .replaying import ReplayedAttempt, ReplayedRun

Count = Annotated[int, Field(ge=0)]


class _ComparisonPart(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class RunFigures(_ComparisonPart):
    """The figures of one run."""

    completed: Count
    """The number of completed tasks."""

    failed: Count
    """The number of failed tasks."""

    unsettled: Count
    """The number of tasks that were neither completed nor failed nor cancelled."""

    attempts: Count
    """The number of attempts that ended with a result."""

    retries: Count
    """How many of them were not the first at their task."""

    lost: Count
    """The number of attempts that ended without a result, since they were lost or stopped."""

    span_s: Annotated[float, Field(ge=0)]
    """The time from the beginning of the first attempt to the end of the last, in seconds."""

    cost: Annotated[float, Field(ge=0)]
    """What the attempts cost together, in the manager's unit of cost."""


class Comparison(_ComparisonPart):
    """What another policy would have done with a recorded run: an estimate."""

    policy: str
    """The policy of the replay."""

    recorded_policy: str
    """The policy of the recorded run; empty if unknown."""

    tasks: Count
    """The number of tasks."""

    recorded: RunFigures
    """The recorded run."""

    replayed: RunFigures
    """The replay."""

    seen_attempts: Count
    """How many attempts of the replay have an outcome that was recorded."""

    seen_share: Annotated[float, Field(ge=0, le=1)]
    """The share of these among the attempts of the replay; the other outcomes are expectations."""

    is_complete: bool
    """Whether nothing is missing from the record."""


def compare(recorded: RecordedRun, replayed: ReplayedRun, policy: str) -> Comparison:
    """Compare a replay with the recorded run.

    Args:
        recorded: the recorded run.
        replayed: the replay.
        policy: the name of its policy.
    """
    before = list(recorded.statuses.values())
    after = list(replayed.statuses.values())
    seen = sum(each.outcome.is_seen for each in replayed.attempts)
    return Comparison(
        policy=policy,
        recorded_policy=recorded.policy,
        tasks=len(recorded.tasks),
        recorded=RunFigures(
            completed=before.count(OccurrenceKind.TASK_COMPLETED),
            failed=before.count(OccurrenceKind.TASK_FAILED),
            unsettled=len(recorded.tasks) - len(before),
            attempts=len(recorded.attempts),
            retries=_retries(recorded.attempts),
            lost=recorded.lost,
            span_s=_span_s(recorded.attempts),
            cost=sum(each.cost for each in recorded.attempts),
        ),
        replayed=RunFigures(
            completed=after.count(TaskStatus.COMPLETED),
            failed=after.count(TaskStatus.FAILED),
            unsettled=len(after) - sum(status.is_final for status in after),
            attempts=len(replayed.attempts),
            retries=_retries(replayed.attempts),
            lost=replayed.lost,
            span_s=_span_s(replayed.attempts),
            cost=sum(each.outcome.cost for each in replayed.attempts),
        ),
        seen_attempts=seen,
        seen_share=seen / len(replayed.attempts) if replayed.attempts else 1.0,
        is_complete=recorded.is_complete,
    )


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Lay out a comparison as lines of text."""
    before, after = comparison.recorded, comparison.replayed
    rows = [
        ("", "recorded", "replayed"),
        ("policy", comparison.recorded_policy or "unknown", comparison.policy),
        ("completed", f"{before.completed:,}", f"{after.completed:,}"),
        ("failed", f"{before.failed:,}", f"{after.failed:,}"),
        ("unsettled", f"{before.unsettled:,}", f"{after.unsettled:,}"),
        ("attempts", f"{before.attempts:,}", f"{after.attempts:,}"),
        ("retries", f"{before.retries:,}", f"{after.retries:,}"),
        ("span", f"{before.span_s:,.1f} s", f"{after.span_s:,.1f} s"),
        ("cost", f"{before.cost:,.4g}", f"{after.cost:,.4g}"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    yield f"{comparison.tasks:,} tasks, replayed with {comparison.policy}: an estimate"
    for name, *figures in rows:
        cells = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
        yield "  ".join([name.ljust(widths[0]), *cells])
    seen = (
        f"{comparison.seen_share:.0%} of the replay's attempts ({comparison.seen_attempts:,} of "
        f"{after.attempts:,})"
    )
    if comparison.seen_attempts == after.attempts:
        yield f"{seen} end as they were seen to end"
    else:
        yield f"{seen} end as they were seen to end,"
        yield "the others as the scorecards of the recorded run let expect"
    if not comparison.is_complete:
        yield "parts of the record are missing, so the figures of the recorded run are too low"


def _span_s(attempts: Sequence[RecordedAttempt] | Sequence[ReplayedAttempt]) -> float:
    if not attempts:
        return 0.0
    return max(each.ended_at for each in attempts) - min(each.started_at for each in attempts)


def _retries(attempts: Sequence[RecordedAttempt] | Sequence[ReplayedAttempt]) -> int:
    return len(attempts) - len({each.task_id for each in attempts})
