"""A client's requests and the results it waits for, which outlive its connections."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel

from ...messages import (
    MAX_TASKS_AT_ONCE,
    AwaitTasks,
    BacklogFull,
    ClientHello,
    EncodeError,
    Goodbye,
    Heartbeat,
    JoinRefused,
    ManagerReply,
    ManagerRequest,
    MusterError,
    Payload,
    Refusal,
    RunEnded,
    Shutdown,
    SubmitTasks,
    Task,
    TaskId,
    TaskResult,
    Welcome,
    WrongSecret,
    encode_message,
)
from ...messages.client import ManagerMethod
from ...messages.codec import encode_task, pack_task
from ...messages.frame import EVERYONE
from ..execution.held_slots import OverdueAttempt
from ..kernel.security.seal import Seal
from ..runtime.loop_watch import LoopWatch
from ..submission.result_source import Outcome, Settle, call_in
from ..transport.endpoint import Endpoint
from ..transport.link import Link
from ..worker.manager_session import Connect, ManagerSession
from ..worker.session_holder import SessionHolder
from .replies import error_of, read_unknown

SETTLE_TIMEOUT_S = 2.0
"""How long a client that leaves waits until its last messages are acknowledged."""

RESEND_AFTER_S = 0.05
"""How long a client waits before it sends more to a manager that has not read the last yet."""

Request: TypeAlias = SubmitTasks | AwaitTasks | ManagerRequest
Replied: TypeAlias = Callable[[Payload | MusterError], None]


class ClientConversation(SessionHolder):
    """Drives one client, over one connection after the other.

    Each request is repeated until a reply arrives, also after the connection or the manager was
    lost, and has one effect. The results of tasks that were added are asked for again.

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
        self._numbers = itertools.count(1)
        # Requests without a reply, in the order of their numbers.
        self._requests: dict[int, tuple[bytes, Replied]] = {}
        self._unsent: dict[int, None] = {}
        self._waiting: dict[TaskId, tuple[Settle, ...]] = {}
        # The tasks that the manager is known to have.
        self._added: set[TaskId] = set()
        self._end_listeners: set[Callable[[MusterError], None]] = set()
        self._fault: MusterError | None = None

    # ------------------------------------------------------------------ tasks and results

    def add(
        self, tasks: Sequence[Task], settle: Settle, added: Callable[[], None] = lambda: None
    ) -> None:
        """Submit tasks, from any thread; see `ResultSource`.

        What the manager says against them is their outcome.

        Args:
            tasks: the tasks.
            settle: called with the outcome of each.
            added: called when the manager has added them.
        """
        packed = tuple(map(_encode, tasks))
        self._call(lambda: self._add([task.id for task in tasks], packed, settle, added))

    def wait_for(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        """Call a function with the outcome of tasks that were submitted before, from any thread."""
        self._call(lambda: self._wait_for(task_ids, settle))

    def stop_waiting(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        """Do not call a function any more with the outcome of tasks, from any thread."""
        self._call(lambda: [self._stop_waiting(task_id, settle) for task_id in task_ids])

    def listen(self, listener: Callable[[MusterError], None]) -> None:
        """Call a function when no more results will come; at once if that is so already."""
        self._call(lambda: self._listen(listener))

    def unlisten(self, listener: Callable[[MusterError], None]) -> None:
        """Do not call a function any more that `listen` was called with."""
        self._call(lambda: self._end_listeners.discard(listener))

    def ask(self, method: ManagerMethod, arguments: dict[str, Payload], replied: Replied) -> None:
        """Ask the manager for something, from any thread; `replied` is called in this loop."""
        self._call(
            lambda: self._request(
                ManagerRequest(number=next(self._numbers), method=method, arguments=arguments),
                replied,
            )
        )

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if loop is None:
            raise RunEnded("the client is not connected; use it inside `async with`")
        call_in(loop, function)

    def _add(
        self,
        task_ids: Sequence[TaskId],
        packed: tuple[bytes, ...],
        settle: Settle,
        added: Callable[[], None],
    ) -> None:
        if self._fault is not None:
            self._settle_all(task_ids, self._fault, settle)
            return
        for task_id in task_ids:
            self._wait(task_id, settle)
        request = SubmitTasks(number=next(self._numbers), tasks=packed)
        self._request(request, partial(self._submitted, task_ids, settle, added))

    def _submitted(
        self,
        task_ids: Sequence[TaskId],
        settle: Settle,
        added: Callable[[], None],
        reply: Payload | MusterError,
    ) -> None:
        if isinstance(reply, MusterError):
            for task_id in task_ids:
                self._stop_waiting(task_id, settle)
            self._settle_all(task_ids, reply, settle)
        else:
            # Some may be settled already.
            self._added.update(task_id for task_id in task_ids if task_id in self._waiting)
            added()

    def _wait_for(self, task_ids: Sequence[TaskId], settle: Settle) -> None:
        if self._fault is not None:
            self._settle_all(task_ids, self._fault, settle)
            return
        for task_id in task_ids:
            self._wait(task_id, settle)
        self._await(task_ids)

    def _await(self, task_ids: Sequence[TaskId]) -> None:
        for start in range(0, len(task_ids), MAX_TASKS_AT_ONCE):
            part = tuple(task_ids[start : start + MAX_TASKS_AT_ONCE])
            request = AwaitTasks(number=next(self._numbers), task_ids=part)
            self._request(request, partial(self._awaited, part))

    def _awaited(self, task_ids: Sequence[TaskId], reply: Payload | MusterError) -> None:
        if isinstance(reply, MusterError):
            for task_id in task_ids:
                self._take(task_id, reply)
            return
        unknown = dict(map(read_unknown, reply))
        for task_id in task_ids:
            if task_id in unknown:
                self._take(task_id, unknown[task_id])
            elif task_id in self._waiting:
                self._added.add(task_id)

    def _wait(self, task_id: TaskId, settle: Settle) -> None:
        self._waiting[task_id] = (*self._waiting.get(task_id, ()), settle)

    def _stop_waiting(self, task_id: TaskId, settle: Settle) -> None:
        left = list(self._waiting.pop(task_id, ()))
        if settle in left:
            left.remove(settle)
        if left:
            self._waiting[task_id] = tuple(left)
        else:
            self._added.discard(task_id)

    def _take(self, task_id: TaskId, outcome: Outcome) -> None:
        self._added.discard(task_id)
        for settle in self._waiting.pop(task_id, ()):
            settle(task_id, outcome)

    @staticmethod
    def _settle_all(task_ids: Iterable[TaskId], outcome: Outcome, settle: Settle) -> None:
        for task_id in task_ids:
            settle(task_id, outcome)

    def _listen(self, listener: Callable[[MusterError], None]) -> None:
        if self._fault is None:
            self._end_listeners.add(listener)
        else:
            listener(self._fault)

    # ------------------------------------------------------------------ requests

    def _request(self, request: Request, replied: Replied) -> None:
        if self._fault is not None:
            replied(self._fault)
            return
        try:
            message = encode_message(request)
        except EncodeError as fault:
            replied(fault)
            return
        self._requests[request.number] = message, replied
        self._unsent[request.number] = None
        self._send()

    def _send(self) -> None:
        session = self._manager_session
        if session is None or not session.is_member or session.manager is None:
            return
        while self._unsent:
            number = next(iter(self._unsent))
            try:
                session.endpoint.post_encoded(session.manager, self._requests[number][0])
            except BacklogFull:
                asyncio.get_running_loop().call_later(RESEND_AFTER_S, self._send)
                return
            del self._unsent[number]

    def _replied(self, reply: ManagerReply) -> None:
        _, replied = self._requests.pop(reply.number, (b"", None))
        self._unsent.pop(reply.number, None)
        if replied is not None:
            replied(error_of(reply.error_kind, reply.error) if reply.error_kind else reply.value)

    # ------------------------------------------------------------------ life cycle

    @property
    def is_over(self) -> bool:
        """Whether the client is to end."""
        return self._ended.is_set()

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

    def leave(self) -> None:
        """Say goodbye; the tasks that were submitted go on."""
        if self._manager_session is not None and not self._ended.is_set():
            self._manager_session.post(Goodbye(reason="done"))
        self.end(RunEnded("the client was closed before the task was settled"))

    def end(self, fault: MusterError) -> None:
        """Tell all who wait that no more results will come."""
        self._ended.set()
        if self._fault is not None:
            return
        self._fault = fault
        for task_id in tuple(self._waiting):
            self._take(task_id, fault)
        requests, self._requests = self._requests, {}
        for _, replied in requests.values():
            replied(fault)
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
        self._send()

    # ------------------------------------------------------------------ receiving

    def _arrived(self, sender: str, message: BaseModel) -> None:
        session = self._manager_session
        if session is None:
            return
        match message:
            case Welcome():
                self._welcomed(session, sender, message)
            case Refusal() if message.worker_session == self.session_id:
                if not self.joined.is_set():
                    self._fail(JoinRefused(message.reason))
            case _ if sender != session.manager:
                pass
            case TaskResult():
                self._take(message.task_id, message)
            case ManagerReply():
                self._replied(message)
            case Shutdown():
                self.end(RunEnded(f"the run ended before the task was settled: {message.reason}"))
            case _:
                pass

    def _welcomed(self, session: ManagerSession, sender: str, welcome: Welcome) -> None:
        if session.changes_nothing(sender, welcome):
            return
        if session.is_from_another_manager(sender, welcome):
            session.end()
        session.begin(sender, welcome)
        # All that has no reply is sent again, and results that were lost are asked for.
        self._unsent = dict.fromkeys(self._requests)
        if self._added:
            self._await(tuple(self._added))
        self._send()
        self.joined.set()

    def _fail(self, fault: MusterError) -> None:
        self.failure = fault
        self.end(fault)


def _encode(task: Task) -> bytes:
    # `pack_task` names the field that can't be sent.
    return pack_task(task) or encode_task(task)


def _name_no_task(_: asyncio.Task[object]) -> None:
    """A client's own asyncio tasks need no further names."""
