"""A stream that one writer at a time appends to: each message names the one that it must follow.

The server stores a message only if the last message of the stream is the one that the writer knows.
So a writer whose place another has taken can write nothing more, whatever it believes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    Header,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NoStreamResponseError, NotFoundError

from ...messages import NatsUnusable
from .jet_stream import (
    FAULTS,
    REQUEST_TIMEOUT_S,
    JetStream,
    explain,
    is_refusal,
    is_wrong_last_sequence,
    open_stream,
    update_stream,
)
from .lease import StoreLease

_HEADER_BYTES: Final = 300
"""How much of a message's length is for its headers and subject."""
_MAX_MESSAGE_BYTES: Final = 1 << 20
_RETRY_EVERY_S: Final = 0.02
_WRITE_TIMEOUT_S: Final = 2.0
"""How long the server may take for one message; then it is sent again, which does no harm."""
_READ_BYTES: Final = 16 << 20
"""How much is read with one request."""
_MAX_READ_MESSAGES: Final = 500
_READER_ENDS_AFTER_S: Final = 30.0


class StreamState(NamedTuple):
    """What a stream has.

    Args:
        description: its description.
        messages: how many messages.
        bytes: how many bytes these have.
        last_sequence: the number of the last message that it ever had.
    """

    description: str
    messages: int
    bytes: int
    last_sequence: int


class Superseded(NatsUnusable):
    """Another writer has written since, so this one may not."""


class LogStream:
    """A stream of messages; all coroutines run in the thread of the connection.

    Args:
        stream: the connection.
        name: the stream's name.
        subject: the subject of its messages.
    """

    def __init__(self, stream: JetStream, name: str, subject: str) -> None:
        self._stream = stream
        self._name = name
        self._subject = subject

    @property
    def max_message_bytes(self) -> int:
        """How long a message may be."""
        return min(self._stream.max_payload_bytes - _HEADER_BYTES, _MAX_MESSAGE_BYTES)

    async def open(
        self,
        description: str,
        *,
        replicas: int | None = None,
        max_bytes: int | None = None,
        create: bool,
    ) -> StreamState | None:
        """Find the stream, or create it.

        Args:
            description: the description of a new stream.
            replicas: on how many servers it is kept; None: as it is, or one.
            max_bytes: how many bytes it may have; None: as it is, or any number.
            create: whether it is created, and changed if it differs.

        Returns:
            What it has; None if there is none.
        """
        config = StreamConfig(
            name=self._name,
            description=description,
            subjects=[self._subject],
            deny_delete=True,
            discard=DiscardPolicy.NEW,
            max_bytes=-1 if max_bytes is None else max_bytes,
            storage=StorageType.FILE,
        )
        context = self._stream.context
        found = await open_stream(context, config, replicas=replicas, create=create)
        if found is None:
            return None
        if create and max_bytes is not None and found.config.max_bytes != max_bytes:
            found = await update_stream(context, replace(found.config, max_bytes=max_bytes))
        state = found.state
        text = found.config.description or ""
        return StreamState(text, state.messages, state.bytes, state.last_seq)

    async def last_sequence(self) -> int:
        """The number of the last message."""
        return (await self._stream.context.stream_info(self._name)).state.last_seq

    async def append(self, message: bytes, after: int, lease: StoreLease, patience_s: float) -> int:
        """Write a message, as soon as the server can be reached and the lease is held.

        Args:
            message: the message.
            after: the number of the message that it must follow.
            lease: what must be held.
            patience_s: how long to try, in seconds.

        Returns:
            Its number.

        Raises:
            Superseded: another writer has written since, or has taken the lease.
            NatsUnusable: the server can't be reached in time, or refuses the message.
        """
        ends_at = time.monotonic() + patience_s
        last_fault: BaseException = asyncio.TimeoutError()
        while True:
            if lease.taken_by is not None:
                raise Superseded(f"{lease.taken_by} has taken it")
            if lease.is_valid() and self._stream.client.is_connected:
                try:
                    return await self._publish(message, after)
                except FAULTS as fault:
                    if is_wrong_last_sequence(fault):
                        return await self._find(message, after, ends_at)
                    if is_refusal(fault) or await self._is_deleted(fault):
                        raise
                    last_fault = fault
            if time.monotonic() > ends_at or self._stream.client.is_closed:
                raise NatsUnusable(
                    f"{explain(last_fault, self._stream.address)} (tried for {patience_s:g} s)",
                    may_pass=True,
                ) from None
            await asyncio.sleep(_RETRY_EVERY_S)

    async def _publish(self, message: bytes, after: int) -> int:
        headers = {Header.EXPECTED_LAST_SEQUENCE: str(after), Header.EXPECTED_STREAM: self._name}
        # nats-py adds to them.
        acknowledged = await self._stream.context.publish(
            self._subject, message, timeout=_WRITE_TIMEOUT_S, headers={**headers}
        )
        return acknowledged.seq

    async def _find(self, message: bytes, after: int, ends_at: float) -> int:
        """Find out whether the message that was refused was written before.

        Its acknowledgement may have been lost with the connection.
        """
        while True:
            try:
                found = await self._stream.context.get_msg(self._name, seq=after + 1)
            except NotFoundError:
                raise Superseded(await self._tell_last(after)) from None
            except FAULTS:
                if time.monotonic() > ends_at:
                    raise
                await asyncio.sleep(_RETRY_EVERY_S)
            else:
                if found.data == message:
                    return after + 1
                raise Superseded("another manager has opened it since")

    async def _tell_last(self, after: int) -> str:
        last = await self.last_sequence()
        if last < after:
            return f"its server has lost the messages {last + 1:,} to {after:,}"
        return "another manager has opened it since"

    async def _is_deleted(self, fault: BaseException) -> bool:
        if isinstance(fault, NoStreamResponseError):
            try:
                await self._stream.context.stream_info(self._name)
            except NotFoundError:
                return True
            except FAULTS:
                pass
        return False

    async def read(self, take: Callable[[int, bytes], None], is_whole: Callable[[], bool]) -> int:
        """Read all messages from the first one on.

        Args:
            take: called with the number and the content of each message.
            is_whole: whether messages make sense without the next one. More is read until they do,
                since the first ones may be deleted while they are read.

        Returns:
            The number of the last message when it began.
        """
        context = self._stream.context
        state = (await context.stream_info(self._name)).state
        if not state.messages:
            return state.last_seq
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            inactive_threshold=_READER_ENDS_AFTER_S,
            mem_storage=True,
        )
        reader = await context.pull_subscribe(self._subject, stream=self._name, config=config)
        average = max(state.bytes // state.messages, 1)
        batch = min(max(_READ_BYTES // average, 1), _MAX_READ_MESSAGES)
        left = state.messages
        try:
            while left:
                for message in await reader.fetch(min(batch, left), timeout=REQUEST_TIMEOUT_S):
                    place = message.metadata
                    take(place.sequence.stream, message.data)
                    left = place.num_pending
                    if place.sequence.stream >= state.last_seq and is_whole():
                        return state.last_seq
        finally:
            await reader.unsubscribe()
        return state.last_seq

    async def purge_before(self, sequence: int) -> None:
        """Delete all messages before one."""
        await self._stream.context.purge_stream(self._name, seq=sequence)
