"""The worker's parcels: large assignments that come, large results that leave, and their blobs."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Container, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    BlobsReached,
    BlobsWanted,
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
from ..kernel.security.blob_seal import BlobSeal
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from .offload import MAX_AT_ONCE, Blobs, BlobThreads, NamedParts
from .places import open_place

ANSWER_WITHIN_S = 10.0
"""How long a manager may take to tell where blobs are, before everything goes in frames."""

Key: TypeAlias = "tuple[TaskId, int]"


class _Place(NamedTuple):
    """Where the manager says that blobs are.

    Args:
        blobs: what is there; None if this worker does not get there.
        fault: why there are none for anybody, or "".
    """

    blobs: Blobs | None
    fault: str = ""


class WorkerOffload:
    """Takes in what is large by blobs, and sends it so, if the manager can be reached so.

    What a manager says of blobs holds for one conversation with it.

    Args:
        post: sends a message to the manager.
        take: begins an attempt.
        report_result: takes the result of an attempt that could not begin.
        queue: takes an encoded result, or the parcel for it, to be sent when its turn comes.
        unqueue: has none of these sent that are still kept for it.
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
        self._post = post
        self._take = take
        self._report_result = report_result
        self._queue = queue
        self._unqueue = unqueue
        self._worker = ""
        self._session = ""
        self._seal = BlobSeal(None)
        self._also: Mapping[str, type[BaseModel]] = {}
        self._threads = BlobThreads()
        self._packing = asyncio.Semaphore(MAX_AT_ONCE)
        self._unpacking = asyncio.Semaphore(MAX_AT_ONCE)
        self._threshold_bytes: int | None = None
        self._place: asyncio.Future[_Place] | None = None
        # Bounded by the attempts that the worker is given, as its jobs are.
        self._openings: dict[Key, asyncio.Task[None]] = {}
        self._kept: dict[Key, bytes] = {}
        self._filled: dict[Key, tuple[Blobs, NamedParts]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self,
        worker: str,
        session: str,
        blob_key: bytes | None,
        also: Mapping[str, type[BaseModel]],
    ) -> None:
        """Note what is known only when there is a line.

        Args:
            worker: the worker's name.
            session: its number for this start.
            blob_key: what blobs are sealed with, None if they are open.
            also: the user's own classes of message, by qualified name.
        """
        self._worker = worker
        self._session = session
        self._seal = BlobSeal(blob_key)
        self._also = also

    @property
    def keys(self) -> Iterator[Key]:
        """The attempts whose results may not be recorded yet, as task and number."""
        return iter(self._kept)

    @property
    def being_opened(self) -> Iterator[Key]:
        """The attempts whose assignments are being read, as task and number."""
        return (key for key, opening in self._openings.items() if not opening.done())

    # ------------------------------------------------------------------ the conversation

    def welcomed(self, threshold_bytes: int | None) -> None:
        """A conversation begins; what is kept is sent in it, again.

        Assignments of the one before that were not opened yet are given up: the manager knows,
        since they are not among those that the worker holds.

        Args:
            threshold_bytes: see `Welcome`.
        """
        self.break_off()
        self._threshold_bytes = threshold_bytes
        self._unqueue(self._kept)
        for key, message in self._kept.items():
            self._begin(self._wrap(key, message))

    def break_off(self) -> None:
        """The conversation is over."""
        for task in self._tasks:
            task.cancel()
        self._openings.clear()
        self._place = None

    def set_place(self, place: BlobPlace) -> None:
        """The manager tells where blobs are."""
        self._begin(self._try_place(place))

    async def clear(self) -> None:
        """Delete what was put for results that nobody will read any more: the run is over."""
        self.break_off()
        filled, self._filled = self._filled, {}
        with contextlib.suppress(BlobUnusable):
            for blobs, labelled in filled.values():
                await blobs.delete(*labelled.names)

    def close(self) -> None:
        """Begin nothing more."""
        self.break_off()
        self._threads.close()

    async def _try_place(self, place: BlobPlace) -> None:
        found = await self._look_at(place)
        answer = self._expected_place()
        if answer.done():
            answer = self._place = asyncio.get_running_loop().create_future()
        answer.set_result(found)

    async def _look_at(self, place: BlobPlace) -> _Place:
        if not place.url or place.probe is None:
            return _Place(None, place.reason)
        probe = place.probe
        try:
            store = await self._threads.run(partial(open_place, place.url))
            blobs = Blobs(store, self._seal, self._threads)
            await blobs.try_probe(probe)
        except BlobUnusable as fault:
            log.info("blobs are out of reach", worker=self._worker, reason=str(fault))
            self._post(BlobsReached(reached=False, reason=describe_fault(fault)))
            return _Place(None)
        self._post(BlobsReached(reached=True))
        return _Place(blobs)

    def _expected_place(self) -> asyncio.Future[_Place]:
        if self._place is None:
            self._place = asyncio.get_running_loop().create_future()
        return self._place

    async def _find_place(self) -> _Place:
        if self._place is None:
            self._post(BlobsWanted())
        answer = self._expected_place()
        await asyncio.wait({answer}, timeout=ANSWER_WITHIN_S)
        if not answer.done():
            answer.set_result(_Place(None))
        return answer.result()

    # ------------------------------------------------------------------ coming in

    def receive(self, parcel: Parcel) -> None:
        """Take in an assignment whose blobs are still to be read."""
        key = (parcel.task_id, parcel.attempt)
        if key not in self._openings:
            self._openings[key] = self._begin(self._open(key, parcel))

    def cancel(self, order: CancelTask) -> bool:
        """Stop an attempt that is not opened yet; False if there is none."""
        key = (order.task_id, order.attempt)
        opening = self._openings.pop(key, None)
        if opening is None:
            return False
        opening.cancel()
        self._report_result(self._failure(key, order.reason or "cancelled"))
        return True

    def give_back(self, keys: Iterable[Key]) -> list[Key]:
        """Let go of those attempts that are not opened yet; which they are."""
        given_back = [key for key in keys if key in self._openings]
        for key in given_back:
            self._openings.pop(key).cancel()
        return given_back

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
        place = await self._find_place()
        if place.blobs is None:
            raise BlobUnusable(place.fault or "this worker does not get to the blobs")
        async with self._unpacking:
            assignment = await place.blobs.open(parcel, self._also)
        if (
            not isinstance(assignment, TaskAssignment)
            or (assignment.task.id, assignment.attempt) != key
            or assignment.worker != parcel.worker
        ):
            raise DecodeError(Flaw.INVALID, "a parcel with something else in it than it says")
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
        """Whether an encoded result is to leave as a parcel."""
        return self._threshold_bytes is not None and len(message) > self._threshold_bytes

    def send(self, key: Key, message: bytes) -> None:
        """Send a large result, and keep it until the manager has recorded it.

        Args:
            key: the attempt, as task and number.
            message: its encoded result.
        """
        self._kept[key] = message
        self._begin(self._wrap(key, message))

    def recorded(self, word: ResultRecorded) -> None:
        """The manager has recorded a result."""
        self._kept.pop((word.task_id, word.attempt), None)
        self._filled.pop((word.task_id, word.attempt), None)

    async def _wrap(self, key: Key, message: bytes) -> None:
        task_id, attempt = key
        labelled = None
        try:
            labelled = await self._put(key, message)
        except Exception as fault:  # noqa: BLE001 - a blob store may be anybody's
            message = encode_message(self._failure(key, describe_fault(fault)))
        if labelled is None:
            # In a frame it arrives for good, as every other result does.
            self._kept.pop(key, None)
        else:
            message = encode_message(labelled.parcel(task_id, attempt, self._worker))
        self._queue(key, message)

    async def _put(self, key: Key, message: bytes) -> NamedParts | None:
        """Fill the blobs for a result; None if it is to go in a frame."""
        if self._threshold_bytes is None or not self.is_large(message):
            return None
        place = await self._find_place()
        if place.fault:
            raise BlobUnusable(place.fault)
        if place.blobs is None:
            return None
        # Of its own, so that no other's deletion takes it away before it is read.
        copy_of = f"{self._session}/{key[1]}/{key[0]!r}/{secrets.token_hex(8)}"
        blobs = place.blobs

        def note(labelled: NamedParts) -> None:
            self._filled[key] = (blobs, labelled)

        async with self._packing:
            return await blobs.label_and_put(message, self._threshold_bytes, copy_of, note)

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("a parcel could not be handled", worker=self._worker, exc_info=fault)
