"""What manager and worker both do with parcels: fill their blobs, and open them; in threads."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from ...messages import BlobUnusable, Parcel, TaskId, decode_message
from ...messages.cutting import OffloadedParts, cut, splice
from ..kernel.security.blob_seal import BlobSeal
from ..runtime.daemon_threads import DaemonThreads
from ..runtime.timeouts import within
from .store import BlobStore

DEFAULT_THRESHOLD_BYTES = 64 * 1024
"""How long an encoded message gets before its large values go into blobs."""

PATIENCE_S = 60.0
"""How long a blob store may take for one step before it counts as unusable."""

_THREADS = 4

MAX_AT_ONCE = _THREADS
"""How many parcels each way are worked on at once: the first are early, and few take memory."""
_PROBE_BYTES = 32

_Result = TypeVar("_Result")


class BlobThreads:
    """The threads in which blob stores are waited for; none before there is something to do."""

    def __init__(self) -> None:
        self._executor: DaemonThreads | None = None

    async def run(self, step: Callable[[], _Result]) -> _Result:
        """Call a function in a thread.

        Raises:
            BlobUnusable: it takes longer than `PATIENCE_S`, or the store raised what it may not.
        """
        if self._executor is None:
            self._executor = DaemonThreads(_THREADS, "muster-blobs")
        work = asyncio.get_running_loop().run_in_executor(self._executor, step)
        try:
            return await within(PATIENCE_S, work)
        except asyncio.TimeoutError:
            raise BlobUnusable(f"the blob store did not answer within {PATIENCE_S:g} s") from None

    def close(self) -> None:
        """Begin nothing more; what hangs is not waited for."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


class NamedParts(NamedTuple):
    """A message that was cut, with the names of the blobs for its values; they are not there yet.

    Args:
        cutting: the parts.
        names: for each value, the blob that it is to be in.
    """

    cutting: OffloadedParts
    names: tuple[str, ...]

    def parcel(self, task_id: TaskId, attempt: int, worker: str) -> Parcel:
        """What goes into the frame."""
        cuts = tuple(zip(self.cutting.places, self.names, strict=True))
        return Parcel(
            task_id=task_id,
            attempt=attempt,
            worker=worker,
            skeleton=self.cutting.skeleton,
            cuts=cuts,
        )


class Blobs:
    """A blob store with the workspace's seal on it.

    Args:
        store: where the blobs are.
        seal: what they are sealed with.
        threads: where the store is waited for.
    """

    def __init__(self, store: BlobStore, seal: BlobSeal, threads: BlobThreads) -> None:
        self._store = store
        self._seal = seal
        self._threads = threads
        self.url = store.url

    async def label(
        self, encode: Callable[[], bytes], threshold_bytes: int
    ) -> tuple[bytes, NamedParts | None]:
        """Encode a message, cut it, and name what was cut out.

        Args:
            encode: gives the encoded message.
            threshold_bytes: see `cut`.

        Returns:
            The encoded message, and its parts; None if nothing in it is large.

        Raises:
            EncodeError: what `encode` raised.
        """

        def step() -> tuple[bytes, NamedParts | None]:
            encoded = encode()
            return encoded, self._label(encoded, threshold_bytes, "")

        return await self._threads.run(step)

    async def put(self, labelled: NamedParts) -> None:
        """Fill the blobs of a labelled message.

        Raises:
            BlobUnusable: they can't be written.
        """
        await self._threads.run(lambda: self._put(labelled))

    async def label_and_put(
        self, encoded: bytes, threshold_bytes: int, copy_of: str, note: Callable[[NamedParts], None]
    ) -> NamedParts | None:
        """Cut an encoded message, name what was cut out, and fill its blobs, all in one go.

        Args:
            encoded: the message.
            threshold_bytes: see `cut`.
            copy_of: whose they are, said of this message alone, ever; see `BlobSeal.name`.
            note: called in the thread before anything is written.

        Returns:
            The parts; None if nothing in it is large.

        Raises:
            BlobUnusable: the blobs can't be written.
        """

        def step() -> NamedParts | None:
            labelled = self._label(encoded, threshold_bytes, copy_of)
            if labelled is not None:
                note(labelled)
                self._put(labelled)
            return labelled

        return await self._threads.run(step)

    async def open(self, parcel: Parcel, also: Mapping[str, type[BaseModel]]) -> BaseModel:
        """Read a parcel's blobs, and give the message that it stands for.

        Args:
            parcel: what came in a frame.
            also: further classes of message, by qualified name.

        Raises:
            BlobUnusable: they can't be read, or are not what was put there.
            DecodeError: what they make up is no known message.
        """

        def step() -> BaseModel:
            contents = {name: self._read(name) for name in {name for _, name in parcel.cuts}}
            places = tuple(place for place, _ in parcel.cuts)
            values = tuple(contents[name] for _, name in parcel.cuts)
            return decode_message(splice(OffloadedParts(parcel.skeleton, places, values)), also)

        return await self._threads.run(step)

    async def leave_probe(self, content: bytes = b"") -> tuple[str, bytes]:
        """Put something by which others see that they get here; its name, and what it is.

        Args:
            content: what it was, if it is to be there again.

        Raises:
            BlobUnusable: it can't be written.
        """
        content = content or secrets.token_bytes(_PROBE_BYTES)
        name = self._seal.name(content)
        await self._threads.run(lambda: self._write(name, content))
        return name, content

    async def try_probe(self, name: str) -> None:
        """See that a probe can be read, and something put beside it.

        Raises:
            BlobUnusable: it can't.
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
            BlobUnusable: one can't be deleted; the others were, if they could.
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
        """Delete what is old; see `BlobStore.sweep`."""
        return await self._threads.run(lambda: self._store.sweep(older_than_s, spared))

    async def close(self) -> None:
        """Let go of the store."""
        await self._threads.run(self._store.close)

    def _label(self, encoded: bytes, threshold_bytes: int, copy_of: str) -> NamedParts | None:
        cutting = cut(encoded, threshold_bytes)
        if cutting is None:
            return None
        names = (
            self._seal.name(value, copy_of and f"{copy_of}/{number}")
            for number, value in enumerate(cutting.values)
        )
        return NamedParts(cutting, tuple(names))

    def _put(self, labelled: NamedParts) -> None:
        # Equal values share a blob.
        contents = dict(zip(labelled.names, labelled.cutting.values, strict=True))
        for name, content in contents.items():
            self._write(name, content)

    def _write(self, name: str, content: bytes | memoryview) -> None:
        self._store.write(name, self._seal.seal(name, content))

    def _read(self, name: str) -> bytes:
        return self._seal.open(name, self._store.read(name))
