"""The large results and tasks of a manager's clients: by blobs, or in pieces."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from pydantic import BaseModel

from ...messages import (
    BlobsReached,
    BlobsWanted,
    DecodeError,
    EncodeError,
    MessagePiece,
    MusterError,
    PieceTaken,
    RequestParcel,
    ResultRecorded,
    SubmitTasks,
    TaskId,
    TaskResult,
    decode_message,
    encode_message,
)
from ..blobs.manager_offload import ManagerOffload
from ..blobs.pieces import PIECES_ABOVE_BYTES, PieceReceiver, PieceSender
from ..runtime.log import log
from ..runtime.timeouts import within


@dataclass(slots=True)
class _Transfers:
    """The transfers from and to one client.

    Args:
        sender: sends it results in pieces.
        receiver: joins its requests.
        waiting: the results that are to be sent, in order; bounded by the tasks that it waits for.
        unread: the tasks whose results it is reading from blobs.
        running: what is under way.
        sending: sends what is waiting.
    """

    sender: PieceSender
    receiver: PieceReceiver
    waiting: deque[tuple[TaskResult, bytes | None]] = field(default_factory=deque)
    unread: set[TaskId] = field(default_factory=set)
    running: set[asyncio.Task[None]] = field(default_factory=set)
    sending: asyncio.Task[None] | None = None


class ClientTransfers:
    """Sends large results to clients, and takes their large requests.

    Results are encoded in threads, one at a time for each client, so that the others wait for none
    of it and the memory for copies is bounded.

    Args:
        offload: reads and writes blobs.
        post: sends a message to a client.
        post_encoded: sends an encoded one.
        arrived: takes the sender and a request that has arrived as a whole.
        refuse: tells a client that a request failed, by its number.
    """

    def __init__(
        self,
        offload: ManagerOffload,
        *,
        post: Callable[[str, BaseModel], None],
        post_encoded: Callable[[str, bytes], None],
        arrived: Callable[[str, SubmitTasks], None],
        refuse: Callable[[str, int, MusterError], None],
    ) -> None:
        self._offload = offload
        self._post = post
        self._post_encoded = post_encoded
        self._arrived = arrived
        self._refuse = refuse
        # By address; bounded by the clients that are connected.
        self._transfers: dict[str, _Transfers] = {}
        self._progress = asyncio.Event()

    @property
    def threshold_bytes(self) -> int | None:
        """See `Welcome`."""
        return self._offload.threshold_bytes

    def drop(self, address: str) -> None:
        """Forget a client that is gone, or begins a new conversation."""
        transfers = self._transfers.pop(address, None)
        if transfers is None:
            return
        for task in transfers.running:
            task.cancel()
        for task_id in transfers.unread:
            self._offload.confirm((address, task_id))
        self._offload.forget_worker(address)
        self._progress.set()

    async def settle(self, timeout_s: float) -> None:
        """Wait until the clients have their large results, or that takes too long."""
        with contextlib.suppress(asyncio.TimeoutError):
            await within(timeout_s, self._settle())

    async def _settle(self) -> None:
        while any(each.sending is not None or each.unread for each in self._transfers.values()):
            self._progress.clear()
            await self._progress.wait()

    # ------------------------------------------------------------------ results

    def take_large(self, address: str, result: TaskResult) -> bool:
        """Send a result, if it is so large that it is to be encoded elsewhere; else False."""
        limit_bytes = self._offload.threshold_bytes
        if limit_bytes is None or not _is_longer(result.output, limit_bytes):
            return False
        self._send(address, result, None)
        return True

    def take_encoded(self, address: str, result: TaskResult, encoded: bytes) -> bool:
        """Send an encoded result, if it is too long for a frame; else False."""
        if not self._offload.is_large(encoded):
            return False
        self._send(address, result, encoded)
        return True

    def _send(self, address: str, result: TaskResult, encoded: bytes | None) -> None:
        transfers = self._of(address)
        transfers.waiting.append((result, encoded))
        if transfers.sending is None:
            transfers.sending = self._begin(transfers, self._send_all(address, transfers))

    async def _send_all(self, address: str, transfers: _Transfers) -> None:
        try:
            while transfers.waiting:
                await self._send_one(address, transfers, *transfers.waiting.popleft())
        finally:
            transfers.sending = None
            self._progress.set()

    async def _send_one(
        self, address: str, transfers: _Transfers, result: TaskResult, encoded: bytes | None
    ) -> None:
        try:
            if encoded is None:
                encoded = await self._offload.run(partial(encode_message, result))
        except EncodeError as fault:
            error = f"EncodeError: {fault}"
            update = {"success": False, "output": None, "error_message": error}
            self._post(address, result.model_copy(update=update))
            return
        holder = (address, result.task_id)
        # It may have been sent before, and not been read.
        self._offload.confirm(holder)
        transfers.unread.add(result.task_id)
        parcel = await self._offload.put_result(address, result, encoded, holder)
        if parcel is not None:
            self._post(address, parcel)
            return
        if len(encoded) > PIECES_ABOVE_BYTES:
            await transfers.sender.send(encoded)
        else:
            self._post_encoded(address, encoded)
        self._read(address, transfers, result.task_id)

    def _read(self, address: str, transfers: _Transfers, task_id: TaskId) -> None:
        transfers.unread.discard(task_id)
        self._offload.confirm((address, task_id))
        self._progress.set()

    # ------------------------------------------------------------------ what clients send

    def arrived(self, address: str, message: BaseModel) -> None:
        """Take what a client sends about large data; ignore any other message."""
        transfers = self._of(address)
        match message:
            case BlobsWanted():
                self._offload.wanted(address)
            case BlobsReached():
                self._offload.reached(address, message)
            case ResultRecorded():
                self._read(address, transfers, message.task_id)
            case PieceTaken():
                transfers.sender.taken(message)
            case MessagePiece():
                whole = transfers.receiver.take(message)
                if whole is not None:
                    self._begin(transfers, self._decode(address, whole))
            case RequestParcel():
                self._begin(transfers, self._open(address, message))
            case _:
                pass

    async def _decode(self, address: str, whole: bytes) -> None:
        try:
            request = await self._offload.run(partial(decode_message, whole))
        except DecodeError as fault:
            log.warning("can't read a client's request", address=address, reason=str(fault))
            return
        if isinstance(request, SubmitTasks):
            self._arrived(address, request)

    async def _open(self, address: str, parcel: RequestParcel) -> None:
        try:
            request = await self._offload.open_request(parcel)
        except MusterError as fault:
            self._refuse(address, parcel.number, fault)
            return
        if isinstance(request, SubmitTasks) and request.number == parcel.number:
            self._arrived(address, request)

    def _of(self, address: str) -> _Transfers:
        transfers = self._transfers.get(address)
        if transfers is None:
            post = partial(self._post, address)
            transfers = _Transfers(PieceSender(post), PieceReceiver(post))
            self._transfers[address] = transfers
        return transfers

    def _begin(
        self, transfers: _Transfers, work: Coroutine[object, object, None]
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        transfers.running.add(task)

        def end(_: object) -> None:
            transfers.running.discard(task)
            if not task.cancelled() and (fault := task.exception()) is not None:
                log.error("could not send or take the large data of a client", exc_info=fault)

        task.add_done_callback(end)
        return task


def _is_longer(value: object, limit: int) -> bool:
    """Whether a value has so many characters and values; looks at no more of it than that."""
    left = limit
    waiting: list[object] = [value]
    while waiting and left >= 0:
        each = waiting.pop()
        if isinstance(each, str | bytes):
            left -= len(each)
        elif isinstance(each, dict | list | tuple):
            inner = cast("dict[object, object] | Sequence[object]", each)
            left -= len(inner)
            if left >= 0:
                waiting += inner.values() if isinstance(inner, dict) else inner
    return left < 0
