"""Connects to a NATS server; the only file that imports nats-py."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Final, TypeAlias

from ...messages import ExtraMissing, NatsUnusable
from ..runtime.log import log
from ..runtime.timeouts import within
from .address import NatsAddress
from .credentials import UserCredentials

if find_spec("nats") is None:
    raise ExtraMissing("NATS servers", ["nats"], "nats")

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

CONNECT_TIMEOUT_S: Final = 5.0
"""How long the first connection may take, in seconds."""

_ATTEMPT_TIMEOUT_S: Final = 2
_RETRY_EVERY_S: Final = 0.25
"""How long nats-py waits for one server, and before it tries the same one again, in seconds."""

_PING_EVERY_S: Final = 5
_MAX_MISSED_PINGS: Final = 2
"""A server that answers no ping counts as lost after some 15 s."""

_CLOSING_S: Final = 0.5
"""How long closing a connection that could not be made may take, in seconds."""

_PENDING_BYTES: Final = 8 * 1024 * 1024

_FINISHING_S: Final = 2.0
"""How long closing a connection may take, in seconds."""

_WAITING_MESSAGES: Final = 65_536
_WAITING_BYTES: Final = 64 * 1024 * 1024
"""How much may wait for a subscription; what comes then is dropped."""

Take: TypeAlias = Callable[[str, bytes], None]
"""Called with the subject and content of a message."""

Event: TypeAlias = Callable[[], Awaitable[None]]
"""Called when a connection is lost, or made again."""


class NatsClient(Client):
    """A client of nats-py that sends no credentials unencrypted if the URL asks for TLS."""

    def __init__(self, *, has_tls: bool) -> None:
        super().__init__()
        self._has_tls = has_tls
        self._takers: dict[Subscription, Take] = {}

    def _connect_command(self) -> bytes:
        if self._has_tls and not self._server_info.get("tls_required", False):
            raise _Unencrypted
        # A stream that was made before TLS began does not know of it, and asyncio then warns at its
        # end of something that matters to nobody.
        writer: asyncio.StreamWriter = vars(self._transport)["_io_writer"]
        with contextlib.suppress(AttributeError):
            vars(writer.transport.get_protocol())["_over_ssl"] = self._server_info.get(
                "tls_required", False
            )
        return super()._connect_command()

    async def offer(self, subject: str, content: bytes) -> bool:
        """Publish a message; return whether there is a connection to send it by.

        It waits while more is unsent than may be, at most until the connection counts as lost.
        """
        if not self.is_connected or self.is_draining:
            return False
        try:
            await self.publish(subject, content)
        except nats.errors.Error:
            return False
        return True

    def push(self, subject: str, content: bytes) -> bool:
        """Publish a message at once; return False if that is impossible, or too much is unsent."""
        if not self.is_connected or self.is_draining or self._flush_queue is None:
            return False
        if self._pending_data_size > _PENDING_BYTES:
            return False
        command = f"PUB {subject} {len(content)}\r\n".encode() + content + b"\r\n"
        self._pending.append(command)
        self._pending_data_size += len(command)
        if self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())
        return True

    async def listen(self, subject: str, take: Take) -> Subscription:
        """Call a function with the subject and content of each message under a subject.

        The function must not raise or block.
        """

        async def heed(message: Msg) -> None:
            take(message.subject, message.data)

        subscription = await self.subscribe(  # pyright: ignore[reportUnknownMemberType]
            subject,
            cb=heed,
            pending_msgs_limit=_WAITING_MESSAGES,
            pending_bytes_limit=_WAITING_BYTES,
        )
        self._takers[subscription] = take
        return subscription

    async def unlisten(self, subscription: Subscription) -> None:
        """Undo `listen`."""
        self._takers.pop(subscription, None)
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        # The way by the subscription's queue and task takes longer than all the rest.
        subscription = self._subs.get(sid)
        take = None if subscription is None else self._takers.get(subscription)
        if take is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            take(subject.decode(), data)

    async def finish(self) -> None:
        """Close it, after what was published."""
        with contextlib.suppress(asyncio.TimeoutError, nats.errors.Error, OSError):
            await within(_FINISHING_S, self.close())

    async def abandon(self) -> None:
        """Close what an attempt to connect has left open."""
        self._disconnected_cb = self._closed_cb = None
        self._error_cb = _ignore
        # After a failed TLS handshake it would wait for ever, for a connection that is closed.
        with contextlib.suppress(asyncio.TimeoutError):
            await within(_CLOSING_S, self.close())


async def _ignore(fault: Exception) -> None:
    """Take no notice of a fault."""


class _Unencrypted(nats.errors.Error):
    """The server offers no TLS."""

    def __str__(self) -> str:
        return "the server offers no TLS"


class _Hopeless(Exception):
    """No further attempt to connect would succeed."""


async def connect(
    address: NatsAddress,
    name: str,
    *,
    timeout_s: float = CONNECT_TIMEOUT_S,
    disconnected: Event | None = None,
    reconnected: Event | None = None,
    closed: Event | None = None,
) -> NatsClient:
    """Connect to a NATS server.

    When the connection is lost later, the client connects again, for as long as it takes.

    Args:
        address: the servers.
        name: what the server shows of this connection.
        timeout_s: how long to try, in seconds.
        disconnected: called when the connection is lost.
        reconnected: called when there is a connection again.
        closed: called when it was closed, by `close` or by the server for a fault of this client.

    Returns:
        The connected client.

    Raises:
        NatsUnusable: no server can be reached, or it accepts no connection with these credentials;
            the message says what to change.
    """
    credentials = None if address.creds_file is None else UserCredentials(address.creds_file)
    context = _make_tls_context(address)
    client = NatsClient(has_tls=address.has_tls)
    faults: list[Exception] = []
    is_connected = False

    async def heed(fault: Exception) -> None:
        if is_connected:
            log.info("a NATS connection has a fault", fault=describe(fault, address))
            return
        faults.append(fault)
        # The others of a cluster may accept what one refuses.
        if sum(map(_is_final, faults)) >= len(address.servers):
            raise _Hopeless

    try:
        await within(
            timeout_s,
            client.connect(
                address.urls,
                name=name,
                error_cb=heed,
                disconnected_cb=disconnected,
                reconnected_cb=reconnected,
                closed_cb=closed,
                connect_timeout=_ATTEMPT_TIMEOUT_S,
                reconnect_time_wait=_RETRY_EVERY_S,  # pyright: ignore[reportArgumentType] - it sleeps
                max_reconnect_attempts=-1,
                ping_interval=_PING_EVERY_S,
                max_outstanding_pings=_MAX_MISSED_PINGS,
                pending_size=_PENDING_BYTES,
                tls=context,
                user=address.user or None,
                password=address.password if address.user else None,
                token=address.password if not address.user and address.password else None,
                signature_cb=None if credentials is None else credentials.sign,
                user_jwt_cb=None if credentials is None else credentials.jwt,
            ),
        )
    except (_Hopeless, OSError, asyncio.TimeoutError, nats.errors.Error, ValueError) as fault:
        await client.abandon()
        final = [each for each in faults if _is_final(each)]
        cause = (final or faults or [fault])[-1]
        raise NatsUnusable(describe(cause, address), may_pass=not _is_final(cause)) from None
    except BaseException:
        await client.abandon()
        raise
    is_connected = True
    return client


def describe(fault: BaseException, address: NatsAddress) -> str:
    """What is wrong with a server, and what to change; it shows no password.

    Args:
        fault: what nats-py or the socket has raised.
        address: the servers that were used.
    """
    where = f"the NATS server at {address}"
    match _kind_of(fault):
        case "credentials":
            return (
                f"{where} refuses {_who(address)}; check user and password in the URL, or name "
                "another credentials file with --nats-creds or MUSTER_NATS_CREDS"
            )
        case "certificate":
            return (
                f"the certificate of {where} can't be trusted: {_text(fault)}; name the file with "
                "the certificate of its authority with --tls-ca or MUSTER_NATS_TLS_CA, and use the "
                "host name that the certificate has"
            )
        case "plain":
            return f"{where} offers no TLS; write nats:// in the URL, or turn on TLS at the server"
        case "protocol":
            return (
                f"what answers at {address} is no NATS server, or one that begins with TLS, which "
                "is not supported; check host and port"
            )
        case _:
            return (
                f"{where} can't be reached: {_text(fault)}; check that it runs, and that host and "
                "port are right"
            )


def _kind_of(fault: BaseException) -> str:
    text = str(fault).lower()
    if isinstance(fault, _Unencrypted):
        return "plain"
    if isinstance(fault, ssl.SSLError):
        return "certificate"
    if "authorization" in text or "authentication" in text or "revoked" in text:
        return "credentials"
    if isinstance(fault, nats.errors.Error) and ("info message" in text or "expecting" in text):
        return "protocol"
    if isinstance(fault, ValueError):
        # More than a buffer without an end of line.
        return "protocol"
    return "unreachable"


def _is_final(fault: BaseException) -> bool:
    """Whether trying again is useless. A server that starts or stops may say nothing, too."""
    return _kind_of(fault) in ("credentials", "certificate", "plain")


def _who(address: NatsAddress) -> str:
    if address.creds_file is not None:
        return f"the credentials of {str(address.creds_file)!r}"
    if address.user:
        return f"user {address.user!r} with this password"
    return "this token" if address.password else "a connection without credentials"


def _text(fault: BaseException) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message
    if isinstance(fault, asyncio.TimeoutError):
        return "no answer in time"
    return str(fault) or type(fault).__name__


def _make_tls_context(address: NatsAddress) -> ssl.SSLContext | None:
    """What checks the server's certificate; None: as nats-py does, if the server wants TLS."""
    if address.tls_ca is None:
        return ssl.create_default_context() if address.has_tls else None
    try:
        return ssl.create_default_context(cafile=str(address.tls_ca))
    except (OSError, ssl.SSLError) as fault:
        raise NatsUnusable(
            f"the certificates in {str(address.tls_ca)!r} can't be read: "
            f"{fault.strerror or fault}; give a file of certificates in PEM form with --tls-ca or "
            "MUSTER_NATS_TLS_CA"
        ) from None
