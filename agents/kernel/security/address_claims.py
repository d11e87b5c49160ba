"""Which member an address belongs to: the first that spoke from there."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from .sealed_frame import Speaker

CLAIM_KEPT_S = 15.0
"""How long an address belongs to a member that says nothing, in seconds."""

MAX_CLAIMS = 20_000
"""Of how many addresses it is known whose they are: those that were heard last."""


class _Claim(NamedTuple):
    speaker: Speaker
    heard_at: float


class AddressClaims:
    """Tells whether a member speaks from its own address.

    Args:
        limit: how many addresses are remembered.
    """

    def __init__(self, limit: int = MAX_CLAIMS) -> None:
        self._claims: OrderedDict[str, _Claim] = OrderedDict()
        self._limit = limit

    def owner(self, address: str) -> Speaker | None:
        """Whose an address is; None if nobody is known to have spoken from there."""
        claim = self._claims.get(address)
        return None if claim is None else claim.speaker

    def allows(self, address: str, speaker: Speaker, now: float) -> bool:
        """Take note that a member speaks from an address; False if that is another's.

        Args:
            address: from where it says that it speaks.
            speaker: the member.
            now: the time in seconds.
        """
        claim = self._claims.get(address)
        if claim is not None and claim.speaker != speaker and now - claim.heard_at < CLAIM_KEPT_S:
            return False
        self._claims[address] = _Claim(speaker, now)
        self._claims.move_to_end(address)
        if len(self._claims) > self._limit:
            self._claims.popitem(last=False)
        return True
