"""What every peer is asked to do, and how it tells what it took; knows nothing of Muster.

A peer's script is run by `compare.py` in a process of its own, perhaps by another Python. Its
argument is the order as JSON. Its answers are lines of JSON on stdout: `{"first_result": true}`
as soon as there is one, and at last the times it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

NUMBER_BYTES = 8
WARM_UP_TASKS = 200
WARM_UP_SAMPLES = 50


class Peer(Protocol):
    """A task system with two worker processes."""

    async def start(self) -> None:
        """Start it and its worker processes."""
        ...

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        """Have a no-op task done for each argument, in the form that is fastest for many.

        Returns:
            The "n" of each argument, as the tasks returned it.
        """
        ...

    async def run_one(self, argument: dict[str, int]) -> int:
        """Have one no-op task done."""
        ...

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Have each payload, as a task's argument, returned by that task."""
        ...

    async def stop(self) -> None:
        """End it and its worker processes."""
        ...


def play(peer: Peer) -> None:
    """Do what the command line orders."""
    # Libraries print when they are imported; what is told goes where stdout was.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_play(peer, json.loads(sys.argv[1]), told))


async def _play(peer: Peer, order: dict[str, Any], told: TextIO) -> None:
    def tell(**what: object) -> None:
        told.write(json.dumps(what) + "\n")
        told.flush()

    await peer.start()
    try:
        first = await peer.run_one({"n": 1})
        assert first == 1, f"the first result was {first!r}"
        tell(first_result=True)
        # The second worker may come after the first result.
        warm_at = time.perf_counter() + order["warm_up_s"]
        while time.perf_counter() < warm_at:
            await _time_many(peer, WARM_UP_TASKS)
        for count in order["tasks"]:
            tell(many=count, took_s=await _time_many(peer, count))
        tell(one_s=await _time_one(peer, WARM_UP_SAMPLES, order["samples"]))
        if order["payloads"]:
            tell(echo_s=await _time_echo(peer, order["payload_bytes"], order["payloads"]))
    finally:
        await peer.stop()
    tell(ended=True)


async def _time_many(peer: Peer, count: int) -> float:
    arguments = [{"n": number} for number in range(count)]
    began = time.perf_counter()
    outputs = await peer.run_many(arguments)
    took_s = time.perf_counter() - began
    assert outputs == list(range(count)), "some tasks came back with the results of others"
    return took_s


async def _time_one(peer: Peer, warm_up: int, samples: int) -> list[float]:
    took_s: list[float] = []
    for number in range(warm_up + samples):
        began = time.perf_counter()
        output = await peer.run_one({"n": number})
        took_s.append(time.perf_counter() - began)
        assert output == number
    return took_s[warm_up:]


async def _time_echo(peer: Peer, size_bytes: int, count: int) -> float:
    # Noise, and no two alike: neither compressing nor keeping one of many helps.
    noise = os.urandom(size_bytes)
    payloads = [
        (number.to_bytes(NUMBER_BYTES, "big") + noise)[:size_bytes] for number in range(count)
    ]
    began = time.perf_counter()
    echoed = await peer.echo_many(payloads)
    took_s = time.perf_counter() - began
    assert echoed == payloads, "a payload came back changed"
    return took_s


def this_folder() -> Path:
    """Where the peers' scripts are, for worker processes that import them."""
    return Path(__file__).parent
