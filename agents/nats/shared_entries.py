"""Entries that several processes share, in the bucket of a lease; each ends with its process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Final

from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue

from .jet_stream import FAULTS, JetStream
from .lease import open_bucket

_RENEW_EVERY_S: Final = 0.5
_MAX_ENTRIES: Final = 200
_ENTRY: Final = "entry."
_MAX_ENTRY_BYTES: Final = 4000


class SharedEntries:
    """The entries of one bucket; all methods block.

    Args:
        stream: the connection.
        bucket: the bucket.
        replicas: on how many servers a new bucket is kept; None: one.
    """

    def __init__(self, stream: JetStream, bucket: str, *, replicas: int | None = None) -> None:
        self._stream = stream
        self._bucket = bucket
        self._replicas = replicas
        self._key = f"{_ENTRY}{secrets.token_hex(8)}"
        self._renewing: asyncio.Task[None] | None = None
        self._value = b""

    def put(self, value: bytes) -> None:
        """Write this process's entry, and renew it from then on."""
        self._value = value[:_MAX_ENTRY_BYTES]
        self._stream.run(self._put())

    def withdraw(self) -> None:
        """Delete this process's entry."""
        self._stream.run(self._withdraw())

    def read(self) -> list[bytes]:
        """The entries of all processes."""
        return self._stream.run(self._read())

    def leave_note(self, name: str, value: bytes) -> None:
        """Leave a note for another process, for as long as entries last without being renewed."""
        self._stream.run(self._leave_note(name, value))

    def find_note(self, name: str) -> bytes | None:
        """The value of a note, if there is one."""
        return self._stream.run(self._find_note(name))

    def delete_note(self, name: str) -> None:
        """Delete a note, if there is one."""
        self._stream.run(self._delete_note(name))

    async def _put(self) -> None:
        bucket = await self._open_bucket()
        await bucket.put(self._key, self._value)
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._keep_renewing(bucket))

    async def _open_bucket(self) -> KeyValue:
        # With its replicas from the beginning: NATS 2.9 may never complete ones that come later.
        return await open_bucket(self._stream.context, self._bucket, replicas=self._replicas)

    async def _keep_renewing(self, bucket: KeyValue) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            if self._stream.client.is_connected:
                with contextlib.suppress(*FAULTS):
                    await bucket.put(self._key, self._value)

    async def _withdraw(self) -> None:
        task, self._renewing = self._renewing, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            bucket = await self._stream.context.key_value(self._bucket)
            await bucket.delete(self._key)

    async def _read(self) -> list[bytes]:
        context = self._stream.context
        try:
            bucket = await context.key_value(self._bucket)
        except BucketNotFoundError:
            return []
        prefix = f"$KV.{self._bucket}."
        info = await context.stream_info(f"KV_{self._bucket}", f"{prefix}{_ENTRY}*")
        found: list[bytes] = []
        for subject in sorted(info.state.subjects or ())[:_MAX_ENTRIES]:
            # It may have ended in between.
            with contextlib.suppress(KeyNotFoundError):
                found.append((await bucket.get(subject.removeprefix(prefix))).value or b"")
        return found

    async def _leave_note(self, name: str, value: bytes) -> None:
        bucket = await self._open_bucket()
        await bucket.put(name, value[:_MAX_ENTRY_BYTES])

    async def _find_note(self, name: str) -> bytes | None:
        with contextlib.suppress(BucketNotFoundError, KeyNotFoundError):
            bucket = await self._stream.context.key_value(self._bucket)
            return (await bucket.get(name)).value
        return None

    async def _delete_note(self, name: str) -> None:
        with contextlib.suppress(BucketNotFoundError):
            await (await self._stream.context.key_value(self._bucket)).delete(name)
