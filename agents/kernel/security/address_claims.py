"""Assigns each address to the first member that sends from it, and refuses other senders."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from .sealed_frame import Speaker

CLAIM_KEPT_S = 15.0
"""How long an address belongs to a silent member, in seconds."""

MAX_CLAIMS = 20_000
"""For how many addresses the owner is kept: the most recent ones."""


class _Claim(NamedTuple):
    speaker: Speaker
    last_received_at: float


class AddressClaims:
    """Checks whether a member sends from its own address."""

    def __init__(self, limit: int = MAX_CLAIMS) -> None:
        self._claims: OrderedDict[str, _Claim] = OrderedDict()
        self._limit = limit

    def owner(self, address: str) -> Speaker | None:
        """The owner of an address; None if it is unknown."""
        claim = self._claims.get(address)
        return None if claim is None else claim.speaker

    def allows(self, address: str, speaker: Speaker, now: float) -> bool:
        """Record that a member sends from an address; return False if it is another member's.

        Args:
            address: the address that the member claims.
            speaker: the member.
            now: the time in seconds.
        """
        claim = self._claims.get(address)
        if (
            claim is not None
            and claim.speaker != speaker
            and now - claim.last_received_at < CLAIM_KEPT_S
        ):
            return False
        self._claims[address] = _Claim(speaker, now)
        self._claims.move_to_end(address)
        if len(self._claims) > self._limit:
            self._claims.popitem(last=False)
        return True
