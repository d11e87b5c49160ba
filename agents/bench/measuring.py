"""Measures throughput, latency, payload rate and memory of a manager and its workers."""

from __future__ import annotations

import os
import time

from ...messages import MeasurementFailed
from .figures import (
    Latency,
    MemoryUse,
    PayloadRate,
    Throughput,
    latency_of,
    payload_rate_of,
    throughput_of,
)
from .peak_memory import measure_peak_memory
from .tasks import ECHO, MEMORY, NOTHING
from .workers import BenchWorkers

SAMPLES = 500
WARM_UP = 50
PAYLOADS = 20

_TASKS_PER_SLOT = 2
_NUMBER_BYTES = 8


async def measure_throughput(workers: BenchWorkers, count: int) -> Throughput:
    """Submit many tasks that do nothing, and wait for the last result.

    Raises:
        MeasurementFailed: a task failed, or returned another task's output.
    """
    began = time.perf_counter()
    first = workers.next_id
    outputs = await workers.run((workers.new_task(NOTHING) for _ in range(count)), count)
    took_s = time.perf_counter() - began
    if outputs != list(range(first, first + count)):
        raise MeasurementFailed("some tasks returned the outputs of others")
    return throughput_of(count, took_s)


async def measure_latency(
    workers: BenchWorkers, samples: int = SAMPLES, warm_up: int = WARM_UP
) -> Latency:
    """Submit one task after the other, each when the former has completed.

    Args:
        workers: perform the tasks.
        samples: how many tasks are measured.
        warm_up: how many are performed before.

    Raises:
        MeasurementFailed: a task failed.
    """
    took_s: list[float] = []
    for _ in range(warm_up + samples):
        began = time.perf_counter()
        await workers.run_one(workers.new_task(NOTHING))
        took_s.append(time.perf_counter() - began)
    return latency_of(took_s[warm_up:])


async def measure_payload(
    workers: BenchWorkers, size_bytes: int, count: int = PAYLOADS
) -> PayloadRate:
    """Submit incompressible payloads, all at once, and have each echoed.

    Raises:
        MeasurementFailed: a task failed, or a payload came back changed.
        EncodeError: a payload is too large for a message.
    """
    payloads = make_payloads(size_bytes, count)
    began = time.perf_counter()
    echoed = await workers.run((workers.new_task(ECHO, payload) for payload in payloads), count)
    took_s = time.perf_counter() - began
    if echoed != payloads:
        raise MeasurementFailed("a payload came back changed")
    return payload_rate_of(size_bytes, count, took_s)


def make_payloads(size_bytes: int, count: int) -> list[bytes]:
    """Payloads of random bytes, all different unless they are tiny."""
    # Making new random bytes for each would take longer than sending them.
    noise = os.urandom(size_bytes)
    return [
        (number.to_bytes(_NUMBER_BYTES, "big") + noise)[:size_bytes]
        if size_bytes >= _NUMBER_BYTES
        else noise
        for number in range(count)
    ]


async def measure_memory(workers: BenchWorkers) -> MemoryUse:
    """The peak memory of the manager's process, and of the worker process that took most.

    Raises:
        MeasurementFailed: a task failed.
    """
    # Enough that each worker gets one.
    count = _TASKS_PER_SLOT * workers.plan.slots * workers.plan.workers
    outputs = await workers.run((workers.new_task(MEMORY) for _ in range(count)), count)
    peaks = [peak for peak in outputs if isinstance(peak, int)]
    return MemoryUse(
        manager_peak_bytes=measure_peak_memory(), worker_peak_bytes=max(peaks, default=None)
    )
