"""A worker's memory stays flat whatever an MCP server sends, and each task ends in a result."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.messages import Task

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ceylon]

SERVER = Path(__file__).with_name("flooding_server.py")
MIB = 1024 * 1024

OUTCOMES = {
    "text": "it sent a message of more than 8,388,608 bytes",
    "binary": "it sent a message of more than 8,388,608 bytes",
    "many_contents": "many_contents answers with 150,000 contents; at most 10,000 are taken",
    "stderr": None,
    "fine": None,
    # It does not stop when it is told to.
    "progress": "timed out",
}


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("listed", [0, 100_000], ids=["six tools", "100,000 tools"])
def test_a_worker_stays_small_whatever_its_server_sends(listed: int) -> None:
    async def main() -> None:
        manager = TaskManager(port=0, quiet=True)
        await manager.start()
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command", "worker", "--name", "Ada"),
            *("--join", str(manager.ticket()), "--skill", "5", "--ends-with-parent"),
            *("--mcp", f"{sys.executable} {SERVER} {listed}"),
        )
        fine = await manager.submit(Task(type="fine", timeout=60))
        assert fine.output == "fine"
        before = peak_bytes(worker.pid)
        for name, told in OUTCOMES.items():
            timeout = 3.0 if name == "progress" else 60.0
            result = await manager.submit(Task(type=name, timeout=timeout))
            assert told is None or told in str(result.error_message)
            assert (told is None) == result.success, result.error_message
            print(f"{name}: {peak_bytes(worker.pid) / MIB:.0f} MiB")
        peak = peak_bytes(worker.pid)
        print(f"{before / MIB:.0f} MiB at first, {peak / MIB:.0f} MiB at its peak")
        await manager.stop()
        await worker.wait()
        assert peak < 300 * MIB

    asyncio.run(asyncio.wait_for(main(), 300))
