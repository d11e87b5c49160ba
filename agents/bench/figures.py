"""The figures that a measurement comes to, and how they are made of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ...messages import InvalidInput

BYTES_A_MB = 1_000_000


class _Figure(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BenchConditions(_Figure):
    """Under which conditions the figures were taken.

    Args:
        muster: Muster's version.
        ceylon: Ceylon's version.
        python: Python's version.
        platform: the operating system and the kind of machine.
        cpu_count: how many processors this process may use.
        began_at: when, as ISO 8601 in UTC.
        workers: how many worker processes.
        slots: how many tasks each worker runs at once.
        sealed: whether frames were sealed.
        store: the file in which the run was kept, or None if it was not.
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
    """How many tasks that do nothing were done a second, from submitting to the last result."""

    tasks: int
    took_s: float
    tasks_per_s: float


class Latency(_Figure):
    """How long one task at a time took, from submitting to its result."""

    samples: int
    p50_ms: float
    p99_ms: float
    slowest_ms: float


class PayloadRate(_Figure):
    """How much data was echoed a second; each byte counts once, though it goes there and back."""

    size_bytes: int
    count: int
    took_s: float
    mb_per_s: float


class MemoryUse(_Figure):
    """The most memory that was resident; None where the system does not tell."""

    manager_peak_bytes: int | None
    worker_peak_bytes: int | None


class Figures(_Figure):
    """What was measured; None is what the measuring did not come to."""

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
    """The smallest sample that so many percent of all do not exceed (nearest rank).

    Args:
        samples: one or more, in any order.
        percent: above 0, 100 at most.

    Raises:
        InvalidInput: there are no samples, or the percentage is out of range.
    """
    if not samples:
        raise InvalidInput("there are no samples, and so no percentile of them")
    if not 0 < percent <= 100:  # noqa: PLR2004 - percent
        raise InvalidInput(f"percent is {percent}; it must be above 0, and 100 at most")
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def throughput_of(tasks: int, took_s: float) -> Throughput:
    """The throughput of so many tasks in so many seconds."""
    return Throughput(tasks=tasks, took_s=round(took_s, 6), tasks_per_s=round(tasks / took_s, 1))


def latency_of(samples_s: Sequence[float]) -> Latency:
    """The latency that samples in seconds come to."""
    return Latency(
        samples=len(samples_s),
        p50_ms=round(1e3 * percentile(samples_s, 50), 3),
        p99_ms=round(1e3 * percentile(samples_s, 99), 3),
        slowest_ms=round(1e3 * max(samples_s), 3),
    )


def payload_rate_of(size_bytes: int, count: int, took_s: float) -> PayloadRate:
    """The rate of so many payloads of one size in so many seconds."""
    return PayloadRate(
        size_bytes=size_bytes,
        count=count,
        took_s=round(took_s, 6),
        mb_per_s=round(size_bytes * count / BYTES_A_MB / took_s, 3),
    )
