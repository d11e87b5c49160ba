"""Messages that arrived, and the callback for letters between other members."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ....messages.frame import Section

Overhearer: TypeAlias = Callable[[str, Section], None]
"""Called with the sender and the letter of a message from one member to others."""


class Arrival(NamedTuple):
    """The messages of one letter that arrived.

    Args:
        sender: the address that their sender claims.
        messages: the encoded messages.
        numbered: whether they belong to the open conversation, so that each arrives once, in order.
        is_managers: whether they may be a manager's messages; False if another client sent them.
    """

    sender: str
    messages: tuple[bytes, ...]
    numbered: bool
    is_managers: bool = True
