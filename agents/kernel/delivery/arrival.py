"""A message that arrived, and the callback for letters between other members."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ....messages.frame import Section

Overhearer: TypeAlias = Callable[[str, Section], None]
"""Called with the sender and the letter of a message from one member to others."""


class Arrival(NamedTuple):
    """A message that arrived.

    Args:
        sender: the address that its sender claims.
        message: the encoded message.
        numbered: whether it belongs to the open conversation, so that it arrives once, in order.
        is_managers: whether it may be a manager's message; False if another client sent it.
    """

    sender: str
    message: bytes
    numbered: bool
    is_managers: bool = True
