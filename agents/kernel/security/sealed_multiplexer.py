"""A mailroom whose frames all pass through a seal, and where nobody speaks for another."""

from __future__ import annotations

import math

from ....messages import DecodeError, Flaw
from ....messages.frame import decode_frame
from ..delivery.multiplexer import NOBODY_ELSE, Arrival, Multiplexer, Outgoing
from .address_claims import AddressClaims
from .seal import Opened, Seal


class SealedMultiplexer(Multiplexer):
    """A `Multiplexer` that wraps what leaves and unwraps what comes, before anything is decoded.

    Args:
        address: where this member is reached.
        seal: wraps and unwraps.
    """

    def __init__(self, address: str, seal: Seal) -> None:
        super().__init__(address)
        self._seal = seal
        self._claims = AddressClaims()

    def may_have_wire(self, peer: str, public_key: bytes) -> bool | None:
        """Whether whoever showed that a session is its own is the peer; see `Multiplexer`."""
        speaker = self._seal.speaker_of(public_key)
        if speaker is None:
            return True
        owner = self._claims.owner(peer) if self._seal.manages else self._seal.manager
        return None if owner is None else owner == speaker

    def collect(self, now: float) -> Outgoing | None:
        """Build the frame that is due, wrapped; the seal's own words come first.

        What goes by a wire is sealed there.
        """
        words = self._seal.collect()
        if words is not None:
            return words
        outgoing = super().collect(now)
        if outgoing is None or outgoing.by_wire:
            return outgoing
        return self._seal.wrap(outgoing, now)

    def receive(
        self,
        frame: bytes,
        now: float,
        listens_to: frozenset[str] = NOBODY_ELSE,
        *,
        by_wire_of: str | None = None,
    ) -> list[Arrival]:
        """Take in what the link brought, if the seal lets it in; see `Multiplexer.receive`."""
        if by_wire_of is not None:
            return super().receive(frame, now, listens_to, by_wire_of=by_wire_of)
        opened = self._seal.unwrap(frame, now)
        if opened is None:
            return []
        inside = decode_frame(opened.frame)
        if not self._may_speak_as(inside.sender, opened, now):
            raise DecodeError(
                Flaw.FORGED_SENDER,
                f"a frame in the name of {inside.sender[:80]!r}, which is another member's address",
            )
        size_bytes = len(opened.frame)
        arrivals = self._take_in(inside, size_bytes, now, listens_to, by_wire=False)
        if self._seal.manages or opened.is_managers:
            return arrivals
        return [arrival._replace(is_managers=False) for arrival in arrivals]

    def _may_speak_as(self, sender: str, opened: Opened, now: float) -> bool:
        if opened.speaker is None or opened.is_managers:
            # A manager passes on what members of other workspaces say.
            return True
        if not self._seal.manages and sender in self.peers:
            # The only peer of a client is its manager.
            return False
        return self._claims.allows(sender, opened.speaker, now)

    def next_alarm(self) -> float | None:
        """When something will be due, in seconds; see `Multiplexer.next_alarm`."""
        return -math.inf if self._seal.has_due else super().next_alarm()
