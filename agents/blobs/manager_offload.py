"""The manager's parcels: large assignments that leave, large results that come, and their blobs.

A blob is held by the tasks that need it and by those who are about to write or read it; when
nobody holds it any more it is deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from functools import partial
from typing import TypeAlias

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    BlobsReached,
    BlobUnusable,
    DecodeError,
    Flaw,
    MusterError,
    Parcel,
    TaskAssignment,
    TaskId,
    TaskResult,
    UnknownPeer,
    encode_message,
)
from ...messages.codec import KEPT_PACKED_BYTES
from ..kernel.security.blob_seal import BlobSeal
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from .offload import MAX_AT_ONCE, Blobs, BlobThreads, NamedParts
from .places import LEFT_OVER_AFTER_S, OwnDirectory
from .references import BlobHolders
from .store import BlobStore

ANSWER_WITHIN_S = 10.0
"""How long a worker may take to tell whether it gets to the blobs, before it is taken not to."""

SWEEP_EVERY_S = 3600.0

_MAX_REASON_CHARACTERS = 1_000

_Line: TypeAlias = "deque[asyncio.Future[bytes | None] | bytes]"


class ManagerOffload:
    """Sends what is large by blobs, and takes it in.

    Args:
        threshold_bytes: how long an encoded message may be to go in a frame; None sends all so.
        open_store: opens the store, when it is first needed; may wait.
        post: sends an encoded message in the conversation with a worker.
        refuse: has an attempt fail that could not be sent, for a reason.
        unpacked: takes in a result that came in a parcel, from whom and as whose holding; when it
            is recorded, `confirm` is to be called.
        is_settled: whether a task will never be given out again.
    """

    def __init__(
        self,
        threshold_bytes: int | None,
        open_store: Callable[[], BlobStore],
        *,
        post: Callable[[str, bytes], None],
        refuse: Callable[[str, TaskAssignment, str], None],
        unpacked: Callable[[str, TaskResult, Hashable], None],
        is_settled: Callable[[TaskId], bool],
    ) -> None:
        self.threshold_bytes = threshold_bytes
        self._open_store = open_store
        self._post = post
        self._refuse = refuse
        self._unpacked = unpacked
        self._is_settled = is_settled
        self._seal = BlobSeal(None)
        self._also: Mapping[str, type[BaseModel]] = {}
        self._threads = BlobThreads()
        self._packing = asyncio.Semaphore(MAX_AT_ONCE)
        self._unpacking = asyncio.Semaphore(MAX_AT_ONCE)
        self._opening: asyncio.Task[Blobs] | None = None
        self._store: BlobStore | None = None
        self._blobs: Blobs | None = None
        self._probe = b""
        # Bounded by the workers that are connected.
        self._reach: dict[str, asyncio.Future[bool]] = {}
        # What waits for each worker, in its order; bounded by the attempts leased to it.
        self._lines: dict[str, _Line] = {}
        self._reads: dict[str, set[asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._holders = BlobHolders()
        self._deletions: dict[str, asyncio.Task[None]] = {}
        # What the next deletion is to delete, each with the one before that it must wait for.
        self._doomed: dict[str, asyncio.Task[None] | None] = {}
        self._next_deletion: asyncio.Task[None] | None = None

    def begin(self, blob_key: bytes | None, also: Mapping[str, type[BaseModel]]) -> None:
        """Note what is known only when the manager starts.

        Args:
            blob_key: what blobs are sealed with, None to leave them open.
            also: the user's own classes of message, by qualified name.
        """
        self._seal = BlobSeal(blob_key)
        self._also = also

    # ------------------------------------------------------------------ going out

    def is_large(self, message: bytes) -> bool:
        """Whether an encoded message is to leave as a parcel."""
        return self.threshold_bytes is not None and len(message) > self.threshold_bytes

    def send(
        self, worker_id: str, assignment: TaskAssignment, message: bytes | None = None
    ) -> None:
        """Send a large assignment: as a parcel, or whole to a worker that can't reach the blobs.

        Args:
            worker_id: where the worker is reached.
            assignment: the assignment.
            message: the same, encoded; None if it takes more than `KEPT_PACKED_BYTES`.
        """
        line = self._lines.setdefault(worker_id, deque())
        packing = asyncio.ensure_future(self._pack(worker_id, assignment, message))
        line.append(packing)
        packing.add_done_callback(lambda _: self._advance(worker_id, line))

    def holds_back(self, worker_id: str, message: bytes) -> bool:
        """Have a message wait if a parcel is being packed for its worker: order is kept."""
        line = self._lines.get(worker_id)
        if line is None:
            return False
        line.append(message)
        return True

    def release_lines(self) -> None:
        """Send no more parcels: from now on nothing waits for them."""
        for line in self._lines.values():
            _cancel(line)
        self._lines.clear()

    def forget_worker(self, worker_id: str) -> None:
        """Forget a worker that is gone, and what waits for it."""
        self._reach.pop(worker_id, None)
        _cancel(self._lines.pop(worker_id, ()))

    def _advance(self, worker_id: str, line: _Line) -> None:
        while line and self._lines.get(worker_id) is line:
            first = line[0]
            if isinstance(first, bytes):
                message = first
            elif first.done():
                message = None if first.cancelled() else first.result()
            else:
                return
            line.popleft()
            if message is not None:
                self._post(worker_id, message)
        if self._lines.get(worker_id) is line:
            del self._lines[worker_id]

    async def _pack(
        self, worker_id: str, assignment: TaskAssignment, message: bytes | None
    ) -> bytes | None:
        task_id, writing = assignment.task.id, object()
        try:
            encode = partial(encode_message, assignment)
            threshold_bytes = self.threshold_bytes
            if message is None and (threshold_bytes is None or threshold_bytes > KEPT_PACKED_BYTES):
                message = await self._threads.run(encode)
            if threshold_bytes is None or (message is not None and not self.is_large(message)):
                return message
            blobs = await self._open()
            if not await self._reaches(worker_id, blobs):
                return message or await self._threads.run(encode)
            async with self._packing:
                given = message
                message, labelled = await blobs.label(
                    encode if given is None else lambda: given, threshold_bytes
                )
                if labelled is None:
                    return message
                self._holders.hold(writing, labelled.names)
                await self._put(blobs, labelled)
            parcel = labelled.parcel(task_id, assignment.attempt, assignment.worker)
            if not self._is_settled(task_id):
                self._holders.hold(task_id, labelled.names)
            return encode_message(parcel)
        except MusterError as fault:
            self._refuse(worker_id, assignment, describe_fault(fault))
            return None
        finally:
            self._release(writing)

    async def _put(self, blobs: Blobs, labelled: NamedParts) -> None:
        # What is about to be deleted must be gone first, or it would be found there.
        deletions = {self._deletions[name] for name in labelled.names if name in self._deletions}
        if deletions:
            await asyncio.wait(deletions)
        await blobs.put(labelled)

    async def _reaches(self, worker_id: str, blobs: Blobs) -> bool:
        if not blobs.url:
            return False
        reach = self._reach.get(worker_id)
        if reach is None:
            reach = self._reach[worker_id] = asyncio.get_running_loop().create_future()
            try:
                await self._show_place(worker_id, blobs)
            except BlobUnusable as fault:
                # All that wait hear of it, and the next one tries again.
                self._reach.pop(worker_id, None)
                if not reach.done():
                    reach.set_exception(fault)
        await asyncio.wait({reach}, timeout=ANSWER_WITHIN_S)
        if not reach.done():
            reach.set_result(False)
        return reach.result()

    # ------------------------------------------------------------------ the place

    def wanted(self, worker_id: str) -> None:
        """A worker asks for the place."""
        self._begin(self._answer(worker_id))

    def reached(self, worker_id: str, answer: BlobsReached) -> None:
        """A worker tells whether it gets there."""
        reach = self._reach.get(worker_id)
        if reach is None or reach.done():
            reach = self._reach[worker_id] = asyncio.get_running_loop().create_future()
        reach.set_result(answer.reached)
        if not answer.reached:
            log.warning(
                "a worker can't reach the blobs; what is large goes to it in frames",
                worker=worker_id[:80],
                reason=answer.reason[:500],
            )

    async def _answer(self, worker_id: str) -> None:
        try:
            await self._show_place(worker_id, await self._open())
        except BlobUnusable as fault:
            with contextlib.suppress(UnknownPeer):
                self._post(
                    worker_id, encode_message(BlobPlace(reason=str(fault)[:_MAX_REASON_CHARACTERS]))
                )

    async def _show_place(self, worker_id: str, blobs: Blobs) -> None:
        probe = None
        if blobs.url:
            probe, self._probe = await blobs.leave_probe(self._probe)
            self._holders.hold(self, (probe,))
        # It may have left meanwhile.
        with contextlib.suppress(UnknownPeer):
            self._post(worker_id, encode_message(BlobPlace(url=blobs.url, probe=probe)))

    async def _open(self) -> Blobs:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open_now())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except BlobUnusable:
            # The next one who needs it tries again.
            if self._opening is opening:
                self._opening = None
            raise

    async def _open_now(self) -> Blobs:
        self._store = await self._threads.run(self._open_store)
        blobs = self._blobs = Blobs(self._store, self._seal, self._threads)
        self._begin(self._sweep(blobs))
        return blobs

    async def _sweep(self, blobs: Blobs) -> None:
        while True:
            try:
                swept = await blobs.sweep(LEFT_OVER_AFTER_S, frozenset(self._holders))
            except BlobUnusable as fault:
                log.warning("old blobs can't be swept", reason=str(fault))
            else:
                if swept:
                    log.info("old blobs were deleted", count=swept)
            await asyncio.sleep(SWEEP_EVERY_S)

    # ------------------------------------------------------------------ coming in

    def receive(self, sender: str, parcel: Parcel) -> None:
        """Take in a result whose blobs are still to be read."""
        reads = self._reads.setdefault(sender, set())
        reading = self._begin(self._read(sender, parcel))
        reads.add(reading)

        def end(_: object) -> None:
            reads.discard(reading)
            if not reads and self._reads.get(sender) is reads:
                del self._reads[sender]

        reading.add_done_callback(end)

    def after_reads(self, sender: str, then: Callable[[], object]) -> None:
        """Do something when all that a worker sent so far has been read; at once if it has."""
        reads = self._reads.get(sender)
        if reads is None:
            then()
        else:
            self._begin(_wait_and(tuple(reads), then))

    async def _read(self, sender: str, parcel: Parcel) -> None:
        reading = object()
        self._holders.hold(reading, (name for _, name in parcel.cuts))
        try:
            result = await self._unpack(parcel)
            self._unpacked(sender, result, reading)
        except BaseException:
            self._release(reading)
            raise

    async def _unpack(self, parcel: Parcel) -> TaskResult:
        try:
            blobs = await self._open()
            async with self._unpacking:
                result = await blobs.open(parcel, self._also)
            if not isinstance(result, TaskResult) or _subject(result) != _subject(parcel):
                raise DecodeError(Flaw.INVALID, "a parcel with something else in it than it says")
            return result
        except MusterError as fault:
            return TaskResult(
                task_id=parcel.task_id,
                worker=parcel.worker,
                success=False,
                error_message=describe_fault(fault),
                attempt=parcel.attempt,
            )

    # ------------------------------------------------------------------ who needs which blob

    def confirm(self, holder: Hashable) -> None:
        """A result that came in a parcel is recorded, whatever became of it."""
        self._release(holder)

    def settle(self, task_id: TaskId) -> None:
        """A task will not be given out again."""
        self._release(task_id)

    def _release(self, holder: Hashable) -> None:
        for name in self._holders.release(holder):
            if self._next_deletion is None:
                # What is released in one turn of the loop is deleted in one go.
                self._next_deletion = self._begin(self._delete_doomed())
            if name not in self._doomed:
                self._doomed[name] = self._deletions.get(name)
                self._deletions[name] = self._next_deletion

    async def _delete_doomed(self) -> None:
        doomed, self._doomed = self._doomed, {}
        own, self._next_deletion = self._next_deletion, None
        try:
            before = {each for each in doomed.values() if each is not None}
            if before:
                await asyncio.wait(before)
            names = [name for name in doomed if name not in self._holders]
            if self._blobs is not None and names:
                await self._blobs.delete(*names)
        except BlobUnusable as fault:
            log.warning("blobs stay that nobody needs", reason=str(fault))
        finally:
            for name in doomed:
                if self._deletions.get(name) is own:
                    del self._deletions[name]

    # ------------------------------------------------------------------ the end

    async def close(self, *, keeps: bool) -> None:
        """End all that goes on.

        Args:
            keeps: whether the blobs stay that unfinished tasks hold, since the run will go on.
        """
        self.release_lines()
        ending = [each for each in self._tasks if each not in self._deletions.values()]
        for each in ending:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._blobs is not None:
            with contextlib.suppress(BlobUnusable):
                if isinstance(self._store, OwnDirectory):
                    self._store.stays = keeps
                elif not keeps:
                    await self._blobs.delete(*self._holders)
                await self._blobs.close()
        self._threads.close()

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("a parcel could not be handled", exc_info=fault)


async def _wait_and(reads: Iterable[asyncio.Task[None]], then: Callable[[], object]) -> None:
    await asyncio.wait(tuple(reads))
    then()


def _subject(message: Parcel | TaskResult) -> tuple[TaskId, int, str]:
    return message.task_id, message.attempt, message.worker


def _cancel(line: Iterable[asyncio.Future[bytes | None] | bytes]) -> None:
    for each in line:
        if not isinstance(each, bytes):
            each.cancel()
