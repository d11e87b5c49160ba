"""The worker's half of the work: joins a manager, does what it says, tells how it went.

A thin shell: it decides nothing about tasks. It outlives the way to its manager: when that breaks
off it goes on with what it holds, and hands in the results when there is a way again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from ...messages import (
    AskAboutAttempts,
    BacklogFull,
    BlobPlace,
    CancelTask,
    EncodeError,
    Goodbye,
    Heartbeat,
    Hello,
    JoinRefused,
    Parcel,
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
from ...messages.frame import ANY_MANAGER, EVERYONE
from ..blobs.worker_offload import WorkerOffload
from ..execution.held_slots import HeldSlotWarnings
from ..execution.task_runner import TaskRunner
from ..kernel.delivery.connection_life import ConnectionPause
from ..kernel.model.health import LATE_AFTER_HEARTBEATS
from ..kernel.security.seal import Seal
from ..runtime.clock import now
from ..runtime.error_text import MAX_ERROR_CHARACTERS
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.endpoint import Endpoint
from ..transport.link import Link
from .history import TaskHistory
from .outbox import ResultOutbox

HELLO_EVERY_S = 0.1
SLOWEST_HELLO_S = 1.0
WORTH_A_WARNING_S = 5.0
"""How long a worker asks in vain before it says so."""

LINE_PATIENCE_S = 5.0
"""How long a worker asks in vain before it gives up a line that can be replaced.

Ceylon dials once, and tries for about three seconds.
"""

LAST_WORDS_S = 2.0
"""How long a worker that stops waits for its last messages to be acknowledged."""

RESULTS_REST_S = 0.01
"""How long a result may wait for others while the worker has more to do."""


Perform: TypeAlias = Callable[[TaskAssignment], Awaitable[TaskResult]]
"""Does a task."""

DialDirect: TypeAlias = Callable[[ConnectionHolder], Awaitable[DirectConnection | None]]
"""Asks the manager for a wire, which somebody has from then on."""

Around: TypeAlias = Callable[[Perform, TaskAssignment], Awaitable[TaskResult]]
"""Has a task done by whoever can, and does something of its own before and after."""


class WorkerHooks(Protocol):
    """What the shell needs of the agent around it."""

    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Do a task; whatever it raises becomes the task's error."""
        ...

    def hand_to_handlers(self, message: BaseModel, sender: str) -> bool:
        """Give a user's own message to the user's handlers; False if there are none."""
        ...

    def can_dial_again(self) -> bool:
        """Whether a line that is given up can be replaced by another."""
        ...

    def is_line_outdated(self) -> bool:
        """Whether the manager is known to be reached by another line now."""
        ...


