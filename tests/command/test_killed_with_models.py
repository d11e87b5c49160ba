"""Workers and managers that are killed with -9 while models and tools work: what is lost, and paid.

The model server and the tools count what they were asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents.runtime.loop_thread import LoopThread
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

TASKS = 8
KEY = "sk-of-the-house"
BEGUN = (
    "attempt 1 was lost with Ada; it had told: asked small, turn 1; paid even if the answer is lost"
)
MANAGING = (
    *("manager", "--tasks", "tasks.jsonl", "--port", 0, "--ticket-file", "ticket"),
    *("--store", "run.db", "--report", "report.json", "--policy", "in_order"),
)
WORKING = ("worker", "--join", "ticket", "--skill", 5)

TOOLS = """
import asyncio
from pathlib import Path
from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

server = FastMCP("tools", log_level="ERROR")


async def act(name):
    with Path("calls").open("a") as file:
        print(name, file=file)
    while not Path("gate").exists():
        await asyncio.sleep(0.02)
    return f"did {name}"


@server.tool()
async def pay(name: str) -> str:
    return await act(name)


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
async def look(name: str) -> str:
    return await act(name)


server.run()
"""


def kill(running: Any) -> None:
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()


def kept_states(folder: Path) -> list[bytes]:
    """What the store has of each task."""
    if not (folder / "run.db").exists():
        return []
    connection = sqlite3.connect(folder / "run.db")
    try:
        return [bytes(state) for (state,) in connection.execute("SELECT state FROM task_state")]
    except sqlite3.OperationalError:
        # It is being made.
        return []
    finally:
        connection.close()


def reported(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "report.json").read_text())
    return {str(each["id"]): each for each in told["tasks"]}


class Models:
    """A model server that answers when it is told to."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.server = ModelServer(self.answer, keys=[KEY])
        self.thread = LoopThread("models")

    async def answer(self, call: ModelCall) -> str:
        while not self.gate.is_set():
            await asyncio.sleep(0.02)
        return f"answer to {call.text}"


@pytest.fixture
def models() -> Iterator[Models]:
    models = Models()
    models.thread.start()
    models.thread.wait_for(models.server.start())
    yield models
    models.thread.wait_for(models.server.stop())
    models.thread.stop()


