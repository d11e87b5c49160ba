"""What a crew gives: many tasks at once, one at a time, large payloads, memory."""

from __future__ import annotations

import os
import time

from ...messages import MeasurementFailed
from .crew import BenchWorkers
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

SAMPLES = 500
WARM_UP = 50
PAYLOADS = 20

_ASKED_FOR_EACH_SLOT = 2
_NUMBER_BYTES = 8


async def measure_throughput(crew: BenchWorkers, count: int) -> Throughput:
    """Submit many tasks that do nothing, and wait for the last result.

    Raises:
        MeasurementFailed: a task failed, or came back with another's result.
    """
    began = time.perf_counter()
    first = crew.next_id
    outputs = await crew.run((crew.new_task(NOTHING) for _ in range(count)), count)
    took_s = time.perf_counter() - began
    if outputs != list(range(first, first + count)):
        raise MeasurementFailed("some tasks came back with the results of others")
    return throughput_of(count, took_s)


async def measure_latency(
    crew: BenchWorkers, samples: int = SAMPLES, warm_up: int = WARM_UP
) -> Latency:
    """Submit one task after the other, each when the one before is done.

    Args:
        crew: who does them.
        samples: how many are measured.
        warm_up: how many are done before.

    Raises:
        MeasurementFailed: a task failed.
    """
    took_s: list[float] = []
    for _ in range(warm_up + samples):
        began = time.perf_counter()
        await crew.run_one(crew.new_task(NOTHING))
        took_s.append(time.perf_counter() - began)
    return latency_of(took_s[warm_up:])


async def measure_payload(
    crew: BenchWorkers, size_bytes: int, count: int = PAYLOADS
) -> PayloadRate:
    """Submit payloads that can't be compressed, all at once, and have each echoed.

    Raises:
        MeasurementFailed: a task failed, or a payload came back changed.
        EncodeError: it is more than a message may hold.
    """
    payloads = make_payloads(size_bytes, count)
    began = time.perf_counter()
    echoed = await crew.run((crew.new_task(ECHO, payload) for payload in payloads), count)
    took_s = time.perf_counter() - began
    if echoed != payloads:
        raise MeasurementFailed("a payload came back changed")
    return payload_rate_of(size_bytes, count, took_s)


def make_payloads(size_bytes: int, count: int) -> list[bytes]:
    """So many payloads of random bytes, no two alike unless they are tiny."""
    # Making each anew would take longer than sending it.
    noise = os.urandom(size_bytes)
    return [
        (number.to_bytes(_NUMBER_BYTES, "big") + noise)[:size_bytes]
        if size_bytes >= _NUMBER_BYTES
        else noise
        for number in range(count)
    ]


async def measure_memory(crew: BenchWorkers) -> MemoryUse:
    """The most memory that the manager's process and the largest of the workers' have had.

    Raises:
        MeasurementFailed: a task failed.
    """
    # So many that each worker gets one.
    asked = _ASKED_FOR_EACH_SLOT * crew.order.slots * crew.order.workers
    told = await crew.run((crew.new_task(MEMORY) for _ in range(asked)), asked)
    peaks = [peak for peak in told if isinstance(peak, int)]
    return MemoryUse(
        manager_peak_bytes=measure_peak_memory(), worker_peak_bytes=max(peaks, default=None)
    )
