"""Drives one worker: takes what its manager sends, runs it, and returns the results.

A thin shell: it decides nothing about tasks. It outlives connections: when one breaks it goes on
with its attempts, and sends their results by the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from pydantic import BaseModel

from ...messages import (
    AskAboutAttempts,
    AttemptResumed,
    AttemptSuspended,
    BlobPlace,
    CancelTask,
    ChangeGrant,
    EncodeError,
    Goodbye,
    Heartbeat,
    Hello,
    JoinRefused,
    ManagerReplaced,
    ManagerReply,
    Parcel,
    PartsTaken,
    RecallTasks,
    Refusal,
    ResultRecorded,
    ReturnTasks,
    Shutdown,
    TaskAssignment,
    TaskId,
    TaskResult,
    Welcome,
    WorkerProfile,
    WrongSecret,
    encode_message,
)
from ...messages.frame import EVERYONE
from ...messages.functions import WorkerFunctions
from ..blobs.worker_offload import WorkerOffload
from ..execution.held_slots import OverdueAttempt
from ..execution.part_sender import PartSenders
from ..execution.task_runner import TaskRunner
from ..kernel.delivery.manager_presence import Welcomed
from ..kernel.security.seal import Seal
from ..runtime.error_text import MAX_ERROR_CHARACTERS
from ..runtime.loop_watch import LoopWatch
from ..transport.endpoint import Endpoint
from ..transport.link import Link
from .departure import Departure
from .history import TaskHistory
from .hooks import Around, WorkerHooks
from .manager_requests import ManagerRequests
from .manager_session import Connect, ManagerSession
from .outbox import ResultOutbox
from .session_holder import SessionHolder

SETTLE_TIMEOUT_S = 2.0
"""How long a worker that stops waits until its last messages are acknowledged."""


class WorkerShell(SessionHolder):
    """Drives one worker, over one connection after the other.

    Args:
        hooks: the agent that performs the tasks.
    """

    def __init__(self, hooks: WorkerHooks) -> None:
        super().__init__()
        self._hooks = hooks
        self._runner: TaskRunner | None = None
        self._around: Around | None = None
        self._outbox = ResultOutbox()
        self._requests = ManagerRequests()
        self._offload = WorkerOffload(
            post=self._post,
            take=self._take,
            report_result=self._report_result,
            queue=self._queue_result,
            unqueue=self._outbox.discard,
        )
        self._parts = PartSenders(self._post_part)
        self._ended = asyncio.Event()
        self._failure: JoinRefused | WrongSecret | None = None
        self._worker = self.session_id = ""
        self._profile: WorkerProfile | None = None
        self._calls = itertools.count(1)
        self._was_member = self._was_dismissed = False
        self._departure = Departure(self, self._post)
        self.joined = asyncio.Event()
        self.farewell = ""
        self.history = TaskHistory()

    @property
    def running(self) -> list[TaskAssignment]:
        """The assignments that are running."""
        return [] if self._runner is None else self._runner.running

    @property
    def has_begun(self) -> bool:
        """Whether it has begun to look for its manager."""
        return self._runner is not None

    @property
    def is_member(self) -> bool:
        """Whether a manager has accepted this worker, and answers."""
        return self._manager_session is not None and self._manager_session.is_member

    @property
    def is_leaving(self) -> bool:
        """Whether it begins no more tasks, since it is about to leave."""
        return self._departure.has_begun

    @property
    def is_over(self) -> bool:
        """Whether the worker is to stop; otherwise, after `run`, it needs another connection."""
        return self._ended.is_set()

    # ------------------------------------------------------------------ life cycle

    async def run(
        self,
        link: Link,
        profile: WorkerProfile,
        also: dict[str, type[BaseModel]] | None = None,
        session: str = "",
        seal: Seal | None = None,
        *,
        connect: Connect | None = None,
    ) -> None:
        """Join, work, and return when the manager shuts down or `leave` was called.

        It also returns, while its attempts go on, when the connection has become useless and can be
        replaced: then call it again with another link.

        Args:
            link: the way into the workspace.
            profile: what it tells about itself; the same each time.
            also: the user's own message classes, by qualified name.
            session: identifies this start; a random number if empty.
            seal: seals and opens frames; None leaves them unsealed.
            connect: asks the manager for a direct connection; None sends all frames by the link.

        Raises:
            JoinRefused: the manager refuses this worker.
            WrongSecret: the manager and this worker do not share a secret.
        """
        self.session_id = self.session_id or session or secrets.token_hex(8)
        self._worker, self._profile = profile.name, profile
        runner = self._runner or self._make_runner(profile)
        self._runner = runner
        endpoint = Endpoint(
            link,
            listens_to=frozenset({EVERYONE}),
            arrived=self._arrived,
            also=also or {},
            seal=seal,
        )
        manager_session = self._manager_session = ManagerSession(
            self,
            profile.name,
            self.session_id,
            endpoint,
            hello=self._greeting,
            calls=self._calls,
            former=self._manager_session,
        )
        self._outbox.use(manager_session)
        blob_key = None if seal is None else seal.blob_key
        self._offload.begin(profile.name, self.session_id, blob_key, also or {})
        watch = LoopWatch.begin(runner.name_of)
        background: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(endpoint.run()),
            asyncio.ensure_future(manager_session.keep_in_touch(watch)),
            asyncio.ensure_future(self._ended.wait()),
        ]
        if connect is not None:
            background += [asyncio.ensure_future(manager_session.keep_connected_directly(connect))]
        is_given_up = False
        try:
            done, _ = await asyncio.wait(background, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            is_given_up = not self._ended.is_set()
            if not is_given_up:
                await runner.stop()
                self._outbox.send()
                await endpoint.settle(SETTLE_TIMEOUT_S)
                if self._was_dismissed:
                    await self._offload.clear()
        finally:
            watch.end(runner.name_of)
            if not is_given_up:
                runner.drop()
                self._offload.close()
            for future in background:
                future.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._end_conversation(manager_session)
        if self._failure is not None:
            raise self._failure

    def surround(self, around: Around) -> None:
        """Have a function called around each task that is performed; call this before `run`."""
        self._around = around

    def introduce(self, profile: WorkerProfile) -> None:
        """Tell the manager another profile, in a new conversation; attempts go on."""
        session, self._profile = self._manager_session, profile
        if session is not None and session.is_member:
            self._end_conversation(session)
            session.greet_again()

    async def drain(self, grace_s: float, reason: str) -> None:
        """Begin no more tasks, finish those that run, and leave.

        What has not begun goes back to the manager at once.

        Args:
            grace_s: for how long those that run go on at most, in seconds; then they are stopped.
            reason: why, for the manager.
        """
        await self._departure.finish(grace_s)
        if self._runner is not None and not self.is_over:
            # Before the goodbye, or another worker might begin what still runs here.
            await self._runner.stop()
        self.leave(reason)

    def leave(self, reason: str) -> None:
        """Stop: say goodbye, so that the manager reassigns unfinished tasks at once."""
        if self.manager_address and not self._ended.is_set():
            self._outbox.send()
            self._post(Goodbye(reason=reason))
        self.farewell = self.farewell or reason
        self._ended.set()

    def _make_runner(self, profile: WorkerProfile) -> TaskRunner:
        perform = self._hooks.perform
        if self._around is not None:
            perform = partial(self._around, perform)
        return TaskRunner(
            profile.name,
            profile.slots,
            perform,
            self._report_result,
            self._post,
            sends_tracebacks=self._hooks.send_tracebacks,
            senders=self._parts,
            report_state=self._report_state,
            calls=self._requests,
        )

    def _greeting(self, call: int) -> Hello:
        holding = tuple(dict.fromkeys(self.held_keys))
        return Hello.of(self._profile, session=self.session_id, call=call, holding=holding)

    def _end_conversation(self, session: ManagerSession) -> None:
        self._offload.break_off()
        self._outbox.take_back()
        session.end()

    # ------------------------------------------------------------------ for the manager session

    @property
    def held_keys(self) -> Iterator[tuple[TaskId, int]]:
        """The attempts that run here, or whose results may not be recorded yet."""
        if self._runner is not None:
            yield from self._runner.keys
        yield from self._outbox.keys()
        yield from self._offload.keys

    def take_unbegun(self) -> list[tuple[TaskId, int]]:
        """Drop the attempts that have not begun, and return them."""
        runner = self._runner
        return [] if runner is None else [*self._offload.give_back_all(), *runner.give_back()]

    def heartbeat(self) -> Heartbeat:
        """The heartbeat to send now."""
        return Heartbeat(running=len(self.running), is_draining=self.is_leaving)

    def overdue(self) -> Iterable[OverdueAttempt]:
        """The attempts that were cancelled and still run."""
        return () if self._runner is None else self._runner.overdue()

    def can_dial_again(self) -> bool:
        """Whether a connection that is given up can be replaced by another."""
        return self._hooks.can_dial_again()

    def is_ticket_outdated(self) -> bool:
        """Whether the manager is now reached by another ticket."""
        return self._hooks.is_ticket_outdated()

    def refused(self, reason: str) -> None:
        """Stop, since the seal can't get in; ignored once the worker has ever joined."""
        if not self._was_member:
            self._failure = WrongSecret(f"worker {self._worker!r}: {reason}")
            self._ended.set()

    def send_results(self) -> None:
        """Send the parts, results and requests that wait."""
        self._parts.send()
        self._outbox.send()
        self._requests.send()

    # ------------------------------------------------------------------ receiving

    def _arrived(self, sender: str, message: BaseModel) -> None:
        session = self._manager_session
        is_from_manager = session is not None and sender == session.manager
        if type(message) is TaskAssignment and is_from_manager:
            # Most messages are assignments; matching pydantic's classes below takes longer.
            self._from_manager(message)
            return
        match message:
            case Welcome() if session is not None:
                self._welcomed(session, sender, message)
            case Refusal() if message.worker_session == self.session_id and not self.is_member:
                self._failure = JoinRefused(message.reason)
                self._ended.set()
            case ManagerReplaced() if session is not None:
                session.note_replaced(sender, message)
            case _ if is_from_manager:
                self._from_manager(message)
            case _:
                self._hooks.hand_to_handlers(message, sender)

    def _welcomed(self, session: ManagerSession, sender: str, welcome: Welcome) -> None:
        welcomed = session.judge(sender, welcome)
        if welcomed is Welcomed.NOTHING:
            return
        if welcomed is Welcomed.ANOTHER:
            # Messages to the former manager belong to another call from now on.
            self._end_conversation(session)
        else:
            self._outbox.take_back()
        session.begin(sender, welcome)
        self._was_member = True
        self.joined.set()
        if functions := tuple(self._hooks.task_functions()):
            self._post(WorkerFunctions(functions=functions))
        self._offload.welcomed(welcome.blob_threshold_bytes)
        # Before the results, since a result ends the stream of its attempt.
        self._parts.send_again()
        self._outbox.send()
        if self._runner is not None:
            # What was told by a connection that broke may have been lost.
            self._runner.suspended.tell_all()
        self._requests.resume(session)

    def _from_manager(self, message: BaseModel) -> None:
        assert self._runner is not None
        match message:
            case TaskAssignment():
                if message.worker == self._worker:
                    self._take(message)
            case Parcel() if message.worker == self._worker:
                if not self._ended.is_set():
                    self._offload.receive(message)
            case BlobPlace():
                self._offload.set_place(message)
            case PartsTaken():
                self._parts.taken(message)
            case ResultRecorded():
                self._offload.recorded(message)
            case CancelTask():
                if not (self._offload.cancel(message) or self._runner.cancel(message)):
                    self._return_unknown([(message.task_id, message.attempt)])
            case ChangeGrant():
                self._runner.change_grant(message)
            case RecallTasks():
                unopened = self._offload.give_back(message.attempts)
                returned = (*unopened, *self._runner.give_back(message.attempts))
                if returned:
                    self._post(ReturnTasks(attempts=returned))
            case AskAboutAttempts():
                self._return_unknown(message.attempts)
            case Shutdown():
                if message.goes_on:
                    self._post(Goodbye(reason=message.reason))
                self._was_dismissed = not message.goes_on
                self.farewell = message.reason
                self._ended.set()
            case Heartbeat():
                pass
            case TaskResult():
                self._requests.take(message.task_id, message)
            case ManagerReply():
                self._requests.replied(message)
            case _:
                self._hooks.hand_to_handlers(message, self.manager_address)

    def _return_unknown(self, keys: Iterable[tuple[TaskId, int]]) -> None:
        """Return those attempts that neither run here nor have a result here.

        A manager that crashed after an attempt's end was acknowledged may not have stored it.
        """
        held = {*self.held_keys, *self._offload.being_opened}
        missing = tuple(key for key in keys if key not in held)
        if missing:
            self._post(ReturnTasks(attempts=missing))

    def _take(self, assignment: TaskAssignment) -> None:
        if self._runner is None or self._ended.is_set():
            return
        if not self._departure.refuses((assignment.task.id, assignment.attempt)):
            self._runner.take(assignment)

    # ------------------------------------------------------------------ sending

    def send_to(self, address: str, message: BaseModel) -> None:
        """Send a user's own message to one member, or to everyone."""
        if self._manager_session is not None:
            self._manager_session.endpoint.post_datagram(address, message)

    def _post(self, message: BaseModel) -> None:
        if self._manager_session is not None:
            self._manager_session.post(message)

    def _report_result(self, result: TaskResult) -> None:
        try:
            message = encode_message(result)
        except EncodeError as fault:
            error = f"EncodeError: {fault}"[:MAX_ERROR_CHARACTERS]
            update = {"success": False, "output": None, "error_message": error}
            result = result.model_copy(update=update)
            message = encode_message(result)
        self.history.add(result, len(message))
        key = (result.task_id, result.attempt)
        take = self._offload.send if self._offload.is_large(message) else self._queue_result
        take(key, message)

    def _report_state(self, state: AttemptSuspended | AttemptResumed) -> None:
        self._outbox.send()  # The manager fills the slots in the same order as this worker.
        self._post(state)

    def _queue_result(self, key: tuple[TaskId, int], message: bytes) -> None:
        # While more tasks wait for a slot here, their results may share a frame.
        runner = self._runner
        batches, is_last = (runner.has_waiting, runner.has_one) if runner else (False, False)
        self._outbox.add(key, message, batches=batches, is_last=is_last)
