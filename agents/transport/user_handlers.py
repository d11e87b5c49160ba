"""Finds and calls users' handlers, declared with `@on`, `@on_connect` and `@on_run`."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time as wall_clock
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel

from ...messages import InvalidInput
from .arrival_time import ArrivalTime
from .ceylon_api import AgentDetail, BaseAgent, ceylon_support

Handler: TypeAlias = Callable[..., Awaitable[object]]
_Returned = TypeVar("_Returned")

MAX_KNOWN_PEERS = 10_000


class UserHandlers(BaseAgent):
    """An agent that finds its user's handlers and calls each outside the message loop."""

    name: str
    _handlers: dict[type, Handler]
    _connection_handlers: dict[str, Handler]
    _greeted: OrderedDict[str, AgentDetail]
    _handler_calls: set[asyncio.Future[object]]
    _run_handlers: dict[str, Handler]
    _has_run: bool = False

    is_over_nats = False
    """Whether it takes part over NATS alone."""

    def need_ceylon_for(self, message: object) -> None:
        """Refuse what only plain Ceylon agents understand where there are none.

        Args:
            message: what is to be sent as Ceylon does.

        Raises:
            InvalidInput: the agent takes part over NATS alone.
        """
        if self.is_over_nats:
            raise InvalidInput(
                f"{self.name!r} takes part over NATS, where there are no plain Ceylon "
                f"agents: it can't send a {type(message).__name__}; send a pydantic model with "
                "broadcast_message or send_message"
            )

    @abstractmethod
    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Report an exception that a user's handler raised."""

    async def handle_connection(self, topic: str, agent: AgentDetail) -> None:
        """Called once for each agent of any kind that appears in the workspace."""

    def model_handlers(self) -> Mapping[str, type[BaseModel]]:
        """The pydantic models that have handlers, by qualified name."""
        models: dict[str, type[BaseModel]] = {}
        prefixes = {f"{cls.__name__}.": cls for cls in type(self).__mro__}
        for key, handler in ceylon_support.message_handlers.items():
            for prefix, cls in prefixes.items():
                if key.startswith(prefix) and _belongs(handler, cls):
                    model = _find_model(key.removeprefix(prefix), handler)
                    if model is not None:
                        models[model.__qualname__] = model
        for model in self._handlers:
            if issubclass(model, BaseModel):
                models[model.__qualname__] = model
        return models

    def start_run_handlers(self, inputs: bytes) -> None:
        """Start the `@on_run` handlers, once."""
        if not self._has_run:
            self._has_run = True
            for handler in (*self._declared_run_handlers(), *self._run_handlers.values()):
                self._start_handler("@on_run handler", partial(handler, inputs or None))

    def cancel_handlers(self) -> None:
        """Cancel the user's handlers that still run."""
        for future in self._handler_calls:
            future.cancel()

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Start the user's `@on` handlers for a message; return False if there are none.

        Args:
            message: what arrived.
            sender: the address that its sender claims.
        """
        arguments: dict[str, object] = {
            "time": ArrivalTime(wall_clock.time()),
            "agent": self._who_is(sender),
        }
        found = False
        handler = self.find_declared_handler(type(message))
        if handler is not None:
            found = True
            self._start_handler("@on handler", partial(call_with, handler, (message,), arguments))
        own_handler = self._handlers.get(type(message))
        if own_handler is not None:
            found = True
            agent, time = arguments["agent"], arguments["time"]
            self._start_handler("on handler", partial(own_handler, message, agent, time))
        return found

    def find_declared_handler(self, kind: type[BaseModel]) -> Handler | None:
        """The method that `@on` declares for a class of messages, or None."""
        declared = len(ceylon_support.message_handlers)
        name = _find_declared_name(type(self), kind, declared)
        return None if name is None else getattr(self, name)

    def _connect_handlers(self) -> Iterator[tuple[str, Handler]]:
        """The handlers of connections, each once, even if subclasses override it."""
        found: set[str] = set()
        for cls in type(self).__mro__:
            declared = ceylon_support.connect_handlers.get(cls.__name__, {})
            for pattern, handler in declared.items():
                if _belongs(handler, cls) and handler.__name__ not in found:
                    found.add(handler.__name__)
                    yield pattern, getattr(self, handler.__name__)
        if UserHandlers.handle_connection.__name__ not in found:
            yield "*", self.handle_connection
        yield from self._connection_handlers.items()

    def _declared_run_handlers(self) -> Iterator[Handler]:
        found: set[str] = set()
        for cls in type(self).__mro__:
            handler = ceylon_support.run_handlers.get(cls.__name__)
            if handler is not None and _belongs(handler, cls) and handler.__name__ not in found:
                found.add(handler.__name__)
                yield getattr(self, handler.__name__)

    def _start_handler(self, what: str, call: Callable[[], object]) -> None:
        """Run a user's handler outside the message loop, and report its exception."""

        async def see_through() -> object:
            outcome = call()
            return await outcome if inspect.isawaitable(outcome) else outcome

        def done(future: asyncio.Future[object]) -> None:
            self._handler_calls.discard(future)
            if not future.cancelled() and (fault := future.exception()) is not None:
                self.report_fault(what, fault)

        future: asyncio.Future[object] = asyncio.ensure_future(see_through())
        self._handler_calls.add(future)
        future.add_done_callback(done)

    def remember(self, agent: AgentDetail) -> None:
        """Record an agent that has sent something."""
        if agent.id not in self._greeted:
            self._greeted[agent.id] = agent
            if len(self._greeted) > MAX_KNOWN_PEERS:
                self._greeted.popitem(last=False)

    def _who_is(self, address: str) -> AgentDetail:
        known = self._greeted.get(address)
        return known or AgentDetail(name=address, id=address, role="", extra_data=None)


