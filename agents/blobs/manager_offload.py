"""The manager's side of offloading: sends large assignments by blobs, and reads large results."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    BlobsReached,
    BlobUnusable,
    DecodeError,
    Flaw,
    MusterError,
    Parcel,
    RequestParcel,
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
from .references import BlobCollector
from .store import BlobStore

ANSWER_WITHIN_S = 10.0
"""How long a worker may take to answer whether it reaches the blob store; then it counts as not
reaching it."""

SWEEP_EVERY_S = 3600.0

_MAX_REASON_CHARACTERS = 1_000

_Result = TypeVar("_Result")
_Queue: TypeAlias = "deque[asyncio.Future[bytes | None] | bytes]"


class ManagerOffload:
    """Sends large assignments by blobs, and reads large results from blobs.

    A blob is referenced by the tasks that need it, and by reads and writes under way. Once nothing
    references it, it is deleted.

    Args:
        threshold_bytes: the largest encoded message that is sent in a frame; None sends everything
            in frames.
        open_store: opens the store when it is first needed; may block.
        post: sends an encoded message in the conversation with a worker.
        refuse: lets an attempt fail that could not be sent, with the reason.
        unpacked: takes the sender, a result that was read from blobs, and the holder of these;
            when the result is recorded, `confirm` must be called with the holder.
        is_settled: whether a task will never be assigned again.
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
        # The messages that wait for each worker, in order; bounded by the attempts leased to it.
        self._queues: dict[str, _Queue] = {}
        self._reads: dict[str, set[asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._collector = BlobCollector(self._begin)

    def begin(self, blob_key: bytes | None, also: Mapping[str, type[BaseModel]]) -> None:
        """Set what is known only when the manager starts.

        Args:
            blob_key: the key that seals blobs; None leaves them unsealed.
            also: the user's own message classes, by qualified name.
        """
        self._seal = BlobSeal(blob_key)
        self._also = also

    # ------------------------------------------------------------------ going out

    def is_large(self, message: bytes) -> bool:
        """Whether an encoded message is to be sent by blobs."""
        return self.threshold_bytes is not None and len(message) > self.threshold_bytes

    def send(
        self, worker_id: str, assignment: TaskAssignment, message: bytes | None = None
    ) -> None:
        """Send a large assignment by blobs, or in a frame if the worker can't reach the store.

        Args:
            worker_id: the worker's address.
            assignment: the assignment.
            message: the same, encoded; None if it takes more than `KEPT_PACKED_BYTES`.
        """
        queue = self._queues.setdefault(worker_id, deque())
        packing = asyncio.ensure_future(self._pack(worker_id, assignment, message))
        queue.append(packing)
        packing.add_done_callback(lambda _: self._advance(worker_id, queue))

    def holds_back(self, worker_id: str, message: bytes) -> bool:
        """Queue a message if an earlier one to the same worker waits for blobs; else False."""
        queue = self._queues.get(worker_id)
        if queue is None:
            return False
        queue.append(message)
        return True

    def cancel_sending(self) -> None:
        """Drop the messages that wait for blobs; later ones are not held back."""
        for queue in self._queues.values():
            _cancel(queue)
        self._queues.clear()

    def forget_worker(self, worker_id: str) -> None:
        """Forget a worker that is gone, and the messages that wait for it."""
        self._reach.pop(worker_id, None)
        _cancel(self._queues.pop(worker_id, ()))

    def _advance(self, worker_id: str, queue: _Queue) -> None:
        while queue and self._queues.get(worker_id) is queue:
            first = queue[0]
            if isinstance(first, bytes):
                message = first
            elif first.done():
                message = None if first.cancelled() else first.result()
            else:
                return
            queue.popleft()
            if message is not None:
                self._post(worker_id, message)
        if self._queues.get(worker_id) is queue:
            del self._queues[worker_id]

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
                encoded = message
                message, parts = await blobs.split(
                    encode if encoded is None else lambda: encoded, threshold_bytes
                )
                if parts is None:
                    return message
                self._collector.hold(writing, parts.names)
                await self._put(blobs, parts)
            parcel = parts.parcel(task_id, assignment.attempt, assignment.worker)
            if not self._is_settled(task_id):
                self._collector.hold(task_id, parts.names)
            return encode_message(parcel)
        except MusterError as fault:
            self._refuse(worker_id, assignment, describe_fault(fault))
            return None
        finally:
            self._collector.release(writing)

    async def _put(self, blobs: Blobs, parts: NamedParts) -> None:
        # A blob that is being deleted would seem to be there already.
        await self._collector.finish_deletions(parts.names)
        await blobs.put(parts)

    async def _reaches(self, worker_id: str, blobs: Blobs) -> bool:
        if not blobs.url:
            return False
        reach = self._reach.get(worker_id)
        if reach is None:
            reach = self._reach[worker_id] = asyncio.get_running_loop().create_future()
            try:
                await self._show_place(worker_id, blobs)
            except BlobUnusable as fault:
                # All that wait fail, and the next one tries again.
                self._reach.pop(worker_id, None)
                if not reach.done():
                    reach.set_exception(fault)
        await asyncio.wait({reach}, timeout=ANSWER_WITHIN_S)
        if not reach.done():
            reach.set_result(False)
        return reach.result()

    async def run(self, step: Callable[[], _Result]) -> _Result:
        """Call a function in one of the threads that encode and decode large messages."""
        return await self._threads.run(step)

    async def put_result(
        self, address: str, result: TaskResult, encoded: bytes, holder: Hashable
    ) -> Parcel | None:
        """Write the blobs of a large result for a client.

        Args:
            address: the client's address.
            result: the result.
            encoded: the same, encoded.
            holder: what `confirm` must be called with when the client has read it.

        Returns:
            The message to send; None if the client does not reach the store.
        """
        threshold_bytes = self.threshold_bytes
        if threshold_bytes is None or len(encoded) <= threshold_bytes:
            return None
        try:
            blobs = await self._open()
            if not await self._reaches(address, blobs):
                return None
            async with self._packing:
                _, parts = await blobs.split(lambda: encoded, threshold_bytes)
                if parts is None:
                    return None
                self._collector.hold(holder, parts.names)
                await self._put(blobs, parts)
        except BlobUnusable as fault:
            log.warning("can't write a result to the blob store", reason=str(fault))
            return None
        return parts.parcel(result.task_id, result.attempt, result.worker)

    # ------------------------------------------------------------------ where the store is

    def wanted(self, worker_id: str) -> None:
        """A worker asks where the store is."""
        self._begin(self._answer(worker_id))

    def reached(self, worker_id: str, answer: BlobsReached) -> None:
        """A worker answers whether it reaches the store."""
        reach = self._reach.get(worker_id)
        if reach is None or reach.done():
            reach = self._reach[worker_id] = asyncio.get_running_loop().create_future()
        reach.set_result(answer.reached)
        if not answer.reached:
            log.warning(
                "a member can't reach the blob store; large data is sent to it in frames",
                member=worker_id[:80],
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
            self._collector.hold(self, (probe,))
        # The worker may have left meanwhile.
        with contextlib.suppress(UnknownPeer):
            self._post(worker_id, encode_message(BlobPlace(url=blobs.url, probe=probe)))

    async def _open(self) -> Blobs:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open_now())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except BlobUnusable:
            # The next one that needs it tries again.
            if self._opening is opening:
                self._opening = None
            raise

    async def _open_now(self) -> Blobs:
        self._store = await self._threads.run(self._open_store)
        blobs = self._blobs = Blobs(self._store, self._seal, self._threads)
        self._collector.use(blobs)
        self._begin(self._sweep(blobs))
        return blobs

    async def _sweep(self, blobs: Blobs) -> None:
        while True:
            try:
                swept = await blobs.sweep(LEFT_OVER_AFTER_S, self._collector.referenced)
            except BlobUnusable as fault:
                log.warning("could not delete old blobs", reason=str(fault))
            else:
                if swept:
                    log.info("deleted old blobs", count=swept)
            await asyncio.sleep(SWEEP_EVERY_S)

    # ------------------------------------------------------------------ coming in

    def receive(self, sender: str, parcel: Parcel) -> None:
        """Read the blobs of a large result."""
        reads = self._reads.setdefault(sender, set())
        reading = self._begin(self._read(sender, parcel))
        reads.add(reading)

        def end(_: object) -> None:
            reads.discard(reading)
            if not reads and self._reads.get(sender) is reads:
                del self._reads[sender]

        reading.add_done_callback(end)

    def after_reads(self, sender: str, then: Callable[[], object]) -> None:
        """Call a function once all results that a worker has sent so far have been read."""
        reads = self._reads.get(sender)
        if reads is None:
            then()
        else:
            self._begin(_wait_and(tuple(reads), then))

    async def open_request(self, parcel: RequestParcel) -> BaseModel:
        """Read the blobs of a client's large request, and delete them.

        Raises:
            BlobUnusable: they can't be read, or were changed.
            DecodeError: the joined parts are no known message.
        """
        reading = object()
        self._collector.hold(reading, (name for _, name in parcel.cuts))
        try:
            blobs = await self._open()
            async with self._unpacking:
                return await blobs.open(parcel, self._also)
        finally:
            self._collector.release(reading)

    async def _read(self, sender: str, parcel: Parcel) -> None:
        reading = object()
        self._collector.hold(reading, (name for _, name in parcel.cuts))
        try:
            result = await self._unpack(parcel)
            self._unpacked(sender, result, reading)
        except BaseException:
            self._collector.release(reading)
            raise

    async def _unpack(self, parcel: Parcel) -> TaskResult:
        try:
            blobs = await self._open()
            async with self._unpacking:
                result = await blobs.open(parcel, self._also)
            if not isinstance(result, TaskResult) or _subject(result) != _subject(parcel):
                raise DecodeError(Flaw.INVALID, "blobs that do not hold what their message says")
            return result
        except MusterError as fault:
            return TaskResult(
                task_id=parcel.task_id,
                worker=parcel.worker,
                success=False,
                error_message=describe_fault(fault),
                attempt=parcel.attempt,
            )

    # ------------------------------------------------------------------ references to blobs

    def confirm(self, holder: Hashable) -> None:
        """A result that was read from blobs is recorded: delete the blobs that only it needed."""
        self._collector.release(holder)

    def settle(self, task_id: TaskId) -> None:
        """A task will not be assigned again: delete the blobs that only it needed."""
        # Until the store is open there are none.
        if self._blobs is not None:
            self._collector.release(task_id)

    # ------------------------------------------------------------------ the end

    async def close(self, *, keeps: bool) -> None:
        """End everything that runs, and close the store.

        Args:
            keeps: whether to keep the blobs of unfinished tasks, since the run will go on.
        """
        self.cancel_sending()
        for each in tuple(self._tasks):
            if not self._collector.is_deletion(each):
                each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        if self._blobs is not None:
            with contextlib.suppress(BlobUnusable):
                if isinstance(self._store, OwnDirectory):
                    self._store.stays = keeps
                elif not keeps:
                    await self._blobs.delete(*self._collector.referenced)
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
            log.error("could not offload a message", exc_info=fault)


async def _wait_and(reads: Iterable[asyncio.Task[None]], then: Callable[[], object]) -> None:
    await asyncio.wait(tuple(reads))
    then()


def _subject(message: Parcel | TaskResult) -> tuple[TaskId, int, str]:
    return message.task_id, message.attempt, message.worker


def _cancel(queue: Iterable[asyncio.Future[bytes | None] | bytes]) -> None:
    for each in queue:
        if not isinstance(each, bytes):
            each.cancel()
