"""Which outcomes of model calls and of MCP tools say something about the skill of their worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import pytest
from muster.agents import ModelHandlers, ModelLimits, TaskManager, WorkerAgent, rehearse
from muster.agents.execution.handlers import Handlers
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.learning_policy import SettledAttempt
from muster.agents.mcp.handlers import McpHandlers
from muster.agents.mcp.server import CallInterrupted, McpServer, ToolGone
from muster.messages import McpUnusable, Payload, Task, TaskStatus, ToolFailed, WrongCall
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer, Rule

from .test_server_faults import error, stream_event, stream_head, writes


class Told(AdaptivePolicy):
    """The adaptive policy, which also notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[SettledAttempt] = []

    def learn(self, settled: SettledAttempt) -> None:
        self.told.append(settled)
        super().learn(settled)


def run(
    make: Callable[[ModelServer], Handlers], rule: Rule, *, is_cancelled: bool
) -> tuple[TaskManager, list[bool]]:
    """Have one task done. Returns the manager, and which attempts count as a sign of skill."""
    policy = Told()

    async def main() -> TaskManager:
        async with ModelServer(rule) as server:
            worker = WorkerAgent("Ada", 5, handlers=make(server))
            task = Task(1, type="go", data={"prompt": "go"}, max_attempts=1)
            manager = TaskManager([task], 1, quiet=True, policy=policy)

            async def cancel() -> None:
                while manager.board.tasks[1].status is not TaskStatus.IN_PROGRESS:
                    await asyncio.sleep(0.01)
                manager.cancel_task(1)

            cancelling = asyncio.ensure_future(cancel() if is_cancelled else asyncio.sleep(0))
            await rehearse(manager, [worker])
            await cancelling
            return manager

    manager = asyncio.run(main())
    return manager, [each.counts_as_skill for each in policy.told]


def tool() -> str:
    return "looked up"


def second_turn(reply: ModelReply) -> Rule:
    """A rule that first calls a tool, and then always replies with this."""

    def rule(call: ModelCall) -> ModelReply:
        return reply if call.tool_results else ModelReply(calls=[("tool", {})])

    return rule


NOW = {"Retry-After": "0.01"}
BUSY = ModelReply("busy", status=503, headers=NOW)

MODEL_FAULTS: dict[str, tuple[Rule | ModelReply, bool]] = {
    "rate limited": (ModelReply("slow down", status=429, headers=NOW), False),
    "5xx": (BUSY, False),
    "5xx in the second turn": (second_turn(BUSY), False),
    "hangs": (ModelReply(delay_s=60), False),
    "cut off": (writes(stream_head(), stream_event("two ")), False),
    "unreadable": (writes(stream_head(), b"data: {no json\n\n"), False),
    "no key": (ModelReply("bad key", status=401), False),
    "no quota": (error(429, "insufficient_quota"), False),
    "cancelled": (ModelReply(delay_s=60), False),
    "refuses": (ModelReply("no", finish="content_filter"), True),
    "says nothing": (ModelReply(""), True),
    "cut off at its length": (ModelReply("a", finish="length"), True),
    "right": (ModelReply("yes"), True),
}


@pytest.mark.parametrize("name", MODEL_FAULTS)
def test_what_says_nothing_about_a_model_is_not_held_against_it(name: str) -> None:
    reply, counts = MODEL_FAULTS[name]
    rule = (lambda call: reply) if isinstance(reply, ModelReply) else reply
    limits = ModelLimits(max_s=0.5 if name == "hangs" else 30.0)

    def make(server: ModelServer) -> Handlers:
        return ModelHandlers("small", server.url, types=["go"], tools=[tool], limits=limits)

    manager, signs = run(make, rule, is_cancelled=name == "cancelled")
    check(manager, signs, counts=counts, is_success=name == "right")


async def ends(fault: BaseException | None) -> Payload:
    if fault is not None:
        raise fault
    await asyncio.sleep(60)
    return None


TOOL_FAULTS: dict[str, tuple[Callable[[], Awaitable[Payload]], bool]] = {
    "interrupted": (lambda: ends(CallInterrupted("begun, but not known to be done")), False),
    "its server does not come back": (lambda: ends(McpUnusable("gone")), False),
    "gone": (lambda: ends(ToolGone("no tool any more")), False),
    "wrong arguments": (lambda: ends(WrongCall("go needs 'x'")), False),
    "cancelled": (lambda: ends(None), False),
    "told an error": (lambda: ends(ToolFailed("no")), True),
}


@pytest.mark.parametrize("name", TOOL_FAULTS)
def test_what_says_nothing_about_a_tool_is_not_held_against_its_worker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, counts = TOOL_FAULTS[name]
    server = McpServer(sys.executable)
    server.tools = {"go": server._read_tool({"name": "go", "inputSchema": {"type": "object"}})}

    async def call(*_: object, **__: object) -> Payload:
        return await answer()

    monkeypatch.setattr(server, "call", call)
    handlers = McpHandlers(server)
    handlers._take_tools()
    manager, signs = run(
        lambda _: handlers, lambda call: "unused", is_cancelled=name == "cancelled"
    )
    check(manager, signs, counts=counts, is_success=False)


def check(manager: TaskManager, signs: list[bool], *, counts: bool, is_success: bool) -> None:
    worker = manager.board.workers["Ada"]
    assert (any(signs), len(signs) < 2) == (counts, True), manager.board.tasks[1].error_message
    assert worker.failures_in_a_row == (counts and not is_success)
    assert manager.board.tasks[1].status.is_final
