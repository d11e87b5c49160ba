"""How frames travel: the protocol that every link follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

FrameReceiver: TypeAlias = Callable[[bytes], None]
"""Called with each frame that arrives; must not raise and must not wait."""


class Link(Protocol):
    """A way into one workspace, in which everyone may hear every frame.

    A link promises nothing: frames may be lost, doubled, reordered or forged.
    """

    @property
    def address(self) -> str:
        """Where others reach this member; new at every start of it."""
        ...

    async def send(self, frame: bytes, to: str | None = None) -> None:
        """Send a frame, to one member by its address or to everyone.

        Returns as soon as the link has taken it over, which may wait while the link is busy.
        """
        ...
