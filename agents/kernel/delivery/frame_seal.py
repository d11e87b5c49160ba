"""The interface between a multiplexer and the encryption of its frames."""

from __future__ import annotations

from collections.abc import Sized
from typing import NamedTuple, Protocol, TypeVar

from ....messages.frame import SESSION_ADDRESS


class Outgoing(NamedTuple):
    """A frame that is ready to be sent.

    Args:
        frame: its bytes.
        to: the address of its only receiver; None if other members may need it. A seal, which knows
            no addresses, names `ANY_MANAGER` or a session: see `session_address`.
        is_direct: whether it must be sent over the direct connection to that receiver, and nowhere
            else.
    """

    frame: bytes
    to: str | None
    is_direct: bool = False


def session_address(session: bytes) -> str:
    """The address of the member that has a session, for links whose addresses are sessions."""
    return f"{SESSION_ADDRESS}{session.hex()}"


class OpenedFrame(Protocol):
    """A frame that a seal accepted."""

    @property
    def frame(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def speaker(self) -> object | None:
        """The sender; None if it is unknown, so that any address is accepted."""
        ...

    @property
    def is_managers(self) -> bool:
        """Whether it comes from the manager that this member belongs to.

        The manager may use any address: it relays messages from members of other workspaces.
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
        """The frames that `collect` will return."""
        ...

    def collect(self) -> Outgoing | None:
        """Return the next frame of the seal's own; None if there is none."""
        ...

    def wrap(self, outgoing: Outgoing, now: float) -> Outgoing:
        """Encrypt a frame that the link will send, at `now` (seconds)."""
        ...

    def unwrap(self, data: bytes, now: float) -> _Opened | None:
        """Decrypt a frame that the link received; None if it is not for this member.

        Raises:
            DecodeError: it is not acceptable. Nothing else is ever raised.
        """
        ...

    def may_speak_as(self, address: str, opened: _Opened, *, is_peer: bool, now: float) -> bool:
        """Whether the sender of a frame, which is known and not the manager, may use an address.

        Args:
            address: the sender's address according to the frame.
            opened: the frame, as `unwrap` returned it.
            is_peer: whether a conversation with that address is open.
            now: the time in seconds.
        """
        ...

    def owns(self, address: str, public_key: bytes) -> bool | None:
        """Whether a public key belongs to the member at an address; None if that is unknown."""
        ...