class WorkerShell:
    """Drives one worker, over one line after the other.

    Args:
        hooks: the agent that does the work.
    """

    def __init__(self, hooks: WorkerHooks) -> None:
        self._hooks = hooks
        self._jobs: TaskRunner | None = None
        self._around: Around | None = None
        self._handover = ResultOutbox()
        self._parcels = WorkerOffload(
            post=self._post,
            take=self._take,
            hand_in=self._hand_in,
            queue=self._queue_result,
            unqueue=self._handover.forget,
        )
        self._ended = asyncio.Event()
        self._failure: JoinRefused | WrongSecret | None = None
        self._session = ""
        self._was_member = False
        self._was_dismissed = False
        self.has_joined_by_this_line = False
        self.joined = asyncio.Event()
        # Of the line, and of the conversation over it.
        self._endpoint: Endpoint | None = None
        self._manager: str | None = None
        self._manager_session = ""
        self._admission: int = 0
        self._call = 1
        self._asks_again = False
        self._has_greeted = False
        self._welcomed_at = 0.0
        self._sending: asyncio.TimerHandle | None = None
        self._sending_rests = False
        self._heartbeat_s = 1.0
        self._lost_after_s = 10.0
        self.manager_name = ""
        self.farewell = ""
        self.history = TaskHistory()

    @property
    def running(self) -> list[TaskAssignment]:
        """What is being done right now."""
        return [] if self._jobs is None else self._jobs.running

    @property
    def has_begun(self) -> bool:
        """Whether it has begun to look for its manager."""
        return self._jobs is not None

    @property
    def is_member(self) -> bool:
        """Whether a manager has let this worker in, and answers."""
        return self._manager is not None and not self._asks_again

    @property
    def is_over(self) -> bool:
        """Whether the worker is to stop; otherwise, after `run`, it wants another line."""
        return self._ended.is_set()

    @property
    def manager_address(self) -> str:
        """Where the manager is reached, or "" before it has let this worker in."""
        return self._manager or ""

    async def run(
        self,
        link: Link,
        profile: WorkerProfile,
        also: dict[str, type[BaseModel]] | None = None,
        session: str = "",
        seal: Seal | None = None,
        *,
        dial_direct: DialDirect | None = None,
    ) -> None:
        """Join, work, and return when the manager shuts down or `leave` was called.

        It also returns, with what it does going on, when a line is of no use any more that can be
        replaced: then call it again with another.

        Args:
            link: the way into the workspace.
            profile: what it tells about itself; the same each time.
            also: the user's own classes of message, by qualified name.
            session: names this start; a number nobody can guess if empty.
            seal: what its frames pass through; None leaves them unsealed.
            dial_direct: asks the manager for a wire; None lets all frames go by the link.

        Raises:
            JoinRefused: the manager does not want this worker.
            WrongSecret: the manager and this worker do not share a secret.
        """
        self._session = self._session or session or secrets.token_hex(8)
        self._profile = profile
        self.has_joined_by_this_line = self._has_greeted = False
        if self._jobs is None:
            perform = self._hooks.perform
            if self._around is not None:
                perform = partial(self._around, perform)
            self._jobs = TaskRunner(profile.name, profile.slots, perform, self._hand_in, self._post)
        endpoint = self._endpoint = Endpoint(
            link,
            listens_to=frozenset({EVERYONE}),
            arrived=self._arrived,
            also=also or {},
            seal=seal,
        )
        blob_key = None if seal is None else seal.blob_key
        self._parcels.begin(profile.name, self._session, blob_key, also or {})
        posting = asyncio.ensure_future(endpoint.run())
        keeping_in_touch = asyncio.ensure_future(self._keep_in_touch())
        ended = asyncio.ensure_future(self._wait_for_end())
        name_work = self._jobs.name_of
        self._watch = LoopWatch.begin(name_work)
        background = [posting, keeping_in_touch, ended]
        if dial_direct is not None:
            background.append(
                asyncio.ensure_future(self._keep_direct_connection(endpoint, dial_direct))
            )
        is_given_up = False
        try:
            done, _ = await asyncio.wait(background, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            is_given_up = not self._ended.is_set()
            if not is_given_up:
                await self._jobs.stop()
                self._send_results()
                await endpoint.settle(LAST_WORDS_S)
                if self._was_dismissed:
                    await self._parcels.clear()
        finally:
            self._watch.end(name_work)
            if not is_given_up:
                self._jobs.drop()
                self._parcels.close()
            for future in background:
                future.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._break_off()
        if self._failure is not None:
            raise self._failure

    def surround(self, around: Around) -> None:
        """Have a function called around each task that is done; before it begins."""
        self._around = around

    async def _wait_for_end(self) -> None:
        await self._ended.wait()

    def receive(self, frame: bytes) -> None:
        """Take in a frame from the link."""
        if self._endpoint is not None:
            self._endpoint.receive(frame)

    def address_changed(self) -> None:
        """Go by the link's new address; nobody has been met at the old one."""
        if self._endpoint is not None:
            self._endpoint.take_address()

    def greet(self) -> None:
        """Ask to be let in at once: the manager is known to hear what is said from now on.

        What was asked before may have gone nowhere, and the next time it is asked is a while away.
        """
        if self._endpoint is not None and not self.is_member and not self._has_greeted:
            self._has_greeted = True
            self._say_hello()

    def leave(self, reason: str) -> None:
        """Stop: say goodbye, so that others take over at once what is unfinished here."""
        if self._manager is not None and self._endpoint is not None and not self._ended.is_set():
            # What is done must not be taken for unfinished.
            self._send_results()
            self._post(Goodbye(reason=reason))
        self.farewell = self.farewell or reason
        self._ended.set()

    def send_to(self, address: str, message: BaseModel) -> None:
        """Send a user's own message to one member, or to everyone."""
        if self._endpoint is not None:
            self._endpoint.post_datagram(address, message)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        return {} if self._endpoint is None else dict(self._endpoint.dropped)

    # ------------------------------------------------------------------ coming in

    def _arrived(self, sender: str, message: BaseModel) -> None:
        if type(message) is TaskAssignment and sender == self._manager:
            # Most are: whether it is of some other class takes pydantic long to tell.
            self._from_manager(message)
            return
        match message:
            case Welcome():
                self._welcomed(sender, message)
            case Refusal() if message.worker_session == self._session and not self.is_member:
                self._failure = JoinRefused(message.reason)
                self._ended.set()
            case _ if sender == self._manager:
                self._from_manager(message)
            case _:
                self._hooks.hand_to_handlers(message, sender)

    def _welcomed(self, sender: str, welcome: Welcome) -> None:
        answers_us = (welcome.worker_session, welcome.worker_call) == (self._session, self._call)
        if self._endpoint is None or not answers_us:
            return
        is_same = (sender, welcome.session) == (self._manager, self._manager_session)
        if is_same and welcome.admission < self._admission:
            # It was long on its way; the manager has lost us and let us in again since.
            return
        if is_same and welcome.admission == self._admission:
            self._asks_again = False
            self._welcomed_at = now()
            return
        if not is_same and self._manager is not None:
            # Another manager has taken over, or this one's welcome was long on its way. What is
            # said to the former from now on is of another call.
            self._break_off()
        else:
            self._take_back_results()
        conversation = f"{self._session}.{welcome.worker_call}/{welcome.session}/"
        self._endpoint.open(sender, f"{conversation}{welcome.admission}")
        if self._manager != sender:
            log.info("joined", worker=self._profile.name, manager=welcome.manager)
        self._manager = sender
        self._manager_session = welcome.session
        self._admission = welcome.admission
        self._asks_again = False
        self._was_member = self.has_joined_by_this_line = True
        self.joined.set()
        self._welcomed_at = now()
        self.manager_name = welcome.manager
        self._heartbeat_s = welcome.heartbeat_s
        self._lost_after_s = welcome.lost_after_s
        self._parcels.welcomed(welcome.blob_threshold_bytes)
        self._send_results()

    def _break_off(self) -> None:
        """End the conversation, if there is one; the next is another call."""
        self._parcels.break_off()
        self._take_back_results()
        if self._endpoint is not None and self._manager is not None:
            self._endpoint.close(self._manager)
        self._manager = None
        self._call += 1

    def _take_back_results(self) -> None:
        if self._endpoint is not None and self._manager is not None:
            self._handover.confirm(self._endpoint.acknowledged(self._manager))
        self._handover.take_back()

    def _from_manager(self, message: BaseModel) -> None:
        assert self._jobs is not None
        match message:
            case TaskAssignment():
                if message.worker == self._profile.name:
                    self._take(message)
            case Parcel() if message.worker == self._profile.name:
                if not self._ended.is_set():
                    self._parcels.receive(message)
            case BlobPlace():
                self._parcels.settle_in(message)
            case ResultRecorded():
                self._parcels.recorded(message)
            case CancelTask():
                if not (self._parcels.cancel(message) or self._jobs.cancel(message)):
                    self._disclaim([(message.task_id, message.attempt)])
            case RecallTasks():
                unopened = self._parcels.give_back(message.attempts)
                given_back = (*unopened, *self._jobs.give_back(message.attempts))
                if given_back:
                    self._post(ReturnTasks(attempts=given_back))
            case AskAboutAttempts():
                self._disclaim(message.attempts)
            case Shutdown():
                if message.goes_on:
                    self._post(Goodbye(reason=message.reason))
                self._was_dismissed = not message.goes_on
                self.farewell = message.reason
                self._ended.set()
            case Heartbeat():
                pass
            case _:
                self._hooks.hand_to_handlers(message, self._manager or "")

    def _disclaim(self, keys: Iterable[tuple[TaskId, int]]) -> None:
        """Give back those attempts of which neither the work nor a result is here.

        A manager that was told of the end of one may have been killed since, and not have kept it.
        """
        assert self._jobs is not None
        held = {
            *self._jobs.keys,
            *self._parcels.being_opened,
            *self._handover.keys(),
            *self._parcels.keys,
        }
        missing = tuple(key for key in keys if key not in held)
        if missing:
            self._post(ReturnTasks(attempts=missing))

    def _take(self, assignment: TaskAssignment) -> None:
        if self._jobs is not None and not self._ended.is_set():
            self._jobs.take(assignment)

    # ------------------------------------------------------------------ keeping in touch

    async def _keep_in_touch(self) -> None:
        """Ask until let in, then show that it lives; returns when the line is to be replaced."""
        pause_s, asked_s = HELLO_EVERY_S, 0.0
        assert self._jobs is not None
        held_slots = HeldSlotWarnings(self._profile.name)
        looked_at = now()
        while True:
            held_slots.look(self._jobs.overdue(), now())
            if not self.is_member:
                self._say_hello()
                looked_at = now()
                await asyncio.sleep(pause_s)
                self._heed_refusal()
                if asked_s < WORTH_A_WARNING_S <= asked_s + pause_s:
                    log.warning(
                        "no manager answers yet; it is not up, it is in another workspace, or the "
                        "ticket is an old one",
                        worker=self._profile.name,
                    )
                asked_s += pause_s
                pause_s = min(pause_s * 1.2, SLOWEST_HELLO_S)
                is_of_no_use = asked_s >= LINE_PATIENCE_S or self._hooks.is_line_outdated()
                if is_of_no_use and not self.is_member and self._hooks.can_dial_again():
                    return
                continue
            pause_s, asked_s = HELLO_EVERY_S, 0.0
            self._post(Heartbeat(running=len(self.running)))
            self._send_results()
            await asyncio.sleep(self._heartbeat_s)
            last_looked_at, looked_at = looked_at, now()
            last_received_at = self._manager_received_at()
            silent_s = now() - last_received_at
            # What the manager said meanwhile is heard only when the loop turns again: it may have
            # given us up for all that.
            was_away_s = self._watch.late_since(last_looked_at) + self._heartbeat_s
            if max(silent_s, was_away_s) > self._lost_after_s:
                late_s = self._watch.late_since(min(last_received_at, last_looked_at))
                if silent_s - late_s > self._lost_after_s:
                    log.warning(
                        "the manager is silent; asking to be let in again",
                        worker=self._profile.name,
                    )
                else:
                    log.info(
                        "this worker's own loop did not turn; asking whether it counts as lost",
                        worker=self._profile.name,
                        late_s=round(late_s, 1),
                    )
                # The conversation stays open: if the manager has not lost us, it goes on.
                self._asks_again = True
            elif self._is_link_dead() and self._hooks.can_dial_again():
                log.warning(
                    "only its wire still leads to the manager; dialling again",
                    worker=self._profile.name,
                )
                return
            elif (
                silent_s > LATE_AFTER_HEARTBEATS * self._heartbeat_s
                and self._hooks.is_line_outdated()
                and self._hooks.can_dial_again()
            ):
                return

    async def _keep_direct_connection(self, endpoint: Endpoint, dial: DialDirect) -> None:
        """Have a wire to the manager wherever one is to be had, for ever.

        It asks before it is let in, so that the first that it hears then may come by wire.
        """
        pause = ConnectionPause()
        while True:
            connection = await dial(endpoint)
            if connection is None:
                await asyncio.sleep(pause.after_refusal())
                continue
            begun_at = now()
            await connection.keep(self._heartbeat_s)
            await asyncio.sleep(pause.after_end(now() - begun_at))

    def _heed_refusal(self) -> None:
        # Anybody can forge the word that this comes from: it ends nobody who was ever let in.
        if self._endpoint is not None and self._endpoint.refusal and not self._was_member:
            self._failure = WrongSecret(f"worker {self._profile.name!r}: {self._endpoint.refusal}")
            self._ended.set()

    def _is_link_dead(self) -> bool:
        """Whether not even what the manager says to everyone is heard."""
        assert self._endpoint is not None
        last_received_at = self._endpoint.link_received_at
        return (
            now() - last_received_at - self._watch.late_since(last_received_at) > self._lost_after_s
        )

    def _manager_received_at(self) -> float:
        """When the manager last spoke to this worker, and not only to everyone.

        A manager that has lost us still sends its heartbeats to all.
        """
        assert self._endpoint is not None
        last_received_at = self._endpoint.last_received_at(self._manager or "")
        return (
            self._welcomed_at
            if last_received_at is None
            else max(last_received_at, self._welcomed_at)
        )

    def _say_hello(self) -> None:
        assert self._endpoint is not None
        assert self._jobs is not None
        hello = Hello.of(
            self._profile,
            session=self._session,
            call=self._call,
            holding=tuple(
                dict.fromkeys((*self._jobs.keys, *self._handover.keys(), *self._parcels.keys))
            ),
        )
        self._endpoint.post_datagram(ANY_MANAGER, hello)

    # ------------------------------------------------------------------ going out

    def _post(self, message: BaseModel) -> None:
        if self._manager is not None and self._endpoint is not None:
            # A manager that takes in nothing any more will be missed soon enough.
            with contextlib.suppress(BacklogFull):
                self._endpoint.post(self._manager, message)

    def _hand_in(self, result: TaskResult) -> None:
        try:
            message = encode_message(result)
        except EncodeError as fault:
            told = f"EncodeError: {fault}"[:MAX_ERROR_CHARACTERS]
            update = {"success": False, "output": None, "error_message": told}
            result = result.model_copy(update=update)
            message = encode_message(result)
        self.history.add(result, len(message))
        key = (result.task_id, result.attempt)
        if self._parcels.is_large(message):
            self._parcels.send(key, message)
        else:
            self._queue_result(key, message)

    def _queue_result(self, key: tuple[TaskId, int], message: bytes) -> None:
        self._handover.add(key, message)
        assert self._jobs is not None
        # Results leave at once, but with what else is done in this turn of the loop; and while
        # the next tasks wait here already, with theirs.
        rests = self._jobs.has_waiting
        if self._sending is None or (self._sending_rests and not rests):
            if self._sending is not None:
                self._sending.cancel()
            self._sending_rests = rests
            loop = asyncio.get_running_loop()
            self._sending = loop.call_later(RESULTS_REST_S if rests else 0, self._send_results)

    def _send_results(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        manager, endpoint = self._manager, self._endpoint
        if manager is None or endpoint is None or self._asks_again:
            return
        self._handover.confirm(endpoint.acknowledged(manager))
        self._handover.send(partial(endpoint.post_encoded, manager))
