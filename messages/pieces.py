"""The messages about a message that is too long for one frame, and can't travel by blobs."""

from __future__ import annotations

from pydantic import Field

from .work import Message

PIECE_BYTES = 128 * 1024
"""The longest piece: handling one takes an event loop about a millisecond."""


class MessagePiece(Message):
    """A piece of an encoded message; the pieces of a message are sent in order.

    Args:
        transfer: the number of the message in the conversation; a new one ends a former one.
        size_bytes: the length of the whole message.
        offset: where the piece begins in it.
        content: the piece.
    """

    transfer: int = Field(ge=1)
    size_bytes: int = Field(ge=1)
    offset: int = Field(ge=0)
    content: bytes = Field(min_length=1, max_length=PIECE_BYTES)


class PieceTaken(Message):
    """The receiver has taken all pieces up to a position; the sender may send more.

    Args:
        transfer: the number of the message in the conversation.
        offset: how many bytes have been taken.
    """

    transfer: int = Field(ge=1)
    offset: int = Field(ge=0)
