"""The figures of a measurement, and how they are computed from samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ...messages import InvalidInput

BYTES_A_MB = 1_000_000


class _Figure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BenchConditions(_Figure):
    """The conditions under which the figures were measured.

    Args:
        muster: Muster's version.
        ceylon: Ceylon's version.
        python: Python's version.
        platform: the operating system and the kind of machine.
        cpu_count: how many processors this process may use.
        began_at: when the measurement began, as ISO 8601 in UTC.
        workers: the number of worker processes.
        slots: how many tasks each worker runs at once.
        sealed: whether frames were sealed.
        store: the file in which the run was stored, or None.
    """

    muster: str
    ceylon: str
    python: str
    platform: str
    cpu_count: int
    began_at: str
    workers: int
    slots: int
    sealed: bool
    store: str | None


class Throughput(_Figure):
    """No-op tasks per second, from submission to the last result."""

    tasks: int
    took_s: float
    tasks_per_s: float


class Latency(_Figure):
    """How long one task at a time took, from submission to its result."""

    samples: int
    p50_ms: float
    p99_ms: float
    slowest_ms: float


class PayloadRate(_Figure):
    """Data echoed per second; each byte counts once, though it travels both ways."""

    size_bytes: int
    count: int
    took_s: float
    mb_per_s: float


class MemoryUse(_Figure):
    """Peak resident memory; None where the system does not provide it."""

    manager_peak_bytes: int | None
    worker_peak_bytes: int | None


class Figures(_Figure):
    """Everything that was measured; None where it was not."""

    conditions: BenchConditions
    throughput: Throughput | None = None
    latency: Latency | None = None
    cold_start_s: float | None = None
    payload: PayloadRate | None = None
    memory: MemoryUse | None = None

    @property
    def has_any(self) -> bool:
        """Whether anything was measured."""
        return any(value is not None for name, value in self if name != "conditions")


def percentile(samples: Sequence[float], percent: float) -> float:
    """The percentile of samples, by the nearest-rank method.

    Args:
        samples: one or more, in any order.
        percent: above 0, at most 100.

    Raises:
        InvalidInput: there are no samples, or the percentage is out of range.
    """
    if not samples:
        raise InvalidInput("there are no samples to take a percentile of")
    if not 0 < percent <= 100:  # noqa: PLR2004 - percent
        raise InvalidInput(f"percent is {percent}; it must be above 0 and at most 100")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def throughput_of(tasks: int, took_s: float) -> Throughput:
    """The throughput of a number of tasks that took some time."""
    return Throughput(tasks=tasks, took_s=round(took_s, 6), tasks_per_s=round(tasks / took_s, 1))


def latency_of(samples_s: Sequence[float]) -> Latency:
    """The latency figures of samples, in seconds."""
    return Latency(
        samples=len(samples_s),
        p50_ms=round(1e3 * percentile(samples_s, 50), 3),
        p99_ms=round(1e3 * percentile(samples_s, 99), 3),
        slowest_ms=round(1e3 * max(samples_s), 3),
    )


def payload_rate_of(size_bytes: int, count: int, took_s: float) -> PayloadRate:
    """The rate of a number of equal payloads that took some time."""
    return PayloadRate(
        size_bytes=size_bytes,
        count=count,
        took_s=round(took_s, 6),
        mb_per_s=round(size_bytes * count / BYTES_A_MB / took_s, 3),
    )
