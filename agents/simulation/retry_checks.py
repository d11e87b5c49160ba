"""Checks the waits, attempts and losses of a task after a simulated run."""

from __future__ import annotations

from collections.abc import Iterator

from ..kernel.board.delays import earliest_of
from ..kernel.matching.eligibility import max_attempts_of
from ..kernel.model.config import Rules
from ..kernel.model.occurrences import DelayFacts, Occurrence
from ..kernel.model.records import TaskRecord

_ROUNDING_S = 1e-6


def find_wrong_retries(record: TaskRecord, rules: Rules) -> Iterator[tuple[str, str]]:
    """Tell which promises about attempts and waits were not kept, each with the details.

    Args:
        record: a task of a run that has ended.
        rules: the configuration of the run.
    """
    task, is_voted_on = record.task, record.task.votes > 1
    earliest = earliest_of(record, rules.time_scale)
    for attempt in record.attempts:
        if earliest is not None and attempt.started_at < earliest - _ROUNDING_S:
            yield (
                "no task begins before its time",
                (
                    f"attempt {attempt.number} at task {task.id!r} began at "
                    f"{attempt.started_at:.3f}, before {earliest:.3f}"
                ),
            )
    most = max_attempts_of(record)
    if record.retry is not None and not is_voted_on and record.failures > most:
        yield (
            "no task has more attempts than its Retry allows",
            f"task {task.id!r} failed {record.failures} times, its limit is {most}",
        )
    limit = rules.max_losses if task.max_losses is None else task.max_losses
    if not is_voted_on and record.losses > limit + 1:
        yield (
            "no task is lost more often than it may be",
            f"task {task.id!r} was lost {record.losses} times, its limit is {limit}",
        )
    for told in record.story:
        if isinstance(told.facts, DelayFacts):
            yield from _check_delay(record, told, told.facts, rules)


def _check_delay(
    record: TaskRecord, told: Occurrence, facts: DelayFacts, rules: Rules
) -> Iterator[tuple[str, str]]:
    for attempt in record.attempts:
        is_early = told.at < attempt.started_at < facts.until - _ROUNDING_S
        # Other workers vote meanwhile; and a retry by hand ends a wait.
        if is_early and record.task.votes == 1 and record.retried_at is None:
            yield (
                "no attempt begins during a wait",
                (
                    f"attempt {attempt.number} at task {record.task_id!r} began at "
                    f"{attempt.started_at:.3f}, though it waits until {facts.until:.3f}"
                ),
            )
    retry, words = record.retry, facts.reason.split()
    if retry is None or words[0] != "retry" or words[-1] == "RetryLater":
        return
    failures, wait_s = int(words[1]) - 1, (facts.until - told.at) / rules.time_scale
    usual_s = min(retry.wait_s * retry.factor ** (failures - 1), retry.max_wait_s)
    least_s = usual_s * (1 - retry.jitter) - _ROUNDING_S
    most_s = min(usual_s * (1 + retry.jitter), retry.max_wait_s) + _ROUNDING_S
    if not least_s <= wait_s <= most_s:
        yield (
            "each wait is within its jitter",
            (
                f"task {record.task_id!r} waits {wait_s:.3f} s after {failures} failures, not "
                f"{least_s:.3f} to {most_s:.3f} s"
            ),
        )
