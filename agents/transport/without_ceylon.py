"""Stands in for Ceylon where it is not installed or left out: the names, without a network."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from ...messages import CeylonUnusable
from ..runtime.ceylon_choice import WITHOUT_CEYLON_VARIABLE, is_ceylon_left_out
from .ceylon_platform import BUILDS, Platform

_Function = TypeVar("_Function", bound=Callable[..., Any])

DEFAULT_WORKSPACE_ID = "ceylon_agent_stack"

message_handlers: dict[str, Callable[..., Any]] = {}
run_handlers: dict[str, Callable[..., Any]] = {}
connect_handlers: dict[str, dict[str, Callable[..., Any]]] = {}

_faults: list[BaseException] = []


def note_fault(fault: BaseException) -> None:
    """Keep why Ceylon could not be imported, for `refuse`."""
    _faults[:] = [fault]


def refuse(*_: object, **__: object) -> NoReturn:
    """Called for whatever needs Ceylon's network.

    Raises:
        CeylonUnusable: always; it says why Ceylon is not here, and what to do.
    """
    if is_ceylon_left_out():
        raise CeylonUnusable(
            "this needs a Ceylon workspace, and Ceylon is left out of this process; unset "
            f"{WITHOUT_CEYLON_VARIABLE}, and give no NATS server as the link"
        )
    raise CeylonUnusable(
        f"Ceylon can't be loaded: {_faults[0]}. This is {Platform.here()}; Ceylon has builds for "
        f"{BUILDS}. On one of these, run: python -m pip install ceylon==0.23.0. Elsewhere, use "
        "NATS: --link nats://HOST:4222"
    ) from _faults[0]


class PeerMode(enum.Enum):
    """Whether an agent opens its workspace or joins one."""

    ADMIN = 0
    CLIENT = 1


@dataclass
class AgentDetail:
    """Who an agent is."""

    name: str
    id: str
    role: str
    extra_data: bytes | None


class InternalError(Exception):
    """Never raised here; Ceylon raises one of this name."""


class UnifiedAgent:
    """An agent without a network."""

    __init__ = refuse

    def _uniffi_clone_pointer(self) -> object:
        refuse()

    @classmethod
    def _make_instance_(cls, pointer: object) -> UnifiedAgent:
        refuse(pointer)

    def details(self) -> AgentDetail:
        """Refuse: its peer id is Ceylon's to give."""
        refuse()

    async def broadcast(self, message: bytes) -> None:
        """Refuse to send."""
        refuse(message)

    async def send_direct(self, to_peer: str, message: bytes) -> None:
        """Refuse to send."""
        refuse(to_peer, message)

    async def get_connected_agents(self) -> list[AgentDetail]:
        """No agents, since there is no workspace."""
        return []

    async def start(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None:
        """Refuse to start."""
        refuse(inputs, workers)

    async def stop(self) -> None:
        """Do nothing: it has not started."""


class UnifiedAgentConfig:
    """Refuses to be made, as whatever it is for."""

    __init__ = refuse


class BaseAgent(UnifiedAgent):
    """An agent that declares its handlers as with Ceylon, and has no network."""

    _handlers: dict[type, Callable[..., Any]]
    _run_handlers: dict[str, Callable[..., Any]]
    _connection_handlers: dict[str, Callable[..., Any]]
    connected_agents: dict[str, AgentDetail]

    def on(self, data_type: type) -> Callable[[_Function], _Function]:
        """Declare a function that handles messages of a class."""
        return _put_into(self._handlers, data_type)

    def on_run(self) -> Callable[[_Function], _Function]:
        """Declare a function that runs once the agent has started."""

        def declare(function: _Function) -> _Function:
            self._run_handlers[function.__name__] = function
            return function

        return declare

    def on_connect(self, topic: str) -> Callable[[_Function], _Function]:
        """Declare a function that is called with agents that appear."""
        return _put_into(self._connection_handlers, topic)

    def get_agent_by_id(self, agent_id: str) -> AgentDetail | None:
        """An agent that has appeared."""
        return self.connected_agents.get(agent_id)

    async def start_agent(
        self, inputs: bytes = b"", workers: Sequence[UnifiedAgent] | None = None
    ) -> None:
        """Refuse to start."""
        refuse(inputs, workers)

    async def broadcast_message(self, message: object) -> None:
        """Refuse to send."""
        refuse(message)

    async def send_message(self, peer_id: str, message: object) -> None:
        """Refuse to send."""
        refuse(peer_id, message)

    def _matches_pattern(self, pattern: str, topic: str, agent_role: str) -> bool:
        pattern_topic, colon, pattern_role = pattern.partition(":")
        return pattern_topic in {"*", topic} and (not colon or pattern_role in {"*", agent_role})


def on(kind: type) -> Callable[[_Function], _Function]:
    """Declare the method of an agent that handles messages of a class."""

    def declare(method: _Function) -> _Function:
        message_handlers[f"{_class_of(method)}.{kind}"] = method
        return method

    return declare


def on_run() -> Callable[[_Function], _Function]:
    """Declare the method of an agent that runs once it has started."""

    def declare(method: _Function) -> _Function:
        run_handlers[_class_of(method)] = method
        return method

    return declare


def on_connect(topic: str) -> Callable[[_Function], _Function]:
    """Declare the method of an agent that is called with agents that appear."""

    def declare(method: _Function) -> _Function:
        connect_handlers.setdefault(_class_of(method), {})[topic] = method
        return method

    return declare


def _class_of(method: Callable[..., Any]) -> str:
    return method.__qualname__.split(".", maxsplit=1)[0]


def _put_into(
    table: dict[Any, Callable[..., Any]], key: object
) -> Callable[[_Function], _Function]:
    def declare(function: _Function) -> _Function:
        table[key] = function
        return function

    return declare
