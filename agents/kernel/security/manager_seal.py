"""The manager's end of sealing: opens frames that are bound to its session, and answers others.

A client must prove that it is alive: it binds its frames to the manager's session, which is new at
each start. It learns the session from a challenge. The manager sends one to a client that probes,
or uses a former session, with the right secret.

Workers of an earlier version neither sign nor accept signed frames. As soon as one of them was
admitted, every frame of the manager is sent a second time in their format.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from ....messages import DecodeError, Flaw
from ..delivery.frame_seal import Outgoing, session_address
from .address_claims import AddressClaims
from .alerts import Alert, pack_alert
from .identity import Identity
from .peer_sessions import MAX_SENDERS, PeerSessions
from .seal import Opened
from .sealed_frame import (
    NO_SESSION,
    UNSIGNED_VERSION,
    FrameKey,
    FrameKind,
    Header,
    KeyRing,
    Speaker,
    read_header,
)
from .token_bucket import TokenBucket
from .workspace_secret import WorkspaceSecret

CHALLENGES_PER_S = 500.0
CHALLENGES_AT_ONCE = 2_000
"""The sustained rate and the burst of answers: a thousand workers may start at once, and a stranger
that repeats recorded frames takes a fraction of a core."""

ALERTS_PER_S = 10.0
_CHALLENGE_PAUSE_S = 0.05
_LONG_CHALLENGE_PAUSE_S = 1.0
_EARLY_CHALLENGES_PER_S = 50.0
"""How long a client that was answered waits for another answer, in seconds: the longer time if more
clients than this per second ask again before. A busy manager answers late, and most of its clients
have asked again by then."""

_MAX_ANSWERED = 4096
_MAX_DUE = CHALLENGES_AT_ONCE


class _Answered(NamedTuple):
    counter: int
    at: float


class ManagerSeal:
    """Seals what a manager sends, and opens frames that are bound to its session; see `Seal`.

    Args:
        secret: the workspace's secret.
        workspace_id: the workspace.
        identity: signs its frames; new at each start.
        max_senders: for how many clients seen frames are remembered.
    """

    refusal: str | None = None
    manages = True

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
        self._own_key = self._keys.key_for(Header(FrameKind.MANAGER, session))
        # For workers of an earlier version, as soon as there is one.
        self._unsigned_key: FrameKey | None = None
        self._counter = 0
        self._claims = AddressClaims()
        self._senders = PeerSessions(self._keys, max_senders)
        # The clients that were answered last: a repeated question gets no new answer.
        self._answered: OrderedDict[Speaker, _Answered] = OrderedDict()
        self._challenges = TokenBucket(CHALLENGES_PER_S, CHALLENGES_AT_ONCE)
        self._early_challenges = TokenBucket(_EARLY_CHALLENGES_PER_S, int(_EARLY_CHALLENGES_PER_S))
        self._alerts = TokenBucket(ALERTS_PER_S, int(ALERTS_PER_S))
        self.due: deque[Outgoing] = deque(maxlen=_MAX_DUE)

    @property
    def blob_key(self) -> bytes | None:
        """The key of this workspace's blobs."""
        return self._keys.blob_key()

    def probe(self, now: float) -> float | None:
        """None: a manager sends no probes."""
        del now

    def may_speak_as(self, address: str, opened: Opened, *, is_peer: bool, now: float) -> bool:
        """Whether a client may use an address: no other client has used it lately."""
        del is_peer
        assert opened.speaker is not None
        return self._claims.allows(address, opened.speaker, now)

    def owns(self, address: str, public_key: bytes) -> bool | None:
        """Whether a public key belongs to the client at an address; None if it never used one."""
        owner = self._claims.owner(address)
        return None if owner is None else owner == self._keys.speaker_of(public_key)

    def collect(self) -> Outgoing | None:
        """Return the next challenge or alert."""
        return self.due.popleft() if self.due else None

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Seal a frame for the clients of this session."""
        del now
        header = Header(FrameKind.MANAGER, self._session, counter=self._next_counter())
        if self._unsigned_key is not None:
            unsigned = header._replace(version=UNSIGNED_VERSION)
            frame = self._unsigned_key.seal(unsigned, self.identity, outgoing.frame)
            self.due.append(Outgoing(frame, None))
        return outgoing._replace(frame=self._own_key.seal(header, self.identity, outgoing.frame))

    def unwrap(self, data: bytes, now: float) -> Opened | None:
        """Open a frame of a client that is bound to this session; challenge one that is not."""
        try:
            header = read_header(data)
        except DecodeError as fault:
            if fault.flaw is Flaw.UNSEALED:
                self._notify(Alert.SEALED, NO_SESSION, now)
            raise
        if header.kind is FrameKind.ALERT:
            return None
        if header.sender == self._session:
            raise DecodeError(Flaw.REPLAYED, "a frame with this member's own session")
        if header.kind in {FrameKind.MANAGER, FrameKind.CHALLENGE}:
            self._keys.key_for(header).open(header, data)
            raise DecodeError(Flaw.STALE_SESSION, "a frame of another manager's session")
        try:
            return self._open(header, data, now)
        except DecodeError as fault:
            if fault.flaw is Flaw.WRONG_SECRET:
                self._notify(Alert.WRONG_SECRET, header.sender, now)
            raise

    def _open(self, header: Header, data: bytes, now: float) -> Opened | None:
        is_bound = header.kind is FrameKind.CLIENT and header.bound_to == self._session
        if is_bound and not self._senders.is_stale(header):
            content = self._senders.open(header, data)
            if header.version == UNSIGNED_VERSION and self._unsigned_key is None:
                own = Header(FrameKind.MANAGER, self._session, version=UNSIGNED_VERSION)
                self._unsigned_key = self._keys.key_for(own)
            return Opened(content, header.speaker)
        # Before it is decrypted, which takes most of the time.
        if header.kind is FrameKind.PROBE and not self._may_answer(header, now):
            return None
        self._keys.key_for(header).open(header, data)
        self._challenge(header, now)
        if header.kind is FrameKind.PROBE:
            return None
        raise DecodeError(Flaw.STALE_SESSION, "a client's frame for a former session")

    def _may_answer(self, header: Header, now: float) -> bool:
        """Whether a client may be answered now.

        Raises:
            DecodeError: it was answered already.
        """
        if not self._challenges.has_any(now):
            return False
        before = self._answered.get(header.speaker)
        if before is None:
            return True
        if header.counter <= before.counter:
            raise DecodeError(Flaw.REPLAYED, "a client's question that was already answered")
        age_s = now - before.at
        if age_s < _CHALLENGE_PAUSE_S:
            return False
        return age_s >= _LONG_CHALLENGE_PAUSE_S or self._early_challenges.has_any(now)

    def _challenge(self, header: Header, now: float) -> None:
        if not self._may_answer(header, now):
            return
        before = self._answered.get(header.speaker)
        if before is not None and now - before.at < _LONG_CHALLENGE_PAUSE_S:
            self._early_challenges.take(now)
        self._challenges.take(now)
        self._answered[header.speaker] = _Answered(header.counter, now)
        self._answered.move_to_end(header.speaker)
        if len(self._answered) > _MAX_ANSWERED:
            self._answered.popitem(last=False)
        answer = Header(
            FrameKind.CHALLENGE,
            self._session,
            header.sender,
            header.counter,
            self._next_counter(),
            header.version,
        )
        frame = self._keys.key_for(answer).seal(answer, self.identity)
        self.due.append(Outgoing(frame, session_address(header.sender)))

    def _notify(self, alert: Alert, session: bytes, now: float) -> None:
        if self._alerts.take(now):
            to = None if session == NO_SESSION else session_address(session)
            self.due.append(Outgoing(pack_alert(alert, session), to))

    def _next_counter(self) -> int:
        self._counter += 1
        return self._counter
