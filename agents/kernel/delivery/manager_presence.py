"""Decides whether a member keeps its manager, asks to join again, or needs another connection.

A member is a worker or a client. Its shell reports what it sees, and does what it is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ....messages import ManagerReplaced, Welcome
from ..model.health import LATE_AFTER_HEARTBEATS

HELLO_EVERY_S = 0.1
SLOWEST_HELLO_S = 1.0
"""How often a member asks to join, in seconds: at first, and at last."""

WARN_AFTER_S = 5.0
"""How long a member asks without an answer before that is worth a warning, in seconds."""

ASK_WHEN_MISSED_S = 0.5
"""How long a manager that may be gone must be silent before a member asks to join again over the
same connection, in seconds."""

LOOK_FOR_TICKET_EVERY_S = 0.2
"""How often a member that misses its manager looks whether there is another ticket, in seconds."""

JOIN_TIMEOUT_S = 5.0
"""How long a member asks without an answer before it gives the connection up, in seconds.

Ceylon dials once, and tries for about three seconds.
"""

REJOIN_TIMEOUT_S = 1.5
"""The same, if there was a sign that the manager is gone: then the connection has worked."""


class Move(Enum):
    """What a member does about its manager."""

    KEEP = "keep"
    """It stays; a message that is due is a heartbeat."""
    ASK = "ask"
    """It asks to join over the same connection; a message that is due is that request."""
    REPLACE = "replace"
    """It gives the connection up, and makes another one."""


class Reason(Enum):
    """Why a member does something else than before."""

    SILENT = "the manager is silent; asking to join again"
    BLOCKED = "this member's own event loop was blocked; asking whether it counts as lost"
    MISSED = "the manager may be gone; asking to join again"
    REPLACED = "another manager leads; asking to join it"
    NO_ANSWER = (
        "no manager answers yet: it is not running, it is in another workspace, or the ticket is "
        "an old one"
    )
    UNANSWERED = "no manager answers over this connection; dialing again"
    OTHER_TICKET = "the manager is reached by another ticket now; dialing again"
    LINK_DEAD = "only the direct connection still reaches the manager; dialing again"


WARNINGS = frozenset({Reason.SILENT, Reason.NO_ANSWER, Reason.LINK_DEAD})
"""The reasons that are worth a warning."""


class Welcomed(Enum):
    """What a welcome means."""

    NOTHING = "nothing"
    """It is delayed, meant for another, or confirms the present conversation."""
    AGAIN = "again"
    """The same manager, or the first one, begins a conversation."""
    ANOTHER = "another"
    """Another manager begins one, so that the present one ends."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a member sees of its manager.

    Args:
        received_at: when the manager last sent something to this member, and not only to everyone;
            a manager that has lost a member still sends heartbeats to everyone.
        link_received_at: when anything last arrived through the link, and not directly.
        has_other_ticket: whether the manager is reached by another ticket now.
        can_dial_again: whether a connection that is given up can be replaced.
        late_since: for how many seconds the member's own event loop has been blocked since a time.
    """

    received_at: float
    link_received_at: float
    has_other_ticket: bool
    can_dial_again: bool
    late_since: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do now.

    Args:
        move: what to do.
        pause_s: when to ask again, in seconds, unless something happens before.
        is_due: whether a message is to be sent now.
        reason: why it is something else than before.
    """

    move: Move
    pause_s: float = 0.0
    is_due: bool = False
    reason: Reason | None = None


