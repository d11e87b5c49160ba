"""The seal of a member: verifies the frames that it receives, and encrypts those that it sends."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..delivery.frame_seal import FrameSeal
from .identity import Identity
from .sealed_frame import Speaker


class Opened(NamedTuple):
    """A frame that was accepted.

    Args:
        frame: its bytes.
        speaker: the sender; None if it is unknown.
        is_managers: whether it comes from the manager that this member belongs to.
    """

    frame: bytes
    speaker: Speaker | None = None
    is_managers: bool = False


class Seal(FrameSeal[Opened], Protocol):
    """A `FrameSeal` that also knows whether this member may join, and has further keys."""

    @property
    def refusal(self) -> str | None:
        """Why this member can't join, as a sentence for users; None as long as it may."""
        ...

    @property
    def blob_key(self) -> bytes | None:
        """The key of this workspace's blobs; None leaves them unencrypted."""
        ...

    @property
    def identity(self) -> Identity | None:
        """Signs what this member sends; None if nothing is sealed."""
        ...

    def probe(self, now: float) -> float | None:
        """Ask the manager for an answer over the link.

        Args:
            now: the time in seconds.

        Returns:
            The last round trip in seconds; None if there was none since the last call, or there
                never is one.
        """
        ...
