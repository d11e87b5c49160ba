"""Handlers of connections and runs: each is called once, however it is declared and overridden."""

from __future__ import annotations

import asyncio
import importlib
import pickle
from typing import Any

import pytest
from muster.agents import AgentDetail, TaskManager, WorkerAgent, on, on_connect, on_run
from pydantic import BaseModel


class Remark(BaseModel):
    text: str


class Hearing(TaskManager):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.heard: list[str] = []


class Declared(Hearing):
    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(agent.name)


class NotDeclared(Hearing):
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(agent.name)


class Plain(Hearing):
    @on_connect("*")
    def handle_connection(self, topic: str, agent: AgentDetail) -> None:  # type: ignore[override]
        self.heard.append(agent.name)


class ByRole(Hearing):
    @on_connect("*:worker")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(agent.name)


class OfOtherRoles(Hearing):
    @on_connect("*:observer")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(agent.name)


class DeclaredTwice(Declared):
    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(f"{agent.name}, by the subclass")


class OverriddenOnly(Declared):
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(f"{agent.name}, by the subclass")


class CallingSuper(Declared):
    @on_connect("*")
    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        await super().handle_connection(topic, agent)


class OfAnotherName(Hearing):
    @on_connect("*")
    async def greet(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(agent.name)


class Both(Declared):
    @on_connect("*")
    async def greet(self, topic: str, agent: AgentDetail) -> None:
        self.heard.append(f"good morning {agent.name}")


class Raising(Declared):
    @on_connect("*")
    async def fail(self, topic: str, agent: AgentDetail) -> None:
        raise LookupError("no such peer")


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        (Declared, ["Ada"]),
        (NotDeclared, ["Ada"]),
        (Plain, ["Ada"]),
        (ByRole, ["Ada"]),
        (OfOtherRoles, []),
        (DeclaredTwice, ["Ada, by the subclass"]),
        (OverriddenOnly, ["Ada, by the subclass"]),
        (CallingSuper, ["Ada"]),
        (OfAnotherName, ["Ada"]),
        (Both, ["good morning Ada", "Ada"]),
        (Raising, ["Ada"]),
    ],
)
async def test_a_connection_is_told_once(kind: type[Any], heard: list[str]) -> None:
    manager = kind()
    ada = AgentDetail(name="Ada", id="at Ada", role="worker", extra_data=None)
    for _ in range(3):
        await manager.on_agent_connected("default", ada)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert manager.heard == heard


class Running(WorkerAgent):
    def __init__(self) -> None:
        super().__init__("Ada", 5)
        self.ran: list[str] = []

    @on_run()
    async def look(self, inputs: Any) -> None:
        self.ran.append("base")

    @on(Remark)
    async def listen(self, data: Remark) -> None:
        self.ran.append(f"base: {data.text}")


class RunningOtherwise(Running):
    @on_run()
    async def look(self, inputs: Any) -> None:
        self.ran.append("subclass")

    def listen(self, data: Remark) -> None:  # type: ignore[override]
        self.ran.append(f"subclass: {data.text}")


async def test_an_overridden_handler_takes_the_place_of_the_declared_one() -> None:
    worker = RunningOtherwise()
    for handler in worker._declared_run_handlers():
        await handler(None)
    assert worker.hand_to_handlers(Remark(text="mind the steps"), "at Ben")
    await asyncio.sleep(0)
    assert worker.ran == ["subclass", "subclass: mind the steps"]


@pytest.mark.parametrize(
    "name",
    ["AgentDetail", "BaseAgent", "DEFAULT_WORKSPACE_ID", "PeerMode", "on", "on_connect", "on_run"],
)
def test_what_the_documents_import_from_ceylon_comes_from_here_too(name: str) -> None:
    agents = importlib.import_module("muster.agents")
    assert getattr(agents, name) is getattr(importlib.import_module("ceylon"), name)
    assert name in agents.__all__


def test_nothing_that_is_broadcast_is_unpickled() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return pytest.fail, ("it was unpickled",)

    from muster.agents.transport.pickle_compat import message_inside

    assert message_inside(pickle.dumps(Bomb())) is None