class ManagerPresence:
    """The manager of one member over one connection.

    Args:
        session: names this start of the member.
        call: the number of the conversation that it asks for.
        former: what it knew by the connection before, whose intervals hold until a welcome.
    """

    def __init__(self, session: str, call: int, former: ManagerPresence | None = None) -> None:
        self.session = session
        self.call = call
        self.manager: str | None = None
        self.manager_name = "" if former is None else former.manager_name
        self.heartbeat_s = 1.0 if former is None else former.heartbeat_s
        self.lost_after_s = 10.0 if former is None else former.lost_after_s
        self.has_joined = False
        self.asks_again = False
        self.welcomed_at = 0.0
        self._manager_session = ""
        self._admission = 0
        self._missed_since: float | None = None
        self._checked_at: float | None = None
        self._heartbeat_at = 0.0
        self._asking_since: float | None = None
        self._hello_at = self._said_hello_at = 0.0
        self._hello_pause_s = HELLO_EVERY_S
        self._has_warned = False

    @property
    def is_member(self) -> bool:
        """Whether a manager has accepted this member, and answers."""
        return self.manager is not None and not self.asks_again

    # ------------------------------------------------------------------ events

    def judge(self, sender: str, welcome: Welcome, now: float) -> Welcomed:
        """What a welcome means; one that confirms the present conversation ends the asking."""
        if (welcome.worker_session, welcome.worker_call) != (self.session, self.call):
            return Welcomed.NOTHING
        if (sender, welcome.session) != (self.manager, self._manager_session):
            return Welcomed.AGAIN if self.manager is None else Welcomed.ANOTHER
        if welcome.admission == self._admission:
            self._end_asking(now)
        # One with a lower number was delayed: the manager has lost and accepted us again since.
        return Welcomed.NOTHING if welcome.admission <= self._admission else Welcomed.AGAIN

    def begin(self, sender: str, welcome: Welcome, now: float) -> None:
        """Begin the conversation that a welcome opens."""
        self.manager = sender
        self.manager_name = welcome.manager
        self._manager_session = welcome.session
        self._admission = welcome.admission
        self.heartbeat_s = welcome.heartbeat_s
        self.lost_after_s = welcome.lost_after_s
        self.has_joined = True
        self._end_asking(now)

    def end(self, call: int) -> None:
        """End the conversation; the next one has another number."""
        self.manager = None
        self.call = call

    def told_replaced(self, sender: str, told: ManagerReplaced) -> Reason | None:
        """Ask at once if another manager leads now than the one that was joined.

        Args:
            sender: the address that it was told from.
            told: what was told; one of another workspace member's manager is ignored.

        Returns:
            Why to ask; None if it does not concern this member.
        """
        is_own = sender == self.manager
        concerns_us = not is_own and told.manager == self.manager_name if told.leads else is_own
        if not concerns_us:
            return None
        self._ask_at_once()
        return Reason.REPLACED

    def may_be_gone(self, now: float) -> None:
        """Note a sign that the manager is gone, or that another one leads.

        Such signs are the end of a direct connection, and a frame of another manager's session.
        Anybody can repeat an old frame, so it proves nothing.
        """
        if not self.is_member:
            self._hello_at = min(self._hello_at, self._said_hello_at + HELLO_EVERY_S)
        elif self._missed_since is None:
            # The next heartbeat shows whether the manager answers.
            self._missed_since = self._heartbeat_at = now

    # ------------------------------------------------------------------ time

    def is_in_doubt(self, received_at: float, link_received_at: float, now: float) -> bool:
        """Whether it matters now if there is another ticket: to look takes a while."""
        late_s = LATE_AFTER_HEARTBEATS * self.heartbeat_s
        return (
            not self.is_member
            or self._missed_since is not None
            or now - min(received_at, link_received_at) > late_s
        )

    def step(self, seen: Seen, now: float) -> NextStep:
        """What to do now."""
        since, self._checked_at = self._checked_at, now
        if not self.is_member:
            return self._ask(seen, now, None)
        if self._missed_since is not None and seen.received_at > self._missed_since:
            self._missed_since = None
        reason = self._find_fault(seen, now if since is None else since, now)
        if reason in {Reason.OTHER_TICKET, Reason.LINK_DEAD}:
            return NextStep(Move.REPLACE, reason=reason)
        if reason is not None:
            self._ask_at_once()
            return self._ask(seen, now, reason)
        is_due = now >= self._heartbeat_at
        if is_due:
            self._heartbeat_at = now + self.heartbeat_s
        pause_s = self._heartbeat_at - now
        if self._missed_since is not None:
            pause_s = min(pause_s, LOOK_FOR_TICKET_EVERY_S)
        return NextStep(Move.KEEP, pause_s, is_due)

    def _find_fault(self, seen: Seen, checked_at: float, now: float) -> Reason | None:
        """Why the member can't just stay."""
        silent_s = now - seen.received_at
        # While the loop was blocked, what the manager sent was not read, and it may have given this
        # member up.
        absent_s = seen.late_since(checked_at) + self.heartbeat_s
        if max(silent_s, absent_s) > self.lost_after_s:
            late_s = seen.late_since(min(seen.received_at, checked_at))
            return Reason.SILENT if silent_s - late_s > self.lost_after_s else Reason.BLOCKED
        is_missed = self._missed_since is not None
        is_late = is_missed or silent_s > LATE_AFTER_HEARTBEATS * self.heartbeat_s
        if is_late and seen.has_other_ticket and seen.can_dial_again:
            return Reason.OTHER_TICKET
        at = seen.link_received_at
        if seen.can_dial_again and now - at - seen.late_since(at) > self.lost_after_s:
            return Reason.LINK_DEAD
        # Another manager may lead over the same link. A delayed one welcomes us again.
        return Reason.MISSED if is_missed and silent_s > ASK_WHEN_MISSED_S else None

    def _ask(self, seen: Seen, now: float, reason: Reason | None) -> NextStep:
        if self._asking_since is None:
            self._asking_since = self._hello_at = now
        asked_s = now - self._asking_since - seen.late_since(self._asking_since)
        timeout_s = JOIN_TIMEOUT_S if self._missed_since is None else REJOIN_TIMEOUT_S
        if seen.can_dial_again and (seen.has_other_ticket or asked_s >= timeout_s):
            why = Reason.OTHER_TICKET if seen.has_other_ticket else Reason.UNANSWERED
            return NextStep(Move.REPLACE, reason=why)
        if asked_s >= WARN_AFTER_S and not self._has_warned:
            self._has_warned, reason = True, Reason.NO_ANSWER
        is_due = now >= self._hello_at
        if is_due:
            self._said_hello_at = now
            self._hello_at = now + self._hello_pause_s
            self._hello_pause_s = min(self._hello_pause_s * 1.2, SLOWEST_HELLO_S)
        pause_s = self._hello_at - now
        if self.has_joined and asked_s < WARN_AFTER_S:
            pause_s = min(pause_s, LOOK_FOR_TICKET_EVERY_S)
        return NextStep(Move.ASK, pause_s, is_due, reason)

    def _ask_at_once(self) -> None:
        # The conversation stays open: if the manager has not lost us, it goes on.
        self.asks_again = True
        self._hello_at = 0.0

    def _end_asking(self, now: float) -> None:
        self.asks_again = self._has_warned = False
        self.welcomed_at = now
        self._asking_since = self._missed_since = None
        self._hello_pause_s = HELLO_EVERY_S
        self._heartbeat_at = now
