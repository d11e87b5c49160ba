"""Notices: unencrypted words between members that have no secret in common.

Anybody can forge one, so it never moves a member that was let in, and one that was not believes it
only after it has asked for a while in vain.
"""

from __future__ import annotations

from enum import IntEnum

from .sealed_frame import HEADER_BYTES, NO_SESSION, UNSIGNED_VERSION, FrameKind, Header, pack_header

PATIENCE_S = 1.0
"""How long a member asks to be let in before it believes a notice, in seconds."""

_HOW_TO_GIVE_IT = (
    "give it the manager's ticket, or the secret that the manager was given "
    "(--secret-file, MUSTER_SECRET or secret=)"
)


class Alert(IntEnum):
    """Why a manager does not take in what it hears."""

    WRONG_SECRET = 1
    SEALED = 2
    NOT_SEALED = 3

    def told(self) -> str:
        """Why the member can't get in and what to do, in a sentence or two."""
        return _TOLD[self]


_TOLD = {
    Alert.WRONG_SECRET: (
        f"wrong secret: the manager can't open what this member sends; {_HOW_TO_GIVE_IT}"
    ),
    Alert.SEALED: (
        "this workspace is sealed, and this member is told to be insecure; "
        f"start it without --insecure (insecure=True), and {_HOW_TO_GIVE_IT}"
    ),
    Alert.NOT_SEALED: (
        "this workspace is not sealed: its manager runs with --insecure (insecure=True); "
        "start the manager without it, or this member with it"
    ),
}


def pack_notice(notice: Alert, session: bytes = NO_SESSION) -> bytes:
    """Turn a notice into a frame for one session, or for all that are not sealed."""
    # Older members are to understand it as well.
    header = Header(FrameKind.NOTICE, NO_SESSION, session, version=UNSIGNED_VERSION)
    return pack_header(header) + bytes((notice,))


def read_notice(data: bytes) -> Alert | None:
    """Read the notice in a frame of kind `NOTICE`; None if it holds none."""
    try:
        return Alert(int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 2], "big"))
    except ValueError:
        return None


class AlertDelay:
    """Decides when a notice is to be believed."""

    def __init__(self) -> None:
        self._asks_since: float | None = None
        self.refusal: str | None = None

    def asked(self, now: float) -> None:
        """Take note that the member asks to be let in."""
        if self._asks_since is None:
            self._asks_since = now

    def noticed(self, notice: Alert | None, now: float) -> None:
        """Take note of a notice; if it is to be believed, `refusal` tells it from then on."""
        if notice is None or self._asks_since is None:
            return
        if now - self._asks_since >= PATIENCE_S:
            self.refusal = notice.told()
