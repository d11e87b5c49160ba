"""A client's requests and the results it waits for, which outlive its connections."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from ...messages import (
    BlobPlace,
    ClientHello,
    Goodbye,
    Heartbeat,
    JoinRefused,
    ManagerReplaced,
    ManagerReply,
    MessagePiece,
    MusterError,
    Parcel,
    Payload,
    PieceTaken,
    Refusal,
    RunEnded,
    Shutdown,
    Task,
    TaskId,
    TaskResult,
    Welcome,
    WrongSecret,
)
from ...messages.client import ManagerMethod
from ...messages.codec import encode_whole_task
from ...messages.frame import EVERYONE
from ..execution.held_slots import OverdueAttempt
from ..kernel.delivery.manager_presence import Welcomed
from ..kernel.security.seal import Seal
from ..runtime.loop_watch import LoopWatch
from ..submission.result_source import Settle, call_in
from ..transport.endpoint import Endpoint
from ..transport.link import Link
from ..worker.manager_requests import ManagerRequests, Replied
from ..worker.manager_session import Connect, ManagerSession
from ..worker.session_holder import SessionHolder
from .offload import ClientOffload

MAX_REQUEST_BYTES = 32 * 1024 * 1024
"""Up to how many bytes of tasks are added by one message."""

SETTLE_TIMEOUT_S = 2.0
"""How long a client that leaves waits until its last messages are acknowledged."""


class ClientConversation(SessionHolder):
    """Drives one client, over one connection after the other.

    Its requests, and the results that it waits for, outlive the connections; see `ManagerRequests`.

    Args:
        name: the client's name.
        can_dial_again: whether a connection that is given up can be replaced.
        is_ticket_outdated: whether the manager is now reached by another ticket.
    """

    def __init__(
        self,
        name: str,
        can_dial_again: Callable[[], bool],
        is_ticket_outdated: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.name = name
        self.session_id = secrets.token_hex(8)
        self.can_dial_again = can_dial_again
        self.is_ticket_outdated = is_ticket_outdated
        self.joined = asyncio.Event()
        self.failure: MusterError | None = None
        """Why the client could not join."""
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls = itertools.count(1)
        self._offload = ClientOffload(
            post=self._post,
            take=self._take,
            ask_again=self._ask_again,
        )
        self._requests = ManagerRequests(self._offload)
        self._end_listeners: set[Callable[[MusterError], None]] = set()

    # ------------------------------------------------------------------ tasks and results

    def add(self, tasks: Sequence[Task], settle: Settle) -> None:
        """Submit tasks, from any thread; see `ResultSource`.

        What the manager says against them is their outcome. Those that are too long for one message
        are added by several, and a refusal concerns those of its message.
        """
        for task_ids, packed in _split([(task.id, encode_whole_task(task)) for task in tasks]):
            self._call(partial(self._requests.add, task_ids, packed, settle))

    def add_only(self, tasks: Sequence[Task], replied: Replied) -> None:
        """Submit tasks whose results are not wanted; `replied` is called when they are added."""
        packed = tuple(map(encode_whole_task, tasks))
        self._call(lambda: self._requests.add_only(packed, replied))

    def wait_for(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        """Call a function with the outcome of tasks that were submitted before, from any thread."""
        self._call(lambda: self._requests.wait_for(task_ids, settle))

    def stop_waiting(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        """Do not call a function any more with the outcome of tasks, from any thread."""
        self._call(lambda: self._requests.stop_waiting(task_ids, settle))

    def listen(self, listener: Callable[[MusterError], None]) -> None:
        """Call a function when no more results will come; at once if that is so already."""
        self._call(lambda: self._listen(listener))

    def unlisten(self, listener: Callable[[MusterError], None]) -> None:
        """Do not call a function any more that `listen` was called with."""
        self._call(lambda: self._end_listeners.discard(listener))

    def ask(self, method: ManagerMethod, arguments: dict[str, Payload], replied: Replied) -> None:
        """Ask the manager for something, from any thread; `replied` is called in this loop."""
        self._call(lambda: self._requests.ask(method, arguments, replied))

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is None:
            raise RunEnded("the client is not connected; use it inside `async with`")
        call_in(loop, function)

    def _listen(self, listener: Callable[[MusterError], None]) -> None:
        if self._requests.fault is None:
            self._end_listeners.add(listener)
        else:
            listener(self._requests.fault)

    # ------------------------------------------------------------------ life cycle

    @property
    def is_over(self) -> bool:
        """Whether the client is to end."""
        return self._ended.is_set()

    @property
    def is_connected(self) -> bool:
        """Whether a manager has accepted the client, and answers."""
        session = self._manager_session
        return session is not None and session.is_member and not self.is_over

    @property
    def waiting_count(self) -> int:
        """How many tasks it waits for."""
        return self._requests.waiting_count

    def open(self) -> None:
        """Take requests from now on, in the running loop."""
        self._loop = asyncio.get_running_loop()

    async def run(self, link: Link, seal: Seal | None, connect: Connect | None) -> None:
        """Converse over one connection; return at the end, or when it is to be replaced.

        Args:
            link: the way into the workspace.
            seal: encrypts and decrypts frames; None leaves them unencrypted.
            connect: asks the manager for a direct connection; None sends all frames by the link.
        """
        endpoint = Endpoint(
            link, listens_to=frozenset({EVERYONE}), arrived=self._arrived, also={}, seal=seal
        )
        session = self._manager_session = ManagerSession(
            self,
            self.name,
            self.session_id,
            endpoint,
            hello=lambda call: ClientHello(name=self.name, session=self.session_id, call=call),
            calls=self._calls,
            former=self._manager_session,
        )
        self._offload.begin(self.name, self.session_id, None if seal is None else seal.blob_key)
        watch = LoopWatch.begin(_name_no_task)
        background: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(endpoint.run()),
            asyncio.ensure_future(session.keep_in_touch(watch)),
            asyncio.ensure_future(self._ended.wait()),
        ]
        if connect is not None:
            background.append(asyncio.ensure_future(session.keep_connected_directly(connect)))
        try:
            done, _ = await asyncio.wait(background, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            if self._ended.is_set():
                await endpoint.settle(SETTLE_TIMEOUT_S)
        finally:
            watch.end(_name_no_task)
            for future in background:
                future.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            endpoint.close_direct_connections()
            session.end()
            self._offload.break_off()
            if self._ended.is_set():
                await self._offload.close()

    def _post(self, message: BaseModel) -> None:
        if self._manager_session is not None:
            self._manager_session.post(message)

    def _take(self, result: TaskResult) -> None:
        self._requests.take(result.task_id, result)

    def _ask_again(self, task_id: TaskId) -> None:
        self._requests.ask_again(task_id)

    def leave(self) -> None:
        """Say goodbye; the tasks that were submitted go on."""
        if self._manager_session is not None and not self._ended.is_set():
            self._manager_session.post(Goodbye(reason="done"))
        self.end(RunEnded("the client was closed before the task was settled"))

    def end(self, fault: MusterError) -> None:
        """Tell all who wait that no more results will come."""
        self._ended.set()
        if self._requests.fault is not None:
            return
        self._requests.end(fault)
        listeners, self._end_listeners = self._end_listeners, set()
        for listener in listeners:
            listener(fault)

    # ------------------------------------------------------------------ for the manager session

    def heartbeat(self) -> Heartbeat:
        """The heartbeat to send: a client runs no attempts."""
        return Heartbeat()

    def overdue(self) -> Iterable[OverdueAttempt]:
        """The attempts that were cancelled and still run: a client has none."""
        return ()

    def refused(self, reason: str) -> None:
        """End, since the seal can't get into the workspace; ignored once it has ever joined."""
        if not self.joined.is_set():
            self._fail(WrongSecret(f"client {self.name!r}: {reason}"))

    def send_results(self) -> None:
        """Send what waits."""
        self._requests.send()

    # ------------------------------------------------------------------ receiving

    def _arrived(self, sender: str, message: BaseModel) -> None:
        session = self._manager_session
        if session is None:
            return
        if type(message) is TaskResult and sender == session.manager:
            # Most messages are results; matching pydantic's classes below takes longer.
            self._take(message)
            return
        match message:
            case Welcome():
                self._welcomed(session, sender, message)
            case Refusal() if message.worker_session == self.session_id:
                if not self.joined.is_set():
                    self._fail(JoinRefused(message.reason))
            case ManagerReplaced():
                session.note_replaced(sender, message)
            case _ if sender != session.manager:
                pass
            case ManagerReply():
                self._offload.replied(message.number)
                self._requests.replied(message)
            case Parcel():
                self._offload.receive(message)
            case MessagePiece():
                self._offload.take_piece(message)
            case PieceTaken():
                self._offload.pieces_taken(message)
            case BlobPlace():
                self._offload.set_place(message)
            case Shutdown():
                self.end(RunEnded(f"the run ended before the task was settled: {message.reason}"))
            case _:
                pass

    def _welcomed(self, session: ManagerSession, sender: str, welcome: Welcome) -> None:
        welcomed = session.judge(sender, welcome)
        if welcomed is Welcomed.NOTHING:
            return
        if welcomed is Welcomed.ANOTHER:
            session.end()
        session.begin(sender, welcome)
        self._offload.welcomed(welcome.blob_threshold_bytes)
        self._requests.resume(session)
        self.joined.set()

    def _fail(self, fault: MusterError) -> None:
        self.failure = fault
        self.end(fault)


def _split(
    tasks: list[tuple[TaskId, bytes]],
) -> Iterator[tuple[list[TaskId], tuple[bytes, ...]]]:
    """Divide encoded tasks into messages of at most `MAX_REQUEST_BYTES`, or one long task."""
    start = size_bytes = 0
    for end, (_, packed) in enumerate(tasks):
        if start < end and size_bytes + len(packed) > MAX_REQUEST_BYTES:
            yield _ids_and_packed(tasks[start:end])
            start, size_bytes = end, 0
        size_bytes += len(packed)
    yield _ids_and_packed(tasks[start:])


def _ids_and_packed(
    tasks: list[tuple[TaskId, bytes]],
) -> tuple[list[TaskId], tuple[bytes, ...]]:
    return [task_id for task_id, _ in tasks], tuple([packed for _, packed in tasks])


def _name_no_task(_: asyncio.Task[object]) -> None:
    """A client's own asyncio tasks need no further names."""
