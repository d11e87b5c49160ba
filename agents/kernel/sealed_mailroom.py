"""A mailroom whose frames all pass through a seal."""

from __future__ import annotations

import math

from .mailroom import NOBODY_ELSE, Arrival, Mailroom, Outgoing
from .seal import Seal


class SealedMailroom(Mailroom):
    """A `Mailroom` that wraps what leaves and unwraps what comes, before anything is decoded.

    Args:
        address: where this member is reached.
        seal: wraps and unwraps.
    """

    def __init__(self, address: str, seal: Seal) -> None:
        super().__init__(address)
        self._seal = seal

    def collect(self, now: float) -> Outgoing | None:
        """Build the frame that is due, wrapped; the seal's own words come first."""
        words = self._seal.collect()
        if words is not None:
            return words
        outgoing = super().collect(now)
        return None if outgoing is None else self._seal.wrap(outgoing, now)

    def receive(
        self,
        frame: bytes,
        now: float,
        listens_to: frozenset[str] = NOBODY_ELSE,
        *,
        by_wire: bool = False,
    ) -> list[Arrival]:
        """Take in what the link brought, if the seal lets it in; see `Mailroom.receive`."""
        inside = self._seal.unwrap(frame, now)
        if inside is None:
            return []
        return super().receive(inside, now, listens_to, by_wire=by_wire)

    def next_alarm(self) -> float | None:
        """When something will be due, in seconds; see `Mailroom.next_alarm`."""
        return -math.inf if self._seal.has_due else super().next_alarm()
