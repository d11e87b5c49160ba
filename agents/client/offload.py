"""The client's side of large data: sends large tasks, and takes large results."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from functools import partial

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    BlobUnusable,
    DecodeError,
    Flaw,
    MessagePiece,
    MusterError,
    Parcel,
    PieceTaken,
    RequestParcel,
    ResultRecorded,
    TaskId,
    TaskResult,
    decode_message,
)
from ..blobs.offload import Blobs, BlobThreads, NamedParts
from ..blobs.pieces import PIECES_ABOVE_BYTES, PieceReceiver, PieceSender
from ..blobs.place_finder import PlaceFinder
from ..runtime.error_text import describe_fault
from ..runtime.log import log


class ClientOffload:
    """Sends large requests, and takes large results, by blobs if the client reaches the store.

    Otherwise they go in pieces through the manager. All of it belongs to one conversation: in the
    next one requests without a reply are sent again, and results are asked for again.

    Args:
        post: sends a message to the manager.
        take: takes a result.
        ask_again: asks the manager for the result of a task once more.
    """

    def __init__(
        self,
        *,
        post: Callable[[BaseModel], None],
        take: Callable[[TaskResult], None],
        ask_again: Callable[[TaskId], None],
    ) -> None:
        self._post = post
        self._take = take
        self._ask_again = ask_again
        self._session = ""
        self._threshold_bytes: int | None = None
        self._threads = BlobThreads()
        self._finder = PlaceFinder(post, self._threads)
        self._sender = PieceSender(post)
        self._receiver = PieceReceiver(post)
        # By the numbers of the requests that have no reply; at most one is on its way.
        self._written: dict[int, tuple[Blobs, NamedParts]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, client: str, session: str, blob_key: bytes | None) -> None:
        """Set what is known only when there is a connection.

        Args:
            client: the client's name.
            session: identifies this start of the client.
            blob_key: the key that seals blobs; None if they are not sealed.
        """
        self._session = session
        self._finder.begin(client, blob_key)

    def welcomed(self, threshold_bytes: int | None) -> None:
        """Begin a conversation.

        Args:
            threshold_bytes: see `Welcome`.
        """
        self.break_off()
        self._threshold_bytes = threshold_bytes
        self._sender = PieceSender(self._post)
        self._receiver = PieceReceiver(self._post)

    def break_off(self) -> None:
        """End the conversation."""
        for task in self._tasks:
            task.cancel()
        self._finder.forget()

    async def close(self) -> None:
        """Begin nothing more, delete what nobody will read, and stop the threads."""
        self.break_off()
        written, self._written = self._written, {}
        with contextlib.suppress(BlobUnusable):
            for blobs, parts in written.values():
                await blobs.delete(*parts.names)
        self._threads.close()

    def set_place(self, place: BlobPlace) -> None:
        """The manager tells where the blob store is."""
        self._begin(self._finder.take(place))

    # ------------------------------------------------------------------ coming in

    def receive(self, parcel: Parcel) -> None:
        """Read the blobs of a large result."""
        self._begin(self._open(parcel))

    def take_piece(self, piece: MessagePiece) -> None:
        """Take a piece of a large result."""
        message = self._receiver.take(piece)
        if message is not None:
            self._begin(self._decode(message))

    def pieces_taken(self, taken: PieceTaken) -> None:
        """The manager has taken pieces."""
        self._sender.taken(taken)

    async def _open(self, parcel: Parcel) -> None:
        try:
            place = await self._finder.find()
            if place.blobs is None:
                raise BlobUnusable(place.fault or "this client can't reach the blob store")
            result = await place.blobs.open(parcel, {})
            if not isinstance(result, TaskResult) or result.task_id != parcel.task_id:
                raise DecodeError(Flaw.INVALID, "blobs that do not hold what their message says")
        except MusterError as fault:
            # The manager still has the result, and sends it in pieces.
            log.warning("can't read a result from the blob store", reason=str(fault))
            self._finder.give_up(describe_fault(fault))
            self._ask_again(parcel.task_id)
            return
        self._post(ResultRecorded(task_id=parcel.task_id, attempt=parcel.attempt))
        self._take(result)

    async def _decode(self, message: bytes) -> None:
        result = await self._threads.run(partial(decode_message, message))
        if isinstance(result, TaskResult):
            self._take(result)

    # ------------------------------------------------------------------ going out

    def is_large(self, message: bytes) -> bool:
        """Whether an encoded request is sent by blobs or in pieces."""
        return self._threshold_bytes is not None and len(message) > max(
            self._threshold_bytes, PIECES_ABOVE_BYTES
        )

    def carry(self, number: int, message: bytes) -> None:
        """Send a large request.

        Args:
            number: its number.
            message: the encoded request.
        """
        self._begin(self._send(number, message))

    def replied(self, number: int) -> None:
        """The manager has replied to a request: it has read the blobs, and deletes them."""
        self._written.pop(number, None)

    async def _send(self, number: int, message: bytes) -> None:
        try:
            parts = await self._put(number, message)
        except BlobUnusable as fault:
            log.warning("can't write tasks to the blob store", reason=str(fault))
            self._finder.give_up(describe_fault(fault))
            parts = None
        if parts is None:
            await self._sender.send(message)
            return
        cuts = tuple(zip(parts.parts.places, parts.names, strict=True))
        self._post(RequestParcel(number=number, skeleton=parts.parts.skeleton, cuts=cuts))

    async def _put(self, number: int, message: bytes) -> NamedParts | None:
        assert self._threshold_bytes is not None
        blobs = (await self._finder.find()).blobs
        if blobs is None:
            return None
        # A copy of its own, so that deleting an equal blob never deletes it before it is read.
        copy_of = f"{self._session}/{number}/{secrets.token_hex(8)}"

        def note(parts: NamedParts) -> None:
            self._written[number] = (blobs, parts)

        return await blobs.split_and_put(message, self._threshold_bytes, copy_of, note)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("could not send or take large data", exc_info=fault)
