"""What a multiplexer needs of whatever encrypts its frames."""

from __future__ import annotations

from collections.abc import Sized
from typing import NamedTuple, Protocol, TypeVar


class Outgoing(NamedTuple):
    """A frame that is ready to leave.

    Args:
        frame: its bytes.
        to: the address of the only peer it is for, or None if others may have to receive it.
        by_wire: whether it must go by the direct connection to that peer, and in no other way.
    """

    frame: bytes
    to: str | None
    by_wire: bool = False


class OpenedFrame(Protocol):
    """A frame that a seal accepted."""

    @property
    def frame(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def speaker(self) -> object | None:
        """Who sent it; None if that can't be told, so that it may bear any address."""
        ...

    @property
    def is_managers(self) -> bool:
        """Whether it comes from the manager that this member belongs to.

        It may bear any address: a manager relays what members of other workspaces send.
        """
        ...


_Opened = TypeVar("_Opened", bound=OpenedFrame)


class FrameSeal(Protocol[_Opened]):
    """Encrypts the frames of one member, decrypts those of others, and sends frames of its own."""

    @property
    def manages(self) -> bool:
        """Whether this member is the manager."""
        ...

    @property
    def due(self) -> Sized:
        """The frames that `collect` has to give."""
        ...

    def collect(self) -> Outgoing | None:
        """Give the next frame that the seal itself wants sent; None if there is none."""
        ...

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Encrypt a frame that leaves by the link, at `now` (seconds)."""
        ...

    def unwrap(self, data: bytes, now: float) -> _Opened | None:
        """Decrypt what the link brought; None if it is not for this member.

        Raises:
            DecodeError: it is not acceptable; nothing else is ever raised.
        """
        ...

    def may_speak_as(self, address: str, opened: _Opened, *, is_peer: bool, now: float) -> bool:
        """Whether the sender of a frame, who is known and not the manager, may use an address.

        Args:
            address: the sender's address as the frame has it.
            opened: the frame, as `unwrap` gave it.
            is_peer: whether a conversation with that address is open.
            now: the time in seconds.
        """
        ...

    def owns(self, address: str, public_key: bytes) -> bool | None:
        """Whether a public key belongs to the member at an address; None if that is not known."""
        ...
