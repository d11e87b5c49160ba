"""What stands between a member's mailroom and its link, and lets through what belongs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..delivery.multiplexer import Outgoing
from .identity import Identity
from .sealed_frame import Speaker


class Opened(NamedTuple):
    """A frame that was let in.

    Args:
        frame: its bytes.
        speaker: who sent it; None if that can't be told.
        is_managers: whether it comes from the manager that this member belongs to.
    """

    frame: bytes
    speaker: Speaker | None = None
    is_managers: bool = False


class Seal(Protocol):
    """Wraps what leaves, unwraps what comes, and has words of its own to say."""

    @property
    def refusal(self) -> str | None:
        """Why this member can't get in, as a sentence to a person; None as long as it may."""
        ...

    @property
    def blob_key(self) -> bytes | None:
        """What blobs of this workspace are sealed with; None leaves them open."""
        ...

    @property
    def identity(self) -> Identity | None:
        """Signs what this member says; None if nothing is sealed."""
        ...

    @property
    def manages(self) -> bool:
        """Whether this member is the manager."""
        ...

    @property
    def manager(self) -> Speaker | None:
        """The manager of this member, if it is known and not this member itself."""
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

    def speaker_of(self, public_key: bytes) -> Speaker | None:
        """Who has shown that a public key is its own; None if nothing is sealed."""
        ...

    @property
    def has_due(self) -> bool:
        """Whether `collect` has something to give."""
        ...

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Make a frame fit to leave.

        Args:
            outgoing: what the mailroom wants sent.
            now: the time in seconds.
        """
        ...

    def unwrap(self, data: bytes, now: float) -> Opened | None:
        """Give the frame inside what the link brought; None if there is none for this member.

        Args:
            data: what the link brought, whatever it is.
            now: the time in seconds.

        Raises:
            DecodeError: it is not to be let in; nothing else is ever raised.
        """
        ...

    def collect(self) -> Outgoing | None:
        """Give the next frame that the seal itself wants sent; None if there is none."""
        ...
