"""Reads a response's body, packed or not, and stops where it grows too large."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import AsyncIterator

from ...messages import PageUnavailable

ACCEPTED_ENCODINGS = "gzip, deflate"
_WITH_GZIP_HEADER = zlib.MAX_WBITS | 16

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE
)
_DECLARED_WITHIN_BYTES = 1024
_LATIN_1 = {"iso8859-1", "ascii"}
"""Whoever names these mostly means Windows' superset of them; browsers take it so."""


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


def decode_page(body: bytes, told: str | None) -> str:
    """Decode a page; characters that can't be read become U+FFFD.

    Args:
        body: the page.
        told: the charset that the server named, if any.
    """
    for mark, charset in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(charset, "replace")
    declared = _DECLARED.search(body[:_DECLARED_WITHIN_BYTES])
    for name in (told, declared[1].decode("ascii") if declared else None):
        if name and (text := _decode_as(name, body)) is not None:
            return text
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def _decode_as(name: str, body: bytes) -> str | None:
    try:
        charset = codecs.lookup(name.strip().strip("\"'")).name
        return body.decode("cp1252" if charset in _LATIN_1 else charset, "replace")
    except (LookupError, ValueError):
        # Python also knows codecs that are no charsets, such as "zip", and says so here.
        return None
