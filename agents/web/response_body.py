"""Reads a response's body, packed or not, and stops where it grows too large."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from ...messages import PageUnavailable

ACCEPTED_ENCODINGS = "gzip, deflate"
_WITH_GZIP_HEADER = zlib.MAX_WBITS | 16


async def read_bounded(
    chunks: AsyncIterator[bytes], encoding: str, max_bytes: int, url: str
) -> bytes:
    """Gather a body.

    A few kilobytes can unpack to gigabytes, so unpacking stops at the limit and not after it.

    Args:
        chunks: what arrives, as it arrives.
        encoding: the header Content-Encoding, "" if there is none.
        max_bytes: how much may come, and how much it may be when unpacked.
        url: where it comes from, for people.

    Raises:
        PageUnavailable: it is too large, broken, or packed in a way that was not asked for.
    """
    unpacker = _unpacker(encoding.strip().lower(), max_bytes, url)
    body = bytearray()
    arrived = 0
    async for chunk in chunks:
        arrived += len(chunk)
        if arrived > max_bytes:
            raise _too_large(url, max_bytes)
        body += chunk if unpacker is None else unpacker.feed(chunk, max_bytes - len(body))
    if unpacker is not None:
        unpacker.finish()
    return bytes(body)


class _Unpacker:
    def __init__(self, packing: str, max_bytes: int, url: str) -> None:
        self._packing = packing
        self._max_bytes = max_bytes
        self._url = url
        self._stream = zlib.decompressobj(_WITH_GZIP_HEADER if packing == "gzip" else 0)
        if packing == "deflate":
            self._stream = zlib.decompressobj()
        self._has_begun = False

    def feed(self, chunk: bytes, room: int) -> bytes:
        if not chunk:
            return b""
        try:
            unpacked = self._decompress(chunk, room + 1)
        except zlib.error as fault:
            raise PageUnavailable(f"{self._url} came as broken {self._packing}: {fault}") from None
        self._has_begun = True
        if len(unpacked) > room or self._stream.unconsumed_tail:
            raise _too_large(self._url, self._max_bytes)
        return unpacked

    def _decompress(self, chunk: bytes, most: int) -> bytes:
        try:
            return self._stream.decompress(chunk, most)
        except zlib.error:
            if self._packing != "deflate" or self._has_begun:
                raise
            # Some servers send deflate without the header that the standard wants.
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._stream.decompress(chunk, most)

    def finish(self) -> None:
        if self._has_begun and not self._stream.eof:
            raise PageUnavailable(f"{self._url} ended in the middle of its {self._packing}")


def _unpacker(encoding: str, max_bytes: int, url: str) -> _Unpacker | None:
    if encoding in {"", "identity"}:
        return None
    packing = encoding.removeprefix("x-")
    if packing not in {"gzip", "deflate"}:
        raise PageUnavailable(
            f"{url} came packed as {encoding!r}, though only {ACCEPTED_ENCODINGS} was accepted"
        )
    return _Unpacker(packing, max_bytes, url)


def _too_large(url: str, max_bytes: int) -> PageUnavailable:
    return PageUnavailable(f"{url} has more than the {max_bytes:,} bytes that a page may have")
