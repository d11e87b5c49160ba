"""Beliefs about pace: how long a worker takes for a task of a type."""

from __future__ import annotations

from math import exp, log

from .additive_belief import AdditiveCell, SharedBelief

WORKER_DEVIATION = 1.0
"""How much workers differ in pace, as the standard deviation of its logarithm."""

TYPE_DEVIATION = 3.0
"""How much types differ in pace, as the standard deviation of its logarithm."""

SPECIAL_DEVIATION = 0.5
"""How much a worker's pace for a type differs from its own, as a deviation of the logarithm."""

REMEMBERED = 100.0
"""Evidence fades as if only about this many results of a worker and type counted."""

_SHORTEST_S = 1e-6
_LONGEST_LOG = 30.0
_RESULT_PRECISION = 1.0 / 0.7**2
_FADING = 1.0 - 1.0 / REMEMBERED


def new_pace(
    worker: SharedBelief, task_type: SharedBelief, worker_name: str, type_name: str
) -> AdditiveCell:
    """The belief about the pace of a worker for a type before its first result."""
    return AdditiveCell(
        worker,
        task_type,
        worker_name,
        type_name,
        special=0.0,
        special_deviation=SPECIAL_DEVIATION,
    )


def observe_pace(cell: AdditiveCell, log_sum: float, count: int) -> None:
    """Take the durations of attempts, and tell of them.

    Durations are taken as log-normal, so their logarithms are Gaussian observations.

    Args:
        cell: the pace of the worker for the type.
        log_sum: the sum of the logarithms of the durations in seconds.
        count: the number of attempts.
    """
    kept = _FADING**count
    cell.gain(count * _RESULT_PRECISION, log_sum * _RESULT_PRECISION, kept)
    cell.tell()


def log_duration(duration_s: float) -> float:
    """The logarithm of a duration in seconds."""
    return log(duration_s) if duration_s > _SHORTEST_S else log(_SHORTEST_S)


def expect_duration_s(cell: AdditiveCell) -> float:
    """The expected duration of an attempt in seconds: the median, which no outlier moves far."""
    mean, _ = cell.belief()
    return exp(min(mean, _LONGEST_LOG))
