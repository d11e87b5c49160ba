"""Named contents in an object store of JetStream."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple, cast

from nats.js.api import DiscardPolicy, Header, ObjectInfo, StreamConfig
from nats.js.errors import NotFoundError
from nats.js.object_store import ObjectStore

from ...messages import NatsUnusable
from ..runtime.timeouts import within
from .jet_stream import JetStream, open_stream

_TIMEOUT_S: Final = 50.0
"""How long one operation may take, in seconds."""


class StoredObject(NamedTuple):
    """What an object store tells of one object.

    Args:
        name: its name.
        size: its length in bytes.
        written_at: when it was written, in seconds since 1970; None if that is unknown.
    """

    name: str
    size: int
    written_at: float | None


class ObjectBucket:
    """One object store; all coroutines run in the thread of the connection.

    Args:
        stream: the connection.
        bucket: its name.
    """

    def __init__(self, stream: JetStream, bucket: str) -> None:
        self._context = stream.context
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"
        self._objects = ObjectStore(bucket, self._stream, self._context)
        self._is_direct = False

    async def open(self, *, replicas: int | None, max_bytes: int | None, create: bool) -> bool:
        """Find it, or create it; returns whether there is one."""
        config = StreamConfig(
            name=self._stream,
            description="Blobs of Muster",
            subjects=[f"$O.{self._bucket}.C.>", f"$O.{self._bucket}.M.>"],
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
            max_bytes=-1 if max_bytes is None else max_bytes,
        )
        found = await open_stream(self._context, config, replicas=replicas, create=create)
        if found is None:
            return False
        self._is_direct = bool(found.config.allow_direct)
        return True

    async def find(self, name: str) -> StoredObject | None:
        """Find an object by its name."""
        info = await self._info(name)
        return None if info is None else _told(info)

    async def put(self, name: str, content: bytes) -> None:
        """Write an object; it appears completely or not at all."""
        await within(_TIMEOUT_S, self._objects.put(name, content))

    async def touch(self, name: str) -> None:
        """Let an object count as written now."""
        info = await self._info(name)
        if info is not None:
            info.mtime = datetime.now(timezone.utc).isoformat()
            content = json.dumps(info.as_dict()).encode()
            headers = {Header.ROLLUP.value: "sub"}
            await self._context.publish(self._subject(name), content, headers=headers)

    async def get(self, name: str) -> bytes | None:
        """Read an object; None if there is none.

        Raises:
            NatsUnusable: its checksum does not match its content.
        """
        return await within(_TIMEOUT_S, self._read(name))

    async def delete(self, name: str) -> None:
        """Delete an object, and leave no trace of it."""
        info = await self._info(name)
        if info is not None:
            await self._context.purge_stream(self._stream, subject=self._subject(name))
            if info.nuid:
                await self._context.purge_stream(self._stream, subject=self._chunks(info.nuid))

    async def sweep(self, is_old: Callable[[StoredObject], bool], latest: float) -> int:
        """Delete some objects, and contents that were never finished.

        Args:
            is_old: which objects to delete.
            latest: before which time unfinished contents must have been written, in seconds since
                1970.

        Returns:
            How many objects were deleted.
        """
        swept = 0
        subjects = await self._subjects()
        infos = await self._infos()
        for info in infos:
            if not info.deleted and is_old(_told(info)):
                await self.delete(info.name)
                swept += 1
        known = {self._chunks(info.nuid) for info in infos if info.nuid and not info.deleted}
        for subject in subjects - known:
            with contextlib.suppress(NotFoundError):
                last = await self._context.get_last_msg(self._stream, subject)
                if last.time is None or last.time.timestamp() <= latest:
                    await self._context.purge_stream(self._stream, subject=subject)
        return swept

    async def _read(self, name: str) -> bytes | None:
        read: str | None = None
        while (info := await self._info(name)) is not None:
            is_again = info.nuid == read
            # Any server of a cluster answers directly, also one that has not got all chunks yet.
            content = await self._read_chunks(info, direct=self._is_direct and not is_again)
            if info.digest == _digest(content):
                return content
            # Whoever writes an object again deletes its former chunks, perhaps while they are read.
            if is_again:
                raise NatsUnusable(f"the object {name[:100]!r} is damaged at the server")
            read = info.nuid
        return None

    async def _read_chunks(self, info: ObjectInfo, *, direct: bool) -> bytes:
        """Read what there is of an object's content.

        A subscription would wait for ever for chunks that are deleted, and is slower.
        """
        chunks = bytearray()
        sequence = 0
        with contextlib.suppress(NotFoundError):
            while len(chunks) < (info.size or 0):
                found = await self._context.get_msg(
                    self._stream,
                    seq=sequence + 1,
                    subject=self._chunks(str(info.nuid)),
                    direct=direct,
                    next=True,
                )
                chunks += found.data or b""
                sequence = found.seq or 0
        return bytes(chunks)

    async def _info(self, name: str) -> ObjectInfo | None:
        try:
            return await self._objects.get_info(name)
        except NotFoundError:
            return None

    async def _infos(self) -> list[ObjectInfo]:
        try:
            return await within(_TIMEOUT_S, self._objects.list())
        except NotFoundError:
            return []

    async def _subjects(self) -> set[str]:
        """The subjects of contents; those of unfinished ones are known to no object."""
        found = await self._context.stream_info(self._stream, self._chunks("*"))
        return set(cast("dict[str, Any]", found.state.subjects or {}))

    def _chunks(self, nuid: str) -> str:
        return f"$O.{self._bucket}.C.{nuid}"

    def _subject(self, name: str) -> str:
        return f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest(content: bytes) -> str:
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()


def _told(info: ObjectInfo) -> StoredObject:
    written_at: float | None = None
    # A time without a zone, or none at all, was written by another client.
    with contextlib.suppress(ValueError, TypeError):
        written_at = datetime.fromisoformat(str(info.mtime).replace("Z", "+00:00")).timestamp()
    return StoredObject(info.name, info.size or 0, written_at)
