"""Decides which frames a member accepts, and encrypts those that it sends."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..delivery.frame_seal import FrameSeal
from .identity import Identity
from .sealed_frame import Speaker


class Opened(NamedTuple):
    """A frame that was accepted.

    Args:
        frame: its bytes.
        speaker: who sent it; None if that can't be told.
        is_managers: whether it comes from the manager that this member belongs to.
    """

    frame: bytes
    speaker: Speaker | None = None
    is_managers: bool = False


class Seal(FrameSeal[Opened], Protocol):
    """A `FrameSeal` that also tells whether this member may join, and has keys for more."""

    @property
    def refusal(self) -> str | None:
        """Why this member can't join, as a sentence to a person; None as long as it may."""
        ...

    @property
    def blob_key(self) -> bytes | None:
        """What blobs of this workspace are encrypted with; None leaves them open."""
        ...

    @property
    def identity(self) -> Identity | None:
        """Signs what this member sends; None if nothing is sealed."""
        ...

    def probe(self, now: float) -> float | None:
        """Ask the manager for an answer by the link.

        Args:
            now: the time in seconds.

        Returns:
            How long the last answer took, in seconds; None if there was none since the last call,
            or none is ever given.
        """
        ...
