"""A client's end of sealing: finds the manager's session, and binds its own frames to it.

A client accepts a manager's session only from a challenge that answers a frame which this client
has sent since it last accepted one: replaying recorded frames has no effect. While it receives
frames from the manager that admitted it, it accepts no other, not even one that knows the secret.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ....messages import DecodeError, Flaw
from ....messages.frame import ANY_MANAGER
from ..delivery.frame_seal import Outgoing
from .address_claims import AddressClaims
from .alerts import AlertDelay, read_alert
from .identity import Identity
from .peer_sessions import MAX_SENDERS, PeerSessions, ReplayWindow
from .seal import Opened
from .sealed_frame import SEALED_VERSION, FrameKey, FrameKind, Header, KeyRing, Speaker, read_header
from .workspace_secret import WorkspaceSecret

MANAGER_SILENCE_S = 1.0
"""How long a client's manager must have been silent before the client accepts another, in seconds.
"""

_PROBE_S = 1.0
"""How long to wait for the answer to a probe before the next one is sent, in seconds."""

_MAX_DUE = 8


class _Probe(NamedTuple):
    counter: int
    at: float


class _Admission(NamedTuple):
    """The manager session that a client belongs to.

    Args:
        manager: the session.
        pass_number: the pass with which the client proves that it was admitted.
        own_key: seals what this client sends.
        manager_key: opens what the manager sends.
        manager_window: which of the manager's frames were seen.
        senders: the other clients of that session.
    """

    manager: bytes
    pass_number: int
    own_key: FrameKey
    manager_key: FrameKey
    manager_window: ReplayWindow
    senders: PeerSessions


class ClientSeal:
    """Seals what a worker or client sends, and opens the frames of its manager's session.

    While it knows no manager session, it sends a probe in place of each frame, and keeps the newest
    frame to send it as soon as it is admitted. See `Seal`.

    Args:
        secret: the workspace's secret.
        workspace_id: the workspace.
        identity: signs its frames; new at each start.
        max_senders: for how many other clients seen frames are remembered.
    """

    manages = False

    def __init__(
        self,
        secret: WorkspaceSecret,
        workspace_id: str,
        identity: Identity,
        max_senders: int = MAX_SENDERS,
    ) -> None:
        self.identity = identity
        session = self._session = identity.session(workspace_id)
        self._keys = KeyRing(secret, workspace_id)
        self._probe_key = self._keys.key_for(Header(FrameKind.PROBE, session))
        self._max_senders = max_senders
        self._claims = AddressClaims()
        self._counter = 0
        self._admission: _Admission | None = None
        self._admitted_at_counter = 0
        self._manager_received_at = 0.0
        self._probed: _Probe | None = None
        self._round_trip_s: float | None = None
        self._kept: Outgoing | None = None
        self._alert_delay = AlertDelay()
        self.due: deque[Outgoing] = deque(maxlen=_MAX_DUE)

    @property
    def refusal(self) -> str | None:
        """Why this member is refused; None once it was admitted."""
        return self._alert_delay.refusal if self._admission is None else None

    @property
    def blob_key(self) -> bytes | None:
        """The key of this workspace's blobs."""
        return self._keys.blob_key()

    def probe(self, now: float) -> float | None:
        """Send a probe although it was admitted: the challenge shows how long an answer takes."""
        round_trip_s, self._round_trip_s = self._round_trip_s, None
        if self._probed is None or round_trip_s is not None or now - self._probed.at > _PROBE_S:
            probe = Header(FrameKind.PROBE, self._session, counter=self._next_counter())
            self._probed = _Probe(probe.counter, now)
            self.due.append(Outgoing(self._probe_key.seal(probe, self.identity), ANY_MANAGER))
        return round_trip_s

    def may_speak_as(self, address: str, opened: Opened, *, is_peer: bool, now: float) -> bool:
        """Whether a sender may use an address.

        Only the manager may use its own address, which is that of this client's only peer.
        """
        assert opened.speaker is not None
        return not is_peer and self._claims.allows(address, opened.speaker, now)

    def owns(self, address: str, public_key: bytes) -> bool | None:
        """Whether a public key is the manager's; None if no manager has admitted this client."""
        del address
        if self._admission is None:
            return None
        manager = Speaker(SEALED_VERSION, self._admission.manager)
        return self._keys.speaker_of(public_key) == manager

    def collect(self) -> Outgoing | None:
        """Return the frame that waited for the manager's session."""
        return self.due.popleft() if self.due else None

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Seal a frame for the manager's session; return a probe instead if none is known."""
        if self._admission is None:
            self._alert_delay.asked(now)
            self._kept = outgoing
            probe = Header(FrameKind.PROBE, self._session, counter=self._next_counter())
            return Outgoing(self._probe_key.seal(probe, self.identity), ANY_MANAGER)
        return self._seal(self._admission, outgoing)

    def unwrap(self, data: bytes, now: float) -> Opened | None:
        """Open a frame of the manager's session; handle a challenge that answers this client."""
        header = read_header(data)
        if header.kind is FrameKind.ALERT:
            if header.bound_to == self._session:
                self._alert_delay.alerted(read_alert(data), now)
            return None
        if header.version != SEALED_VERSION or header.kind is FrameKind.PROBE:
            # It is for members of an earlier version, or for the manager.
            return None
        if header.sender == self._session:
            raise DecodeError(Flaw.REPLAYED, "a frame with this member's own session")
        if header.kind is FrameKind.CHALLENGE:
            self._heed(header, data, now)
            return None
        admission = self._admission
        manager = header.sender if header.kind is FrameKind.MANAGER else header.bound_to
        if admission is None or manager != admission.manager:
            self._keys.key_for(header).open(header, data)
            raise DecodeError(Flaw.STALE_SESSION, "a frame of another manager's session")
        if header.kind is FrameKind.CLIENT:
            if admission.senders.is_stale(header):
                raise DecodeError(Flaw.STALE_SESSION, "a frame with a pass that is too old")
            return Opened(admission.senders.open(header, data), header.speaker)
        content = admission.manager_key.open(header, data)
        if not admission.manager_window.accept(header.counter):
            raise DecodeError(Flaw.REPLAYED, "a manager's frame that has already arrived")
        self._manager_received_at = now
        return Opened(content, header.speaker, is_managers=True)

    def _heed(self, challenge: Header, data: bytes, now: float) -> None:
        if challenge.bound_to != self._session:
            return
        self._keys.key_for(challenge).open(challenge, data)
        if challenge.pass_number <= self._admitted_at_counter:
            raise DecodeError(Flaw.REPLAYED, "a challenge for a frame that was already answered")
        before = self._admission
        is_other = before is not None and before.manager != challenge.sender
        if is_other and now - self._manager_received_at < MANAGER_SILENCE_S:
            raise DecodeError(
                Flaw.STALE_SESSION, "another manager's challenge while this one's still sends"
            )
        if self._probed is not None and challenge.pass_number == self._probed.counter:
            self._round_trip_s = now - self._probed.at
        self._manager_received_at = now
        pass_number = challenge.counter
        own = Header(FrameKind.CLIENT, self._session, challenge.sender, pass_number)
        if before is not None and not is_other:
            # Only the pass is new: frames of this manager that were seen stay seen.
            self._admission = before._replace(
                pass_number=pass_number, own_key=self._keys.key_for(own)
            )
        else:
            self._admission = _Admission(
                manager=challenge.sender,
                pass_number=pass_number,
                own_key=self._keys.key_for(own),
                manager_key=self._keys.key_for(Header(FrameKind.MANAGER, challenge.sender)),
                # Earlier frames of the manager were not for this client: they are replays.
                manager_window=ReplayWindow(floor=pass_number),
                senders=PeerSessions(self._keys, self._max_senders),
            )
        self._admitted_at_counter = self._counter
        if self._kept is not None:
            self.due.append(self._seal(self._admission, self._kept))
            self._kept = None

    def _seal(self, admission: _Admission, outgoing: Outgoing) -> Outgoing:
        header = Header(
            FrameKind.CLIENT,
            self._session,
            admission.manager,
            admission.pass_number,
            self._next_counter(),
        )
        return outgoing._replace(
            frame=admission.own_key.seal(header, self.identity, outgoing.frame)
        )

    def _next_counter(self) -> int:
        self._counter += 1
        return self._counter
