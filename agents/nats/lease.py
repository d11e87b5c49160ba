"""A lease in a key-value bucket: one process at a time holds it, as long as it renews it.

The server deletes a lease that was not renewed for `LEASE_TTL_S`. Whoever holds it counts from the
moment before it asked for the renewal, by its own monotonic clock, and a little less. So it stops
before another can take the lease, as long as both clocks run at about the same speed.

Nothing depends on that: a process may be stopped right after it has looked at its clock, and the
servers of a cluster may disagree about the time. What guarantees that a former holder writes
nothing is the sequence that each of its messages must follow (see `log_stream.py`). The lease only
keeps two processes from working on the same thing.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from ...messages import NatsUnusable
from ..runtime.log import log
from .jet_stream import FAULTS, JetStream, open_stream

LEASE_TTL_S: Final = 2.0
"""After which time a lease ends that is not renewed, in seconds."""

_RENEW_EVERY_S: Final = 0.5
_MARGIN_S: Final = 0.2
_REQUEST_TIMEOUT_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.1
_PATIENCE_S: Final = 2 * LEASE_TTL_S
"""How long to wait for a lease that is not renewed, but not deleted either."""

_KEY: Final = "lease"
_MAX_VALUE_BYTES: Final = 4096
_MAX_TEXT: Final = 200


@dataclass(frozen=True)
class LeaseHolder:
    """Who holds a lease.

    Args:
        name: its name.
        host: the name of its machine.
        pid: its process id there.
        since: since when it holds the lease, in seconds since 1970.
        token: tells it from all others.
    """

    name: str
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    since: float = field(default_factory=time.time)
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    def encode(self) -> bytes:
        """The value of its lease."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, value: bytes | None) -> LeaseHolder:
        """Read the value of a lease; what can't be read is left out."""
        try:
            found: object = json.loads(value or b"")
        except (ValueError, RecursionError):
            found = None
        fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        name, host, token = (str(fields.get(each, ""))[:_MAX_TEXT] for each in _TEXTS)
        pid, since = fields.get("pid"), fields.get("since")
        return cls(
            name,
            host,
            pid if type(pid) is int else 0,
            float(since) if isinstance(since, int | float) else 0.0,
            token,
        )

    def __str__(self) -> str:
        return f"{self.name or 'another manager'}, process {self.pid} on {self.host}"


_TEXTS: Final = ("name", "host", "token")


class LeaseHeld(NatsUnusable):
    """Another process holds the lease.

    Args:
        holder: that process.
    """

    def __init__(self, holder: LeaseHolder) -> None:
        self.holder = holder
        super().__init__(f"{holder} holds the lease")


