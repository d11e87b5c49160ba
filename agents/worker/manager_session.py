"""A member's connection to one manager: joining, welcome, heartbeats, and noticing its loss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from ...messages import BacklogFull, Heartbeat, ManagerReplaced, Welcome
from ...messages.frame import ANY_MANAGER
from ..execution.held_slots import HeldSlotWarnings, OverdueAttempt
from ..kernel.delivery.connection_life import ConnectionPause
from ..kernel.model.health import LATE_AFTER_HEARTBEATS
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.endpoint import Endpoint

HELLO_EVERY_S = 0.1
SLOWEST_HELLO_S = 1.0
"""How often a worker asks to join: at first, and at last."""

WARN_AFTER_S = 5.0
"""How long a worker asks without an answer before it logs a warning."""

ASK_WHEN_MISSED_S = 1.5
"""How long the manager must have been silent before a worker that misses it asks to join again over
the same link."""

LOOK_FOR_TICKET_EVERY_S = 0.2
"""How often a worker that misses its manager looks whether there is a new ticket."""

JOIN_TIMEOUT_S = 5.0
"""How long a worker asks without an answer before it gives up a connection that can be replaced.

Ceylon dials once, and tries for about three seconds.
"""

Connect: TypeAlias = Callable[[ConnectionHolder], Awaitable[DirectConnection | None]]
"""Asks the manager for a direct connection, which the holder uses from then on."""


Greet: TypeAlias = Callable[[int], BaseModel]
"""Makes the request to join, with the number of the conversation that is asked for."""


class SessionOwner(Protocol):
    """What a session needs to know about its worker or client."""

    def heartbeat(self) -> Heartbeat:
        """The heartbeat to send now."""
        ...

    def overdue(self) -> Iterable[OverdueAttempt]:
        """The attempts that were cancelled and still run."""
        ...

    def can_dial_again(self) -> bool:
        """Whether a connection that is given up can be replaced by another."""
        ...

    def is_ticket_outdated(self) -> bool:
        """Whether the manager is now reached by another ticket."""
        ...

    def refused(self, reason: str) -> None:
        """The seal can't get into the workspace; called while the owner has not joined."""
        ...

    def send_results(self) -> None:
        """Send the results that wait."""
        ...


