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
from ..kernel.delivery.manager_presence import (
    WARNINGS,
    ManagerPresence,
    Move,
    Reason,
    Seen,
    Welcomed,
)
from ..runtime.clock import now
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from ..transport.direct_connection import ConnectionHolder, DirectConnection
from ..transport.endpoint import Endpoint

Connect: TypeAlias = Callable[[ConnectionHolder], Awaitable[DirectConnection | None]]
"""Asks the manager for a direct connection, which the holder uses from then on."""


Greet: TypeAlias = Callable[[int], BaseModel]
"""Makes the request to join, with the number of the conversation that is asked for."""


class SessionOwner(Protocol):
    """What a session needs to know about its worker or client."""

    @property
    def is_over(self) -> bool:
        """Whether it is to end."""
        ...

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
        self.presence = ManagerPresence(
            name, next(calls), None if former is None else former.presence
        )
        self._has_greeted = False
        self._woken = asyncio.Event()
        endpoint.heard_other_session = self._note_sign_of_loss

    @property
    def is_member(self) -> bool:
        """Whether a manager has accepted this worker, and answers."""
        return self.presence.is_member

    @property
    def has_joined(self) -> bool:
        """Whether a manager has ever accepted this worker over this connection."""
        return self.presence.has_joined

    @property
    def manager(self) -> str | None:
        """The manager's address; None while there is no conversation."""
        return self.presence.manager

    @property
    def asks_again(self) -> bool:
        """Whether it is not known if the conversation goes on."""
        return self.presence.asks_again

    # ------------------------------------------------------------------ joining

    def greet(self) -> None:
        """Ask to join at once: the manager is known to receive what is sent from now on.

        An earlier request may have been lost, and the next one may be a second away.
        """
        if not self.is_member and not self._has_greeted:
            self._has_greeted = True
            self.greet_again()

    def greet_again(self) -> None:
        """Ask for a new conversation at once, since what the worker tells of itself has changed."""
        self.endpoint.post_datagram(ANY_MANAGER, self._hello(self.presence.call))

    def judge(self, sender: str, welcome: Welcome) -> Welcomed:
        """What a welcome means."""
        return self.presence.judge(sender, welcome, now())

    def begin(self, sender: str, welcome: Welcome) -> None:
        """Begin the conversation that a welcome opens."""
        conversation = f"{self._name}.{welcome.worker_call}/{welcome.session}/{welcome.admission}"
        self.endpoint.open(sender, conversation)
        if self.manager != sender:
            log.info("joined", worker=self._owner_name, manager=welcome.manager)
        self.presence.begin(sender, welcome, now())

    def note_replaced(self, sender: str, told: ManagerReplaced) -> None:
        """Ask to join at once if another manager leads now than the one that was joined.

        Args:
            sender: the address that it was told from.
            told: what was told; one of another workspace member's manager is ignored.
        """
        reason = self.presence.told_replaced(sender, told)
        if reason is not None:
            self._log(reason)
            self._woken.set()

    def end(self) -> None:
        """End the conversation, if there is one; the next one has another number."""
        if self.manager is not None:
            self.endpoint.close(self.manager)
        self.presence.end(next(self._calls))

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
        owner = self._owner
        held_slots = HeldSlotWarnings(self._owner_name)
        while True:
            held_slots.check(owner.overdue(), now())
            step = self.presence.step(self._see(watch), now())
            if step.reason is not None:
                self._log(step.reason)
            if step.move is Move.REPLACE:
                return
            if step.is_due and step.move is Move.ASK:
                # One that has said goodbye would be given tasks that it does not do.
                if not owner.is_over:
                    self.greet_again()
            elif step.is_due:
                self.post(owner.heartbeat())
                owner.send_results()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), step.pause_s)
            self._woken.clear()
            # Anybody can forge what leads to a refusal: it never ends a worker that has joined.
            if self.endpoint.refusal and not self.is_member:
                owner.refused(self.endpoint.refusal)

    def _see(self, watch: LoopWatch) -> Seen:
        received_at, link_received_at = self._manager_received_at(), self.endpoint.link_received_at
        in_doubt = self.presence.is_in_doubt(received_at, link_received_at, now())
        return Seen(
            received_at=received_at,
            link_received_at=link_received_at,
            has_other_ticket=in_doubt and self._owner.is_ticket_outdated(),
            can_dial_again=in_doubt and self._owner.can_dial_again(),
            late_since=watch.late_since,
        )

    def _note_sign_of_loss(self) -> None:
        self.presence.may_be_gone(now())
        self._woken.set()

    def _log(self, reason: Reason) -> None:
        tell = log.warning if reason in WARNINGS else log.info
        tell(reason.value, worker=self._owner_name)

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
            await connection.keep(self.presence.heartbeat_s)
            # The end of a manager's process closes it.
            self._note_sign_of_loss()
            await asyncio.sleep(pause.after_end(now() - connected_at))

    def _manager_received_at(self) -> float:
        last_received_at = self.endpoint.last_received_at(self.manager or "")
        return max(last_received_at or 0.0, self.presence.welcomed_at)
