"""Alerts: unencrypted messages between members that share no secret.

Alerts can be forged. So an admitted member ignores them, and others believe them only after their
join requests got no answer for a while.
"""

from __future__ import annotations

from enum import IntEnum

from .sealed_frame import HEADER_BYTES, NO_SESSION, UNSIGNED_VERSION, FrameKind, Header, pack_header

BELIEF_DELAY_S = 1.0
"""How long join requests must go unanswered before a member believes an alert, in seconds."""

_HOW_TO_GIVE_IT = (
    "give it the manager's ticket, or the secret that the manager was given "
    "(--secret-file, MUSTER_SECRET or secret=)"
)


class Alert(IntEnum):
    """The reason why a manager does not accept a frame."""

    WRONG_SECRET = 1
    SEALED = 2
    NOT_SEALED = 3

    def explain(self) -> str:
        """The reason for the refusal and the remedy, as a sentence or two."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    Alert.WRONG_SECRET: (
        f"wrong secret: the manager can't decrypt what this member sends; {_HOW_TO_GIVE_IT}"
    ),
    Alert.SEALED: (
        "this workspace is sealed, and this member was started as insecure; "
        f"start it without --insecure (insecure=True), and {_HOW_TO_GIVE_IT}"
    ),
    Alert.NOT_SEALED: (
        "this workspace is not sealed: its manager runs with --insecure (insecure=True); "
        "start the manager without it, or this member with it"
    ),
}


def pack_alert(alert: Alert, session: bytes = NO_SESSION) -> bytes:
    """Encode an alert for one session, or for all that are not sealed."""
    # Older members must be able to decode it.
    header = Header(FrameKind.ALERT, NO_SESSION, session, version=UNSIGNED_VERSION)
    return pack_header(header) + bytes((alert,))


def read_alert(data: bytes) -> Alert | None:
    """Decode the alert in a frame of kind `ALERT`; None if it holds none."""
    try:
        return Alert(int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 2], "big"))
    except ValueError:
        return None


class AlertDelay:
    """Decides when an alert is believed."""

    def __init__(self) -> None:
        self._asks_since: float | None = None
        self.refusal: str | None = None

    def asked(self, now: float) -> None:
        """Record a join request of the member."""
        if self._asks_since is None:
            self._asks_since = now

    def alerted(self, alert: Alert | None, now: float) -> None:
        """Record an alert; if it is believed, `refusal` says so from then on."""
        if alert is None or self._asks_since is None:
            return
        if now - self._asks_since >= BELIEF_DELAY_S:
            self.refusal = alert.explain()