class ManagerSession:
    """One connection into a workspace, and the conversation with the manager that is there.

    A conversation begins with a welcome. It ends when the connection does, or when the welcome of
    another manager arrives.

    Args:
        owner: the worker or client.
        owner_name: its name.
        name: names this start of it.
        hello: makes the request to join.
        endpoint: sends and receives.
        calls: numbers the conversations that the owner asks for, over all its sessions.
        former: the session before this one, if any: its intervals hold until the next welcome.
    """

    def __init__(
        self,
        owner: SessionOwner,
        owner_name: str,
        name: str,
        endpoint: Endpoint,
        *,
        hello: Greet,
        calls: Iterator[int],
        former: ManagerSession | None = None,
    ) -> None:
        self._owner = owner
        self._owner_name = owner_name
        self._hello = hello
        self._name = name
        self.endpoint = endpoint
        self._calls = calls
        self.call = next(calls)
        self.has_joined = False
        self.manager: str | None = None
        self.manager_name = "" if former is None else former.manager_name
        self._manager_session = ""
        self._admission = 0
        self.asks_again = False
        self._has_greeted = False
        self._welcomed_at = 0.0
        self.heartbeat_s = 1.0 if former is None else former.heartbeat_s
        self.lost_after_s = 10.0 if former is None else former.lost_after_s
        self._watch: LoopWatch | None = None
        self._woken = asyncio.Event()
        self._missed_since: float | None = None
        endpoint.heard_other_session = self._note_other_session

    @property
    def is_member(self) -> bool:
        """Whether a manager has accepted this worker, and answers."""
        return self.manager is not None and not self.asks_again

    # ------------------------------------------------------------------ joining

    def greet(self) -> None:
        """Ask to join at once: the manager is known to receive what is sent from now on.

        An earlier request may have been lost, and the next one may be a second away.
        """
        if not self.is_member and not self._has_greeted:
            self._has_greeted = True
            self._say_hello()

    def greet_again(self) -> None:
        """Ask for a new conversation at once, since what the worker tells of itself has changed."""
        self._say_hello()

    def changes_nothing(self, sender: str, welcome: Welcome) -> bool:
        """Whether a welcome begins no conversation: it is delayed, or confirms the present one."""
        if (welcome.worker_session, welcome.worker_call) != (self._name, self.call):
            return True
        if (sender, welcome.session) != (self.manager, self._manager_session):
            return False
        if welcome.admission == self._admission:
            self.asks_again = False
            self._welcomed_at = now()
        # One with a lower number was delayed: the manager has lost and accepted us again since.
        return welcome.admission <= self._admission

    def is_from_another_manager(self, sender: str, welcome: Welcome) -> bool:
        """Whether a welcome comes from another manager than the one that was joined."""
        joined = (self.manager, self._manager_session)
        return self.manager is not None and (sender, welcome.session) != joined

    def begin(self, sender: str, welcome: Welcome) -> None:
        """Begin the conversation that a welcome opens."""
        conversation = f"{self._name}.{welcome.worker_call}/{welcome.session}/{welcome.admission}"
        self.endpoint.open(sender, conversation)
        if self.manager != sender:
            log.info("joined", worker=self._owner_name, manager=welcome.manager)
        self.manager = sender
        self.manager_name = welcome.manager
        self._manager_session = welcome.session
        self._admission = welcome.admission
        self.asks_again = False
        self.has_joined = True
        self._welcomed_at = now()
        self.heartbeat_s = welcome.heartbeat_s
        self.lost_after_s = welcome.lost_after_s

    def note_replaced(self, sender: str, told: ManagerReplaced) -> None:
        """Ask to join at once if another manager leads now than the one that was joined.

        Args:
            sender: the address that it was told from.
            told: what was told; one of another workspace member's manager is ignored.
        """
        is_own = sender == self.manager
        concerns_us = not is_own and told.manager == self.manager_name if told.leads else is_own
        if concerns_us and self.is_member:
            log.info("another manager leads; asking to join it", worker=self._owner_name)
            # The conversation stays open until the welcome: results may be on their way.
            self.asks_again = True
            self._say_hello()
            self._woken.set()

    def end(self) -> None:
        """End the conversation, if there is one; the next one has another number."""
        if self.manager is not None:
            self.endpoint.close(self.manager)
        self.manager = None
        self.call = next(self._calls)

    def _say_hello(self) -> None:
        self.endpoint.post_datagram(ANY_MANAGER, self._hello(self.call))

    # ------------------------------------------------------------------ sending

    def post(self, message: BaseModel) -> None:
        """Send a message to the manager, if this worker has joined one."""
        if self.manager is not None:
            # If the backlog is full the manager reads nothing, and will soon count as lost.
            with contextlib.suppress(BacklogFull):
                self.endpoint.post(self.manager, message)

    def post_encoded(self, message: bytes) -> bool:
        """Send an encoded message to the manager; False if there is none, or no room for it."""
        if not self.is_member or self.manager is None:
            return False
        try:
            self.endpoint.post_encoded(self.manager, message)
        except BacklogFull:
            return False
        return True

    # ------------------------------------------------------------------ keeping in touch

    async def keep_in_touch(self, watch: LoopWatch) -> None:
        """Ask until accepted, then send heartbeats; return when the connection is to be replaced.

        Args:
            watch: knows for how long this worker's own event loop was blocked.
        """
        owner, self._watch = self._owner, watch
        pause_s, asked_s = HELLO_EVERY_S, 0.0
        held_slots = HeldSlotWarnings(self._owner_name)
        checked_at = now()
        while True:
            held_slots.check(owner.overdue(), now())
            if not self.is_member:
                self._say_hello()
                checked_at = now()
                await asyncio.sleep(pause_s)
                # Anybody can forge what leads to a refusal: it never ends a worker that has joined.
                if self.endpoint.refusal:
                    owner.refused(self.endpoint.refusal)
                if asked_s < WARN_AFTER_S <= asked_s + pause_s:
                    log.warning(
                        "no manager answers yet: it is not running, it is in another workspace, or "
                        "the ticket is an old one",
                        worker=self._owner_name,
                    )
                asked_s += pause_s
                pause_s = min(pause_s * 1.2, SLOWEST_HELLO_S)
                is_useless = asked_s >= JOIN_TIMEOUT_S or owner.is_ticket_outdated()
                if is_useless and not self.is_member and owner.can_dial_again():
                    return
                continue
            pause_s, asked_s = HELLO_EVERY_S, 0.0
            self.post(owner.heartbeat())
            owner.send_results()
            await self._sleep()
            last_checked_at, checked_at = checked_at, now()
            if self._is_to_be_replaced(last_checked_at, checked_at):
                return

    async def _sleep(self) -> None:
        """Wait for the next heartbeat, or until there is a reason not to."""
        ends_at = now() + self.heartbeat_s
        while (left_s := ends_at - now()) > 0 and not self._woken.is_set():
            pause_s = min(left_s, LOOK_FOR_TICKET_EVERY_S) if self._is_missed() else left_s
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause_s)
            if not self._is_missed():
                continue
            if self._owner.is_ticket_outdated():
                break
            if now() - self._manager_received_at() > ASK_WHEN_MISSED_S:
                # Another manager may lead over the same link. A delayed one welcomes us again.
                self.asks_again = True
                break
        self._woken.clear()

    def _note_other_session(self) -> None:
        """Look whether the manager still answers, since another one may lead now."""
        if not self._is_missed():
            self._missed_since = now()
            self._woken.set()

    def _is_missed(self) -> bool:
        """Whether the manager may be gone, and has sent nothing since there was a sign of it."""
        since = self._missed_since
        return since is not None and self._manager_received_at() <= since

    def _is_to_be_replaced(self, last_checked_at: float, checked_at: float) -> bool:
        """Whether the connection is to be replaced; asks to join again if the manager is silent."""
        assert self._watch is not None
        owner, watch = self._owner, self._watch
        last_received_at = self._manager_received_at()
        silent_s = checked_at - last_received_at
        # While the loop was blocked, what the manager sent was not read, and it may have given this
        # worker up.
        absent_s = watch.late_since(last_checked_at) + self.heartbeat_s
        if max(silent_s, absent_s) > self.lost_after_s:
            late_s = watch.late_since(min(last_received_at, last_checked_at))
            if silent_s - late_s > self.lost_after_s:
                log.warning("the manager is silent; asking to join again", worker=self._owner_name)
            else:
                log.info(
                    "this worker's own event loop was blocked; asking whether it counts as lost",
                    worker=self._owner_name,
                    late_s=round(late_s, 1),
                )
            # The conversation stays open: if the manager has not lost us, it goes on.
            self.asks_again = True
            return False
        if self._is_link_dead(checked_at) and owner.can_dial_again():
            log.warning(
                "only the direct connection still reaches the manager; dialing again",
                worker=self._owner_name,
            )
            return True
        return (
            (silent_s > LATE_AFTER_HEARTBEATS * self.heartbeat_s or self._is_missed())
            and owner.is_ticket_outdated()
            and owner.can_dial_again()
        )

    async def keep_connected_directly(self, connect: Connect) -> None:
        """Have a direct connection to the manager whenever it gives one; never returns.

        It asks before the worker has joined, so that even the welcome may come that way.
        """
        pause = ConnectionPause()
        while True:
            connection = await connect(self.endpoint)
            if connection is None:
                await asyncio.sleep(pause.after_refusal())
                continue
            connected_at = now()
            await connection.keep(self.heartbeat_s)
            # The end of a manager's process closes it.
            self._missed_since = now()
            self._woken.set()
            await asyncio.sleep(pause.after_end(now() - connected_at))

    def _is_link_dead(self, checked_at: float) -> bool:
        """Whether not even what the manager sends to everyone arrives through the link."""
        assert self._watch is not None
        last_received_at = self.endpoint.link_received_at
        return (
            checked_at - last_received_at - self._watch.late_since(last_received_at)
            > self.lost_after_s
        )

    def _manager_received_at(self) -> float:
        """When the manager last sent something to this worker, and not only to everyone.

        A manager that has lost this worker still sends its heartbeats to everyone.
        """
        last_received_at = self.endpoint.last_received_at(self.manager or "")
        return (
            self._welcomed_at
            if last_received_at is None
            else max(last_received_at, self._welcomed_at)
        )