@pytest.mark.parametrize("killed", ["worker", "manager", "both"])
def test_a_model_is_asked_again_only_for_what_was_lost(
    start: Callable[..., Any], tmp_path: Path, models: Models, killed: str
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    tasks = [{"id": n, "type": "prompt", "data": f"question {n}"} for n in range(1, TASKS + 1)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    manager = start(*MANAGING)
    options = ("--slots", 2, "--model", "small", "--base-url", models.server.url)
    paid = ("--key-file", key, "--price-in", 1_000_000, "--price-out", 1_000_000)
    workers = {name: start(*WORKING, "--name", name, *options, *paid) for name in ("Ada", "Ben")}
    asked = b"asked small, turn 1"
    manager.wait_until(lambda: sum(asked in each for each in kept_states(tmp_path)) == 4)
    manager.wait_until(lambda: len(models.server.calls) == 4)
    if killed != "manager":
        kill(workers["Ada"])
    if killed != "worker":
        kill(manager)
        manager = start(*MANAGING)
    if killed != "manager":
        lost = b"worker_lost"
        manager.wait_until(lambda: sum(lost in each for each in kept_states(tmp_path)) == 2)
    models.gate.set()
    assert manager.end().code == 0
    told = reported(tmp_path)
    assert {each["status"] for each in told.values()} == {"completed"}
    assert {each["output"] for each in told.values()} == {
        f"answer to question {n}" for n in range(1, TASKS + 1)
    }
    lost_tasks = {
        each["data"] for each in tasks if told[str(each["id"])]["history"][0]["outcome"] == "lost"
    }
    assert len(lost_tasks) == (0 if killed == "manager" else 2)
    # Each question is paid once, and once more if its worker was killed.
    counts = Counter(call.text for call in models.server.calls)
    assert counts == {each["data"]: 1 + (each["data"] in lost_tasks) for each in tasks}
    for each in tasks:
        if each["data"] in lost_tasks:
            why = start("why", each["id"], "--store", "run.db").end().out
            assert BEGUN in why
            assert any(BEGUN in line for line in told[str(each["id"])]["why"])
    for each in workers.values():
        each.process.wait(60)
        assert KEY not in "".join(each.lines)


@pytest.mark.parametrize("killed", ["manager", "both"])
def test_a_tool_that_may_have_acted_is_not_called_again(
    start: Callable[..., Any], tmp_path: Path, killed: str
) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    tasks = [
        {"id": 1, "type": "pay", "data": {"name": "pay"}},
        {"id": 2, "type": "look", "data": {"name": "look"}},
        {"id": 3, "type": "pay", "data": {"name": "pay anyway"}, "max_losses": 1},
    ]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    manager = start(*MANAGING, "--workers", 1)
    serving = ("--slots", 4, "--mcp", f"{sys.executable} tools.py")
    ada = start(*WORKING, "--name", "Ada", *serving)
    calls = tmp_path / "calls"
    manager.wait_until(lambda: calls.exists() and len(calls.read_text().splitlines()) == 3)
    kill(manager)
    if killed == "both":
        kill(ada)
        start(*WORKING, "--name", "Ben", *serving)
    manager = start(*MANAGING, "--workers", 1)
    if killed == "both":
        manager.wait_until(lambda: len(calls.read_text().splitlines()) == 5)
    (tmp_path / "gate").touch()
    ended = manager.end()
    told = reported(tmp_path)
    counts = Counter(calls.read_text().splitlines())
    if killed == "manager":
        assert (ended.code, set(counts.values())) == (0, {1})
        assert {each["status"] for each in told.values()} == {"completed"}
        return
    assert counts == {"pay": 1, "look": 2, "pay anyway": 2}
    assert {name: each["status"] for name, each in told.items()} == {
        "1": "failed",
        "2": "completed",
        "3": "completed",
    }
    assert told["1"]["error_message"].startswith("worker lost: 1 times, last on Ada; begun, but")
    assert "'pay' may have acted, so it is not tried again" in told["1"]["error_message"]


ORDERS = """
import os
from muster.agents import ModelHandlers, TaskContext


async def pay(name: str, context: TaskContext) -> str:
    return await context.submit("pay", {"name": name})


handlers = ModelHandlers("small", os.environ["MODEL_URL"], types=["order"], tools=[pay])
"""


def test_a_tool_call_that_is_a_task_is_not_done_again_by_the_next_worker(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    async def answer(call: ModelCall) -> ModelReply:
        if not call.tool_results:
            return ModelReply(calls=[("pay", {"name": "for tea"})])
        while not gate.is_set():
            await asyncio.sleep(0.02)
        return ModelReply(f"Yes: {call.tool_results[0]}")

    server, thread = ModelServer(answer), LoopThread("models")
    thread.start()
    thread.wait_for(server.start())
    monkeypatch.setenv("MODEL_URL", server.url)
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "orders.py").write_text(ORDERS)
    (tmp_path / "gate").touch()
    (tmp_path / "tasks.jsonl").write_text(json.dumps({"id": 1, "type": "order", "data": "tea"}))
    try:
        manager = start(*MANAGING)
        start(*WORKING, "--name", "Cashier", "--mcp", f"{sys.executable} tools.py")
        ada = start(*WORKING, "--name", "Ada", "--handlers", "orders:handlers")
        manager.wait_until(lambda: any(call.tool_results for call in server.calls))
        kill(ada)
        start(*WORKING, "--name", "Ben", "--handlers", "orders:handlers")
        gate.set()
        assert manager.end().code == 0
    finally:
        thread.wait_for(server.stop())
        thread.stop()
    told = reported(tmp_path)
    assert [each["outcome"] for each in told["1"]["history"]] == ["lost", "succeeded"]
    assert "did for tea" in told["1"]["output"]
    assert (tmp_path / "calls").read_text().splitlines() == ["for tea"]
