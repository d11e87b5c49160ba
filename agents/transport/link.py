"""How frames travel: the protocol that every link implements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

FrameReceiver: TypeAlias = Callable[[bytes], None]
"""Called with each frame that arrives; must not raise or block."""


class Link(Protocol):
    """A connection to one workspace.

    A link guarantees nothing: frames may be lost, duplicated, reordered or forged.
    """

    @property
    def one_receiver(self) -> bool:
        """Whether a frame reaches only whom it is sent to; otherwise every member may receive it.

        Then a frame may also be sent to `ANY_MANAGER`, or to the session of a member's seal.
        """
        ...

    @property
    def address(self) -> str:
        """The address of this member; a new one at every start."""
        ...

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame to one member by its address, or to everyone.

        Returns as soon as the link has accepted it, which may take a while if the link is busy.
        """
        ...
