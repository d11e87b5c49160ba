"""JetStream for code that blocks: a client in its own thread, and its faults in plain words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Final, TypeVar

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from ...messages import NatsUnusable
from ..runtime.loop_thread import LoopThread
from ..runtime.timeouts import within
from .address import NatsAddress
from .connection import connect, describe

REQUEST_TIMEOUT_S: Final = 5.0
"""How long the server may take for one answer, in seconds."""

_CLOSE_TIMEOUT_S: Final = 2.0

_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
_IS_OFF: Final = (10035, 10039, 10076)
_TOO_FEW_SERVERS: Final = (10005, 10074)
_NO_ROOM: Final = (10002, 10023, 10025, 10028, 10047, 10077)
_TOO_LONG: Final = 10054
_NEEDS_MAX_BYTES: Final = 10113

FAULTS: Final = (nats.errors.Error, OSError, asyncio.TimeoutError)
"""What a request to the server may raise."""

_Value = TypeVar("_Value")


class JetStream:
    """A connection to JetStream. Its methods block, other than those of its client.

    Args:
        address: the servers.
        name: what the server shows of this connection.

    Raises:
        NatsUnusable: there is no such server, or JetStream is off there.
    """

    def __init__(self, address: NatsAddress, name: str) -> None:
        self.address = address
        self._is_closed = False
        self._thread = LoopThread("muster-jetstream")
        self._thread.start()
        try:
            self.client = self._thread.wait_for(connect(address, name))
            self.context = self.context_for(REQUEST_TIMEOUT_S)
            self.run(self.context.account_info())
        except BaseException:
            self.close()
            raise

    @property
    def max_payload_bytes(self) -> int:
        """How long a message may be, with its headers."""
        return self.client.max_payload

    def context_for(self, timeout_s: float) -> JetStreamContext:
        """A context whose requests have a timeout of their own, in seconds."""
        return JetStreamContext(self.client, timeout=timeout_s)

    def run(self, work: Coroutine[None, None, _Value]) -> _Value:
        """Run a coroutine in the client's thread, and wait for what it returns.

        Raises:
            NatsUnusable: the server can't be reached, or refuses; the message says why.
        """
        if self._is_closed:
            work.close()
            raise NatsUnusable(f"the connection to {self.address} is closed")
        try:
            return self._thread.wait_for(work)
        except FAULTS as fault:
            raise explain(fault, self.address) from None
        except CancelledError:
            raise NatsUnusable(f"the connection to {self.address} was closed") from None

    def close(self) -> None:
        """Close the connection."""
        if self._is_closed:
            return
        self._is_closed = True
        thread, client = self._thread, getattr(self, "client", None)
        if client is not None:
            with contextlib.suppress(*FAULTS):
                thread.wait_for(within(_CLOSE_TIMEOUT_S, client.close()))
        thread.stop()


async def open_stream(
    context: JetStreamContext, config: StreamConfig, *, replicas: int | None, create: bool
) -> StreamInfo | None:
    """Find a stream, or create it.

    Args:
        context: where it is.
        config: what it is created with.
        replicas: on how many servers it must be; None: as it is, or one.
        create: whether it is created, and its replicas changed; otherwise nothing is changed.

    Returns:
        What the server knows of it; None if there is none.
    """
    assert config.name is not None
    try:
        found = await context.stream_info(config.name)
    except NotFoundError:
        if not create:
            return None
        # nats-py has only part of its types.
        return await context.add_stream(  # pyright: ignore[reportUnknownMemberType]
            replace(config, num_replicas=replicas or 1)
        )
    if create and replicas is not None and found.config.num_replicas != replicas:
        return await update_stream(context, replace(found.config, num_replicas=replicas))
    return found


async def update_stream(context: JetStreamContext, config: StreamConfig) -> StreamInfo:
    """Change a stream."""
    return await context.update_stream(config)  # pyright: ignore[reportUnknownMemberType]


def is_wrong_last_sequence(fault: BaseException) -> bool:
    """Whether the server has refused a message because it is not the next one."""
    return isinstance(fault, APIError) and fault.err_code in _WRONG_LAST_SEQUENCE


def is_refusal(fault: BaseException) -> bool:
    """Whether the server has understood and refused, so that trying again is of no use."""
    if isinstance(fault, nats.errors.MaxPayloadError):
        return True
    if not isinstance(fault, APIError) or isinstance(fault, ServiceUnavailableError):
        return fault.err_code in _NO_ROOM if isinstance(fault, APIError) else False
    return True


def explain(fault: BaseException, address: NatsAddress) -> NatsUnusable:
    """A fault of JetStream as an error of ours, which says what to change.

    Args:
        fault: what a request has raised.
        address: the servers that were asked.
    """
    where = f"the NATS server at {address}"
    code = fault.err_code if isinstance(fault, APIError) else None
    may_pass = False
    is_silent = isinstance(fault, nats.errors.NoRespondersError | ServiceUnavailableError)
    if code in _TOO_FEW_SERVERS:
        text = (
            f"{where} has not as many servers with JetStream as replicas are asked for "
            f"({_said(fault)}); ask for fewer with ?replicas=, or add servers to its cluster"
        )
    elif code in _NO_ROOM:
        text = (
            f"JetStream of {where} has no room left: {_said(fault)}; free some, or raise "
            "max_file_store of the server, the limits of the account or max_bytes of the stream"
        )
    elif code in _IS_OFF or (is_silent and code is None):
        text = (
            f"{where} has no JetStream, or it is off for this account; turn it on with "
            "`jetstream {}` in the server's configuration, or `nats-server -js`"
        )
    elif code == _TOO_LONG or isinstance(fault, nats.errors.MaxPayloadError):
        text = f"{where} takes no message of this length; raise its max_payload or max_msg_size"
    elif code == _NEEDS_MAX_BYTES:
        text = f"{where} requires a limit for this account; add ?max_bytes=NUMBER to the URL"
    elif isinstance(fault, APIError):
        # A cluster that elects a leader is not available for a while.
        may_pass = isinstance(fault, ServiceUnavailableError)
        text = f"JetStream of {where} refuses: {_said(fault)}"
    elif isinstance(fault, asyncio.TimeoutError):
        may_pass = True
        text = (
            f"{where} has not answered in time; check that it runs, and that this account may use "
            "JetStream ($JS.API.>)"
        )
    elif isinstance(fault, nats.js.errors.NoStreamResponseError):
        may_pass = True
        text = f"no stream of {where} takes this message; it was deleted, or its server is gone"
    else:
        text = describe(fault, address)
    return NatsUnusable(text, may_pass=may_pass)


def _said(fault: BaseException) -> str:
    said = fault.description if isinstance(fault, APIError) else None
    return (said or str(fault))[:300]
