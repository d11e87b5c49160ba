"""A worker's memory stays flat while fifty calls meet faulty servers, and each ends in a result."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.messages import Task
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer

from .test_server_faults import stream_event, stream_head, writes

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ceylon]

CALLS = 50
MIB = 1024 * 1024


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def flood(writer: asyncio.StreamWriter, begin: bytes, piece: bytes) -> None:
    writer.write(stream_head() + begin)
    with contextlib.suppress(OSError):
        for _ in range(1_600):
            writer.write(piece)
            await writer.drain()


FAULTS = {
    "drip": (writes(stream_head(), *[b":"] * 20_000, every_s=0.02), "timed out"),
    "hang": (ModelReply(delay_s=600), "timed out"),
    "cut off": (writes(stream_head(), stream_event("two ")), "broke off its answer"),
    "429": (ModelReply("busy", status=429, headers={"Retry-After": "0.1"}), "answered 429"),
    "invalid": (writes(stream_head(), b"data: {no json\n\n"), "no answer that can be read"),
    "100 MB": (
        ModelReply(write=lambda it: flood(it, b"data: ", b"x" * 65_536)),
        "more than 4,194,304 bytes",
    ),
    "100 MB in lines": (
        ModelReply(write=lambda it: flood(it, b"", b": " + b"x" * 65_532 + b"\n\n")),
        "more than 33,554,432 bytes",
    ),
    "fine": (ModelReply("fine"), None),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_fifty_calls_at_faulty_servers_leave_a_worker_small() -> None:
    most = 0

    async def main() -> None:
        at_once = 0

        async def rule(call: ModelCall) -> ModelReply:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            while most < CALLS:
                await asyncio.sleep(0.01)
            return FAULTS[call.text][0]

        manager = TaskManager(port=0, quiet=True)
        await manager.start()
        async with ModelServer(rule) as server:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "muster.agents.command", "worker", "--name", "Ada"),
                *("--join", str(manager.ticket()), "--skill", "5", "--slots", str(CALLS)),
                *("--model", "small", "--base-url", server.url, "--ends-with-parent"),
                stderr=asyncio.subprocess.DEVNULL,
            )
            kinds = [list(FAULTS)[number % len(FAULTS)] for number in range(CALLS)]
            tasks = [
                Task(
                    number,
                    type="prompt",
                    data=kind,
                    timeout=20 if kind in ("drip", "hang") else 100,
                    max_attempts=1,
                )
                for number, kind in enumerate(kinds, 1)
            ]
            results = await asyncio.gather(*map(manager.submit, tasks))
            peak = peak_bytes(worker.pid)
            print(f"{most} calls at once, {peak / MIB:.0f} MiB at the peak")
            await manager.stop()
            await worker.wait()
        for kind, result in zip(kinds, results, strict=True):
            told = FAULTS[kind][1]
            assert result.success is (told is None)
            assert told is None or told in str(result.error_message)
        assert peak < 300 * MIB

    asyncio.run(asyncio.wait_for(main(), 300))
    assert most == CALLS
