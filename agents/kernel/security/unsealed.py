"""The seal of a member of an unsealed workspace: passes frames unencrypted, and reports a mismatch.

If only one side seals, an alert tells the member that can't join the reason.
"""

from __future__ import annotations

from collections import deque

from ....messages import DecodeError, Flaw
from ..delivery.frame_seal import Outgoing, session_address
from .alerts import Alert, AlertDelay, pack_alert, read_alert
from .identity import Identity
from .manager_seal import ALERTS_PER_S
from .seal import Opened
from .sealed_frame import NO_SESSION, FrameKind, read_header
from .token_bucket import TokenBucket

_MAX_DUE = 32


class Unsealed:
    """Passes frames unencrypted, and drops sealed ones; see `Seal`.

    Args:
        manages: whether this is the manager, which sends an alert to members that seal.
    """

    identity: Identity | None = None

    def __init__(self, *, manages: bool) -> None:
        self._manages = manages
        self._alert_delay = AlertDelay()
        self._alerts = TokenBucket(ALERTS_PER_S, int(ALERTS_PER_S))
        self.due: deque[Outgoing] = deque(maxlen=_MAX_DUE)

    @property
    def refusal(self) -> str | None:
        """Why this member is refused; ignore it if the member was admitted."""
        return self._alert_delay.refusal

    @property
    def blob_key(self) -> bytes | None:
        """None: blobs are unencrypted as well."""
        return None

    @property
    def manages(self) -> bool:
        """Whether this member is the manager."""
        return self._manages

    def probe(self, now: float) -> float | None:
        """None: an unsealed manager answers no probes."""
        del now

    def may_speak_as(self, address: str, opened: Opened, *, is_peer: bool, now: float) -> bool:
        """True: members of an unsealed workspace prove no identity."""
        del address, opened, is_peer, now
        return True

    def owns(self, address: str, public_key: bytes) -> bool | None:
        """True: members of an unsealed workspace prove no identity."""
        del address, public_key
        return True

    def collect(self) -> Outgoing | None:
        """Return the next alert."""
        return self.due.popleft() if self.due else None

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Return the frame as it is."""
        self._alert_delay.asked(now)
        return outgoing

    def unwrap(self, data: bytes, now: float) -> Opened | None:
        """Accept a frame that is not sealed."""
        try:
            header = read_header(data)
        except DecodeError as fault:
            if fault.flaw is Flaw.UNSEALED:
                return Opened(data, is_managers=not self._manages)
            raise
        if header.kind is FrameKind.ALERT:
            if header.bound_to == NO_SESSION and not self._manages:
                self._alert_delay.alerted(read_alert(data), now)
            return None
        asks = header.kind in {FrameKind.PROBE, FrameKind.CLIENT}
        if self._manages and asks and self._alerts.take(now):
            alert = pack_alert(Alert.NOT_SEALED, header.sender)
            self.due.append(Outgoing(alert, session_address(header.sender)))
        raise DecodeError(Flaw.VERSION, "a sealed frame; this member does not seal")
