"""What stands between a member's mailroom and its link, and lets through what belongs."""

from __future__ import annotations

from typing import Protocol

from .mailroom import Outgoing


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

    def unwrap(self, data: bytes, now: float) -> bytes | None:
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
