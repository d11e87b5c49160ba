"""Sends a long message in pieces, and joins those that arrive; the loop is free between two pieces.

The pieces go in a conversation, in which all arrive in order. Whoever sends waits when many are on
their way: the others that share the loop and the link come first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import BaseModel

from ...messages import MAX_MESSAGE_BYTES, MessagePiece, PieceTaken
from ...messages.pieces import PIECE_BYTES

PIECES_ABOVE_BYTES = 512 * 1024
"""The longest message that is sent in one frame to a client, or by one, if there are no blobs."""

WINDOW_BYTES = 4 * PIECE_BYTES
"""How many bytes may be on their way."""


class PieceSender:
    """Sends one message after the other in pieces.

    Args:
        post: sends a message in the conversation.
    """

    def __init__(self, post: Callable[[BaseModel], None]) -> None:
        self._post = post
        self._turn = asyncio.Lock()
        self._transfer = 0
        self._taken_bytes = 0
        self._progress = asyncio.Event()

    async def send(self, message: bytes) -> None:
        """Send an encoded message, and return when the receiver has it.

        To cancel this ends the transfer, for the receiver as soon as the next one begins.
        """
        async with self._turn:
            self._transfer += 1
            self._taken_bytes = 0
            for offset in range(0, len(message), PIECE_BYTES):
                await self._wait_until_taken(offset + PIECE_BYTES - WINDOW_BYTES)
                self._post(
                    MessagePiece(
                        transfer=self._transfer,
                        size_bytes=len(message),
                        offset=offset,
                        content=message[offset : offset + PIECE_BYTES],
                    )
                )
            await self._wait_until_taken(len(message))

    def taken(self, taken: PieceTaken) -> None:
        """The receiver has taken pieces."""
        if taken.transfer == self._transfer:
            self._taken_bytes = max(self._taken_bytes, taken.offset)
            self._progress.set()

    async def _wait_until_taken(self, offset: int) -> None:
        while self._taken_bytes < offset:
            self._progress.clear()
            await self._progress.wait()


class PieceReceiver:
    """Joins the pieces of messages, which arrive one after the other.

    Args:
        post: sends a message in the conversation.
    """

    def __init__(self, post: Callable[[BaseModel], None]) -> None:
        self._post = post
        self._transfer = 0
        # Bounded by the longest message.
        self._joined = bytearray()

    def take(self, piece: MessagePiece) -> bytes | None:
        """Take a piece; returns the message when it is complete. An absurd piece is ignored."""
        if piece.transfer > self._transfer:
            self._transfer = piece.transfer
            self._joined = bytearray()
        end = piece.offset + len(piece.content)
        if (
            piece.transfer != self._transfer
            or piece.offset != len(self._joined)
            or not end <= piece.size_bytes <= MAX_MESSAGE_BYTES
        ):
            return None
        self._joined += piece.content
        self._post(PieceTaken(transfer=piece.transfer, offset=end))
        if end < piece.size_bytes:
            return None
        joined, self._joined = self._joined, bytearray()
        return bytes(joined)