@lru_cache(maxsize=256)
def _find_declared_name(agent: type, kind: type[BaseModel], declared: int) -> str | None:
    """The name of the method that `@on` declares in a class of agents for a class of messages.

    It is needed for each result; formatting the class for Ceylon's key takes longer than the rest.

    Args:
        agent: the class of agents.
        kind: the class of messages.
        declared: how many methods are declared in all; a new number invalidates the cache.
    """
    del declared
    for cls in agent.__mro__:
        handler = ceylon_support.message_handlers.get(f"{cls.__name__}.{kind}")
        if handler is not None and _belongs(handler, cls):
            return handler.__name__
    return None


def call_with(
    function: Callable[..., _Returned],
    positional: Sequence[object],
    named: Mapping[str, object],
) -> _Returned:
    """Call a user's function with those of the named arguments that it accepts.

    Args:
        function: a coroutine function or a plain one.
        positional: the positional arguments.
        named: the arguments by name; parameters of other names get them in this order.

    Returns:
        What the function returns: for a coroutine function, the coroutine.
    """
    bound = 0 if getattr(function, "__self__", None) is None else 1
    parameters = _parameters_of(getattr(function, "__func__", function))
    wanted = dict(named) if parameters.takes_any_name else {}
    in_order = list(named)
    for place, (name, is_required) in enumerate(parameters.named[bound + len(positional) :]):
        if name in named:
            wanted[name] = named[name]
        elif is_required and place < len(in_order):
            wanted[name] = named[in_order[place]]
    return function(*positional, **wanted)


class _Parameters(NamedTuple):
    """What a function accepts: names, each with whether it is required; and whether any name."""

    named: tuple[tuple[str, bool], ...]
    takes_any_name: bool


@lru_cache(maxsize=1_024)
def _parameters_of(function: Callable[..., object]) -> _Parameters:
    parameters = inspect.signature(function).parameters.values()
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return _Parameters(
        tuple(
            (each.name, each.default is inspect.Parameter.empty)
            for each in parameters
            if each.kind not in variadic
        ),
        any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters),
    )


def _belongs(handler: Handler, cls: type) -> bool:
    # Ceylon keys handlers by class name: don't use those of another class of the same name.
    return vars(cls).get(handler.__name__) is handler


def _find_model(shown: str, handler: Handler) -> type[BaseModel] | None:
    """The class that a handler was declared for; Ceylon keeps only its `str()`."""
    candidates: list[object] = list(getattr(handler, "__annotations__", {}).values())
    module_name, _, name = shown.removeprefix("<class '").removesuffix("'>").rpartition(".")
    candidates.append(getattr(sys.modules.get(module_name), name, None))
    for candidate in candidates:
        if str(candidate) == shown and inspect.isclass(candidate):
            return candidate if issubclass(candidate, BaseModel) else None
    return None
