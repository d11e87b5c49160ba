"""The worker's side of offloading: reads large assignments from blobs, and sends large results."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Container, Coroutine, Iterable, Iterator, Mapping
from typing import TypeAlias

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    BlobUnusable,
    CancelTask,
    DecodeError,
    Flaw,
    Parcel,
    ResultRecorded,
    TaskAssignment,
    TaskId,
    TaskResult,
    encode_message,
)
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from .offload import MAX_AT_ONCE, Blobs, BlobThreads, NamedParts
from .place_finder import PlaceFinder

Key: TypeAlias = "tuple[TaskId, int]"


class WorkerOffload:
    """Reads large assignments from blobs, and sends large results by blobs if it reaches the store.

    What a manager says about its blob store holds for one conversation.

    Args:
        post: sends a message to the manager.
        take: begins an attempt.
        report_result: takes the result of an attempt that could not begin.
        queue: takes an encoded result, or the message that refers to its blobs, to be sent.
        unqueue: drops those that were queued and not sent, by their attempts.
    """

    def __init__(
        self,
        *,
        post: Callable[[BaseModel], None],
        take: Callable[[TaskAssignment], None],
        report_result: Callable[[TaskResult], None],
        queue: Callable[[Key, bytes], None],
        unqueue: Callable[[Container[Key]], None],
    ) -> None:
        self._take = take
        self._report_result = report_result
        self._queue = queue
        self._unqueue = unqueue
        self._worker = ""
        self._session = ""
        self._also: Mapping[str, type[BaseModel]] = {}
        self._threads = BlobThreads()
        self._finder = PlaceFinder(post, self._threads)
        self._packing = asyncio.Semaphore(MAX_AT_ONCE)
        self._unpacking = asyncio.Semaphore(MAX_AT_ONCE)
        self._threshold_bytes: int | None = None
        # All are bounded by the attempts that the worker is given.
        self._openings: dict[Key, asyncio.Task[None]] = {}
        self._unrecorded: dict[Key, bytes] = {}
        self._written: dict[Key, tuple[Blobs, NamedParts]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self,
        worker: str,
        session: str,
        blob_key: bytes | None,
        also: Mapping[str, type[BaseModel]],
    ) -> None:
        """Set what is known only when there is a connection.

        Args:
            worker: the worker's name.
            session: identifies this start of the worker.
            blob_key: the key that seals blobs; None if they are not sealed.
            also: the user's own message classes, by qualified name.
        """
        self._worker = worker
        self._session = session
        self._finder.begin(worker, blob_key)
        self._also = also

    @property
    def keys(self) -> Iterator[Key]:
        """The attempts whose results may not be recorded yet, as task and number."""
        return iter(self._unrecorded)

    @property
    def being_opened(self) -> Iterator[Key]:
        """The attempts whose assignments are being read from blobs, as task and number."""
        return (key for key, opening in self._openings.items() if not opening.done())

    # ------------------------------------------------------------------ the conversation

    def welcomed(self, threshold_bytes: int | None) -> None:
        """Begin a conversation: send again all results that are not recorded.

        Assignments of the former conversation that are still being read are dropped. The manager
        knows, since the worker did not name them among those that it holds.

        Args:
            threshold_bytes: see `Welcome`.
        """
        self.break_off()
        self._threshold_bytes = threshold_bytes
        self._unqueue(self._unrecorded)
        for key, message in self._unrecorded.items():
            self._begin(self._send(key, message))

    def break_off(self) -> None:
        """End the conversation."""
        for task in self._tasks:
            task.cancel()
        self._openings.clear()
        self._finder.forget()

    def set_place(self, place: BlobPlace) -> None:
        """The manager tells where the blob store is."""
        self._begin(self._finder.take(place))

    async def clear(self) -> None:
        """Delete the blobs of results that nobody will read any more: the run is over."""
        self.break_off()
        written, self._written = self._written, {}
        with contextlib.suppress(BlobUnusable):
            for blobs, parts in written.values():
                await blobs.delete(*parts.names)

    def close(self) -> None:
        """Begin nothing more, and stop the threads."""
        self.break_off()
        self._threads.close()

    # ------------------------------------------------------------------ coming in

    def receive(self, parcel: Parcel) -> None:
        """Read the blobs of a large assignment, and begin the attempt."""
        key = (parcel.task_id, parcel.attempt)
        if key not in self._openings:
            self._openings[key] = self._begin(self._open(key, parcel))

    def cancel(self, request: CancelTask) -> bool:
        """Cancel an attempt whose assignment is still being read; False if there is none."""
        key = (request.task_id, request.attempt)
        opening = self._openings.pop(key, None)
        if opening is None:
            return False
        opening.cancel()
        self._report_result(self._failure(key, request.reason or "cancelled"))
        return True

    def give_back(self, keys: Iterable[Key]) -> list[Key]:
        """Drop those of the attempts whose assignments are still being read, and return them."""
        given_back = [key for key in keys if key in self._openings]
        for key in given_back:
            self._openings.pop(key).cancel()
        return given_back

    def give_back_all(self) -> list[Key]:
        """Drop all attempts whose assignments are still being read, and return them."""
        return self.give_back(tuple(self._openings))

    async def _open(self, key: Key, parcel: Parcel) -> None:
        try:
            assignment = await self._read(key, parcel)
        except Exception as fault:  # noqa: BLE001 - a blob store may be anybody's
            del self._openings[key]
            self._report_result(self._failure(key, describe_fault(fault)))
        else:
            del self._openings[key]
            self._take(assignment)

    async def _read(self, key: Key, parcel: Parcel) -> TaskAssignment:
        place = await self._finder.find()
        if place.blobs is None:
            raise BlobUnusable(place.fault or "this worker can't reach the blob store")
        async with self._unpacking:
            assignment = await place.blobs.open(parcel, self._also)
        if (
            not isinstance(assignment, TaskAssignment)
            or (assignment.task.id, assignment.attempt) != key
            or assignment.worker != parcel.worker
        ):
            raise DecodeError(Flaw.INVALID, "blobs that do not hold what their message says")
        return assignment

    def _failure(self, key: Key, reason: str) -> TaskResult:
        task_id, attempt = key
        return TaskResult(
            task_id=task_id,
            worker=self._worker,
            success=False,
            error_message=reason,
            attempt=attempt,
        )

    # ------------------------------------------------------------------ going out

    def is_large(self, message: bytes) -> bool:
        """Whether an encoded result is to be sent by blobs."""
        return self._threshold_bytes is not None and len(message) > self._threshold_bytes

    def send(self, key: Key, message: bytes) -> None:
        """Send a large result, and keep it until the manager has recorded it.

        Args:
            key: the attempt, as task and number.
            message: its encoded result.
        """
        self._unrecorded[key] = message
        self._begin(self._send(key, message))

    def recorded(self, confirmation: ResultRecorded) -> None:
        """The manager has recorded a result."""
        key = (confirmation.task_id, confirmation.attempt)
        self._unrecorded.pop(key, None)
        self._written.pop(key, None)

    async def _send(self, key: Key, message: bytes) -> None:
        task_id, attempt = key
        parts = None
        try:
            parts = await self._put(key, message)
        except Exception as fault:  # noqa: BLE001 - a blob store may be anybody's
            message = encode_message(self._failure(key, describe_fault(fault)))
        if parts is None:
            # In a frame, its acknowledgement is enough, as for every other result.
            self._unrecorded.pop(key, None)
        else:
            message = encode_message(parts.parcel(task_id, attempt, self._worker))
        self._queue(key, message)

    async def _put(self, key: Key, message: bytes) -> NamedParts | None:
        """Write the blobs of a result; None if it is to be sent in a frame."""
        if self._threshold_bytes is None or not self.is_large(message):
            return None
        place = await self._finder.find()
        if place.fault:
            raise BlobUnusable(place.fault)
        if place.blobs is None:
            return None
        # A copy of its own, so that deleting an equal blob never deletes it before it is read.
        copy_of = f"{self._session}/{key[1]}/{key[0]!r}/{secrets.token_hex(8)}"
        blobs = place.blobs

        def note(parts: NamedParts) -> None:
            self._written[key] = (blobs, parts)

        async with self._packing:
            return await blobs.split_and_put(message, self._threshold_bytes, copy_of, note)

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("could not offload a message", worker=self._worker, exc_info=fault)
