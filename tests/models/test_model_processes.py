"""Model workers as processes: one is killed in the midst of its calls, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.agents.kernel.model.records import AttemptOutcome
from muster.messages import Task, TaskStatus
from muster.scenarios.model_server import ModelCall, ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ceylon]

TASKS = 12
KEY = "sk-of-the-house"


def test_a_killed_worker_loses_nothing_and_what_was_begun_says_so(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)

    async def main() -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def rule(call: ModelCall) -> str:
            if len(server.calls) >= 4:
                begun.set()
            await gate.wait()
            return f"answer to {call.text}"

        server = ModelServer(rule, keys=[KEY])
        tasks = [Task(n, type="prompt", data=f"question {n}") for n in range(1, TASKS + 1)]
        manager = TaskManager(
            tasks,
            ["Ada", "Ben"],
            port=0,
            quiet=True,
            policy="in_order",
            lost_after_s=3.0,
            cost_unit="USD",
        )
        async with server:
            await manager.start()
            ticket = str(manager.ticket())
            processes = {
                name: await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "muster.agents.command", "worker"),
                    *("--join", ticket, "--name", name, "--skill", "5", "--slots", "2"),
                    *("--model", "small", "--base-url", server.url, "--key-file", str(key_file)),
                    *("--price-in", "1000000", "--price-out", "1000000", "--ends-with-parent"),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                for name in ("Ada", "Ben")
            }
            await asyncio.wait_for(begun.wait(), 120)
            while not all(each.running for each in manager.board.workers.values()):
                await asyncio.sleep(0.05)
            held = list(manager.board.workers["Ada"].running)
            os.kill(processes["Ada"].pid, signal.SIGKILL)
            while manager.board.workers["Ada"].alive:
                await asyncio.sleep(0.05)
            gate.set()
            while not all(each.status.is_final for each in manager.board.tasks.values()):
                await asyncio.sleep(0.05)
            await manager.stop()
            told = b"".join([(await each.communicate())[0] for each in processes.values()])
        for n in range(1, TASKS + 1):
            record = manager.board.tasks[n]
            assert record.status is TaskStatus.COMPLETED
            assert record.result is not None
            assert record.result.output == f"answer to question {n}"
        for task_id, number in held:
            record = manager.board.tasks[task_id]
            assert record.attempts[number - 1].outcome is AttemptOutcome.LOST
            assert record.attempts[-1].worker.name == "Ben"
            story = [str(each.facts) for each in record.story if each.attempt == number]
            assert any("asked small, turn 1; paid even if the answer is lost" in s for s in story)
        # Each question is paid once, but those that were lost.
        assert len(server.calls) == TASKS + len(held)
        assert KEY.encode() not in told
        assert KEY not in repr(manager.report())

    asyncio.run(asyncio.wait_for(main(), 300))