class StoreLease:
    """A lease of one holder; all coroutines run in the thread of the connection.

    Args:
        stream: the connection.
        bucket: the key-value bucket.
        name: the holder's name.
        clock: the monotonic time in seconds.
    """

    def __init__(
        self,
        stream: JetStream,
        bucket: str,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = LeaseHolder(name)
        self.taken_by: LeaseHolder | None = None
        """Who has taken the lease; from then on it is never held again."""
        self._stream = stream
        self._bucket = bucket
        self._clock = clock
        self._value = self.holder.encode()
        self._revision: int | None = None
        self._valid_until = clock()
        self._renewing: asyncio.Task[None] | None = None
        self._when_taken: list[Callable[[], object]] = []

    def is_valid(self) -> bool:
        """Whether it is surely held."""
        return self.taken_by is None and self._clock() < self._valid_until

    def when_taken(self, callback: Callable[[], object]) -> None:
        """Call a function, in the connection's thread, when another has taken the lease."""
        self._when_taken.append(callback)
        if self.taken_by is not None:
            callback()

    async def acquire(self, *, replicas: int | None) -> None:
        """Take the lease, and renew it until `release`; a lease that is not renewed is waited for.

        Raises:
            LeaseHeld: another process holds it.
        """
        context = self._stream.context_for(_REQUEST_TIMEOUT_S)
        bucket = await open_bucket(context, self._bucket, replicas=replicas)
        seen: int | None = None
        give_up_at = self._clock() + _PATIENCE_S
        while not await self._try_to_take(bucket):
            holder, revision = await _look_at(bucket)
            if holder is None:
                continue
            if seen not in (None, revision) or self._clock() > give_up_at:
                raise LeaseHeld(holder)
            seen = revision
            await asyncio.sleep(_LOOK_EVERY_S)
        self._renewing = asyncio.get_running_loop().create_task(self._keep_renewing(bucket))

    async def release(self) -> None:
        """Give the lease back, so that another can take it at once."""
        task, self._renewing = self._renewing, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self.is_valid() and self._revision is not None:
            self._valid_until = self._clock()
            bucket = await self._stream.context_for(_REQUEST_TIMEOUT_S).key_value(self._bucket)
            await bucket.delete(_KEY, last=self._revision)

    async def _keep_renewing(self, bucket: KeyValue) -> None:
        was_valid = True
        while self.taken_by is None:
            await asyncio.sleep(_RENEW_EVERY_S)
            try:
                await self._renew(bucket)
            except FAULTS as fault:
                log.debug("a lease can't be renewed", lease=self._bucket, fault=str(fault))
            if was_valid and not self.is_valid():
                log.warning(
                    "the lease of a store has run out; it is tried again", lease=self._bucket
                )
            was_valid = self.is_valid()

    async def _renew(self, bucket: KeyValue) -> None:
        if not self._stream.client.is_connected:
            # nats-py would send it when there is a connection again, whoever leads then.
            return
        if self._revision is None:
            if not await self._try_to_take(bucket):
                await self._find_out(bucket)
            return
        asked_at = self._clock()
        try:
            revision = await bucket.update(_KEY, self._value, last=self._revision)
        except KeyWrongLastSequenceError:
            await self._find_out(bucket)
        else:
            self._hold(revision, asked_at)

    async def _find_out(self, bucket: KeyValue) -> None:
        """Find out who holds the lease: the answer to a renewal may have been lost."""
        holder, revision = await _look_at(bucket)
        if holder is None:
            self._revision = None
        elif holder.token == self.holder.token:
            self._revision = revision
        else:
            self.taken_by = holder
            for callback in self._when_taken:
                callback()
            return
        await self._renew(bucket)

    async def _try_to_take(self, bucket: KeyValue) -> bool:
        asked_at = self._clock()
        try:
            revision = await bucket.create(_KEY, self._value)
        except KeyWrongLastSequenceError:
            return False
        self._hold(revision, asked_at)
        return True

    def _hold(self, revision: int, asked_at: float) -> None:
        self._revision = revision
        self._valid_until = asked_at + LEASE_TTL_S - _MARGIN_S


async def find_lease_holder(stream: JetStream, bucket: str) -> LeaseHolder | None:
    """Who holds a lease; None if nobody does."""
    try:
        found = await stream.context.key_value(bucket)
    except BucketNotFoundError:
        return None
    return (await _look_at(found))[0]


async def open_bucket(
    context: JetStreamContext, bucket: str, *, replicas: int | None = None
) -> KeyValue:
    """Find a bucket whose entries are deleted after `LEASE_TTL_S`, or create it."""
    await open_stream(context, _bucket_config(bucket), replicas=replicas, create=True)
    return await context.key_value(bucket)


async def _look_at(bucket: KeyValue) -> tuple[LeaseHolder | None, int]:
    try:
        entry = await bucket.get(_KEY)
    except KeyNotFoundError:
        return None, 0
    return LeaseHolder.decode(entry.value), entry.revision or 0


def _bucket_config(bucket: str) -> StreamConfig:
    """What a bucket is made of, as other clients make one."""
    return StreamConfig(
        name=f"KV_{bucket}",
        description="The lease of a store of Muster",
        subjects=[f"$KV.{bucket}.>"],
        allow_rollup_hdrs=True,
        deny_delete=True,
        discard=DiscardPolicy.NEW,
        duplicate_window=LEASE_TTL_S,
        max_age=LEASE_TTL_S,
        max_msg_size=_MAX_VALUE_BYTES,
        max_msgs_per_subject=1,
        storage=StorageType.FILE,
    )
