"""Reads a response's body with a size limit, decompresses it, and decodes it to text."""

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
"""Decoded as Windows-1252, a superset that pages usually mean; browsers do the same."""


async def read_bounded(
    chunks: AsyncIterator[bytes], encoding: str, max_bytes: int, url: str
) -> bytes:
    """Read a body.

    A few kilobytes can decompress to gigabytes, so decompression stops at the limit.

    Args:
        chunks: the chunks of the body.
        encoding: the header Content-Encoding, or "".
        max_bytes: the maximum size, both as transferred and after decompression.
        url: its URL, for messages.

    Raises:
        PageUnavailable: the body is too large or damaged, or has an unsupported encoding.
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
            raise PageUnavailable(f"{self._url} sent invalid {self._packing}: {fault}") from None
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
            # Some servers send deflate without the header that the standard requires.
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._stream.decompress(chunk, most)

    def finish(self) -> None:
        if self._has_begun and not self._stream.eof:
            raise PageUnavailable(f"{self._url} sent incomplete {self._packing}")


def _unpacker(encoding: str, max_bytes: int, url: str) -> _Unpacker | None:
    if encoding in {"", "identity"}:
        return None
    packing = encoding.removeprefix("x-")
    if packing not in {"gzip", "deflate"}:
        raise PageUnavailable(
            f"{url} sent the encoding {encoding!r}; only {ACCEPTED_ENCODINGS} were requested"
        )
    return _Unpacker(packing, max_bytes, url)


def _too_large(url: str, max_bytes: int) -> PageUnavailable:
    return PageUnavailable(f"{url} has more than {max_bytes:,} bytes, the limit for a page")


def decode_page(body: bytes, server_charset: str | None) -> str:
    """Decode a page; invalid characters become U+FFFD.

    The charset is that of the byte order mark, of the server or of the page, else UTF-8 if valid.

    Args:
        body: the page.
        server_charset: the charset that the server declared, if any.
    """
    for mark, charset in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(charset, "replace")
    declared = _DECLARED.search(body[:_DECLARED_WITHIN_BYTES])
    for name in (server_charset, declared[1].decode("ascii") if declared else None):
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
        # Python raises this also for codecs that are not charsets, such as "zip".
        return None
