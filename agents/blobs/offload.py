"""Splits large messages into blobs and joins them again, in threads, for manager and worker."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from ...messages import BlobUnusable, Parcel, RequestParcel, TaskId, decode_message
from ...messages.cutting import OffloadedParts, cut, splice
from ..kernel.security.blob_seal import BlobSeal
from ..runtime.daemon_threads import DaemonThreads
from ..runtime.timeouts import within
from .store import BlobStore

DEFAULT_THRESHOLD_BYTES = 64 * 1024
"""The largest encoded message that is sent in a frame; the large values of others go into blobs.

Payloads of 100 kB take less time in frames over a direct connection. But without a direct
connection, or when one is lost under load, frames of that size take minutes where blobs take
seconds. From 1 MB on, blobs are as fast as frames in any case.
"""

STORE_TIMEOUT_S = 60.0
"""How long a blob store may take for one call before it counts as unusable."""

_THREADS = 4

MAX_AT_ONCE = _THREADS
"""How many messages are split, and how many joined, at once: this bounds the memory they take."""

_PROBE_BYTES = 32

_Result = TypeVar("_Result")


class BlobThreads:
    """The threads that call blob stores; started when first needed."""

    def __init__(self) -> None:
        self._executor: DaemonThreads | None = None

    async def run(self, step: Callable[[], _Result]) -> _Result:
        """Call a function in a thread.

        Raises:
            BlobUnusable: it takes longer than `STORE_TIMEOUT_S`, or the function raised it.
        """
        if self._executor is None:
            self._executor = DaemonThreads(_THREADS, "muster-blobs")
        work = asyncio.get_running_loop().run_in_executor(self._executor, step)
        try:
            return await within(STORE_TIMEOUT_S, work)
        except asyncio.TimeoutError:
            raise BlobUnusable(
                f"the blob store did not answer within {STORE_TIMEOUT_S:g} s"
            ) from None

    def close(self) -> None:
        """Start no more calls; do not wait for those that hang."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


class NamedParts(NamedTuple):
    """The parts of a message, with the name of the blob for each value; none is written yet.

    Args:
        parts: the parts.
        names: for each value, the name of its blob.
    """

    parts: OffloadedParts
    names: tuple[str, ...]

    def parcel(self, task_id: TaskId, attempt: int, worker: str) -> Parcel:
        """The message that refers to the blobs."""
        cuts = tuple(zip(self.parts.places, self.names, strict=True))
        return Parcel(
            task_id=task_id,
            attempt=attempt,
            worker=worker,
            skeleton=self.parts.skeleton,
            cuts=cuts,
        )


class Blobs:
    """A blob store whose blobs are sealed with the workspace's key.

    Args:
        store: the store.
        seal: names, seals and opens blobs.
        threads: call the store.
    """

    def __init__(self, store: BlobStore, seal: BlobSeal, threads: BlobThreads) -> None:
        self._store = store
        self._seal = seal
        self._threads = threads
        self.url = store.url

    async def split(
        self, encode: Callable[[], bytes], threshold_bytes: int
    ) -> tuple[bytes, NamedParts | None]:
        """Encode a message, split off its large values, and name their blobs.

        Args:
            encode: returns the encoded message.
            threshold_bytes: see `cut`.

        Returns:
            The encoded message, and its parts; None if it has no large values.

        Raises:
            EncodeError: what `encode` raised.
        """

        def step() -> tuple[bytes, NamedParts | None]:
            encoded = encode()
            return encoded, self._split(encoded, threshold_bytes, "")

        return await self._threads.run(step)

    async def put(self, parts: NamedParts) -> None:
        """Write the blobs of a message that was split.

        Raises:
            BlobUnusable: they can't be written.
        """
        await self._threads.run(lambda: self._put(parts))

    async def split_and_put(
        self, encoded: bytes, threshold_bytes: int, copy_of: str, note: Callable[[NamedParts], None]
    ) -> NamedParts | None:
        """Split an encoded message, and write the blobs of its large values.

        Args:
            encoded: the message.
            threshold_bytes: see `cut`.
            copy_of: makes the names unique to this message; see `BlobSeal.name`.
            note: called in the thread before anything is written.

        Returns:
            The parts; None if the message has no large values.

        Raises:
            BlobUnusable: the blobs can't be written.
        """

        def step() -> NamedParts | None:
            parts = self._split(encoded, threshold_bytes, copy_of)
            if parts is not None:
                note(parts)
                self._put(parts)
            return parts

        return await self._threads.run(step)

    async def open(
        self, parcel: Parcel | RequestParcel, also: Mapping[str, type[BaseModel]]
    ) -> BaseModel:
        """Read the blobs that a message refers to, and decode the original message.

        Args:
            parcel: the message that arrived in a frame.
            also: further message classes, by qualified name.

        Raises:
            BlobUnusable: the blobs can't be read, or were changed.
            DecodeError: the joined parts are no known message.
        """

        def step() -> BaseModel:
            contents = {name: self._read(name) for name in {name for _, name in parcel.cuts}}
            places = tuple(place for place, _ in parcel.cuts)
            values = tuple(contents[name] for _, name in parcel.cuts)
            return decode_message(splice(OffloadedParts(parcel.skeleton, places, values)), also)

        return await self._threads.run(step)

    async def leave_probe(self, content: bytes = b"") -> tuple[str, bytes]:
        """Write a probe, by which workers find out whether they reach the store.

        Args:
            content: the content of an earlier probe, to write the same again.

        Returns:
            The probe's name and content.

        Raises:
            BlobUnusable: it can't be written.
        """
        content = content or secrets.token_bytes(_PROBE_BYTES)
        name = self._seal.name(content)
        await self._threads.run(lambda: self._write(name, content))
        return name, content

    async def try_probe(self, name: str) -> None:
        """Check that a probe can be read and another blob written.

        Raises:
            BlobUnusable: one of the two fails.
        """

        def step() -> None:
            content = self._read(name)
            own = self._seal.name(content, secrets.token_hex(8))
            self._write(own, content)
            self._store.delete(own)

        await self._threads.run(step)

    async def delete(self, *names: str) -> None:
        """Delete blobs.

        Raises:
            BlobUnusable: a blob can't be deleted; all others were tried.
        """

        def step() -> None:
            failure: BlobUnusable | None = None
            for name in names:
                try:
                    self._store.delete(name)
                except BlobUnusable as fault:
                    failure = fault
            if failure is not None:
                raise failure

        await self._threads.run(step)

    async def sweep(self, older_than_s: float, spared: Collection[str]) -> int:
        """Delete old blobs; see `BlobStore.sweep`."""
        return await self._threads.run(lambda: self._store.sweep(older_than_s, spared))

    async def close(self) -> None:
        """Close the store."""
        await self._threads.run(self._store.close)

    def _split(self, encoded: bytes, threshold_bytes: int, copy_of: str) -> NamedParts | None:
        parts = cut(encoded, threshold_bytes)
        if parts is None:
            return None
        names = (
            self._seal.name(value, copy_of and f"{copy_of}/{number}")
            for number, value in enumerate(parts.values)
        )
        return NamedParts(parts, tuple(names))

    def _put(self, parts: NamedParts) -> None:
        # Equal values share a blob.
        contents = dict(zip(parts.names, parts.parts.values, strict=True))
        for name, content in contents.items():
            self._write(name, content)

    def _write(self, name: str, content: bytes | memoryview) -> None:
        self._store.write(name, self._seal.seal(name, content))

    def _read(self, name: str) -> bytes:
        return self._seal.open(name, self._store.read(name))
