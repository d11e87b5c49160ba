"""`download_file`: downloads a file completely or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TypedDict
from urllib.parse import urlsplit

import httpx

from ...messages import DownloadFailed, InvalidInput, PageUnavailable
from ...messages.wording import show
from .arguments import check_count, check_seconds
from .partial_file import PartialFile
from .progress import HasProgress, WholePercents
from .web_requests import REQUEST_FAULTS, check_url, open_client, request, show_url

DEFAULT_MAX_BYTES = 10 * 2**30
"""The default maximum size of a file."""

MAX_TRIES = 5
"""How many requests in a row may bring no new bytes."""

_FIRST_PAUSE_S = 0.25
_TOO_MANY_REQUESTS = 429
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", re.ASCII)
_PACKED_ENDINGS = {
    "gzip": frozenset({".crate", ".dz", ".emz", ".gz", ".svgz", ".taz", ".tgz", ".vgz"}),
    "compress": frozenset({".z"}),
    "br": frozenset({".br"}),
    "zstd": frozenset({".tzst", ".zst", ".zstd"}),
}
"""Extensions of compressed files, by the encoding that a server may declare for them."""
_PACKED_TYPES = {
    "gzip": re.compile(r"application/(x-)?(gzip|gunzip|tgz|gtar-compressed|compressed-tar)"),
    "compress": re.compile(r"application/x-compress"),
    "zstd": re.compile(r"application/(x-)?zstd"),
}
_UNPACKED_HERE = frozenset({"gzip", "deflate"})
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class Download(TypedDict):
    """A finished download.

    Args:
        path: the path of the file.
        url: its URL after all redirects, without user, password and query.
        size_bytes: its size.
        sha256: its checksum, in hexadecimal digits.
        resumed_from_bytes: how many bytes came from an earlier, incomplete download.
    """

    path: str
    url: str
    size_bytes: int
    sha256: str
    resumed_from_bytes: int


async def download_file(
    task: HasProgress,
    url: str,
    destination: str | PathLike[str],
    chunk_size: int = 8192,
    *,
    sha256: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    timeout_s: float = 30.0,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Download:
    """Download a file; the destination changes only when the file is complete.

    After a connection error the download resumes, if the server supports ranges and identifies the
    version by an ETag, or by a modification date older than its response (RFC 9110, 8.8.2.2). It
    fails after five requests in a row without new bytes. The received part then stays in
    `destination.part`, and the next download of the same URL resumes from it, as it does after the
    process was killed. A cancelled download leaves nothing behind.

    Args:
        task: its progress is set to the received share, if the server sends the size.
        url: an http or https URL; redirects are followed.
        destination: the path of the file. Missing folders are created, an existing file is
            replaced, and a symbolic link is followed.
        chunk_size: how many bytes to write at once, 1 or more.
        sha256: the required checksum, as 64 hexadecimal digits; None accepts any.
        max_bytes: the maximum size of the file.
        timeout_s: how long to wait for data from the server, in seconds.
        transport: sends the requests; None allows every address.

    Raises:
        InvalidInput: an argument is out of range, or another download to the destination is
            running.
        DownloadFailed: the file can't be downloaded, is too large, or has another checksum.
        AddressRefused: the transport refuses the address of `url` or of a redirect.
        OSError: the file can't be written, for example because the disk is full.
    """
    check_url(url)
    check_count("chunk_size", chunk_size)
    check_count("max_bytes", max_bytes)
    check_seconds("timeout_s", timeout_s, may_be_zero=False)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise InvalidInput(f"sha256 is {show(sha256)}; it must be 64 hexadecimal digits")
    try:
        path = Path(destination)
    except TypeError:
        raise InvalidInput(f"destination is {show(destination)}; it must be a path") from None
    part = PartialFile(path)
    try:
        await _in_thread(lambda: part.resume(url))
        resumed_from = part.size
        fetch = _Fetch(url, part, WholePercents(task), chunk_size, max_bytes)
        async with open_client(transport, timeout_s=timeout_s) as client:
            await fetch.run(client)
        if sha256 is not None and part.sha256 != sha256.lower():
            found = part.sha256
            part.discard()
            raise DownloadFailed(
                f"{show_url(url)} has the SHA-256 {found}, not {sha256.lower()}; "
                "the received data was deleted"
            )
        await _in_thread(part.sync)
        part.publish()
        return Download(
            path=str(destination),
            url=show_url(fetch.final_url),
            size_bytes=part.size,
            sha256=part.sha256,
            resumed_from_bytes=resumed_from if fetch.was_resumed else 0,
        )
    except asyncio.CancelledError:
        part.discard()
        raise
    finally:
        part.release()


class _RetryableError(Exception):
    """An error after which the request is retried."""


class _Fetch:
    """Receives the file, with retries after connection errors."""

    def __init__(
        self, url: str, part: PartialFile, progress: WholePercents, chunk_size: int, max_bytes: int
    ) -> None:
        self._url = url
        self._shown_url = show_url(url)
        self._part = part
        self._progress = progress
        self._chunk_size = chunk_size
        self._max_bytes = max_bytes
        self.final_url = url
        self.was_resumed = part.size > 0
        self._decodes = False

    async def run(self, client: httpx.AsyncClient) -> None:
        farthest, tries = self._part.size, 0
        while True:
            try:
                await self._try(client)
                return
            except (httpx.TransportError, PageUnavailable, _RetryableError) as fault:
                reason = f"{type(fault).__name__}: {fault}".removeprefix("_RetryableError: ")
            except REQUEST_FAULTS as fault:
                reason = f"{type(fault).__name__}: {fault}"
                raise DownloadFailed(f"{self._shown_url} can't be downloaded: {reason}") from None
            tries = 0 if self._part.size > farthest else tries + 1
            farthest = max(farthest, self._part.size)
            if tries >= MAX_TRIES:
                raise DownloadFailed(
                    f"{self._shown_url} can't be downloaded: {reason}; "
                    f"{self._part.size:,} bytes received"
                )
            await asyncio.sleep(_FIRST_PAUSE_S * 2 ** max(tries - 1, 0))

    async def _try(self, client: httpx.AsyncClient) -> None:
        part = self._part
        # Some servers encode nevertheless: see `_must_decode`.
        headers = {"Accept-Encoding": "identity"}
        if part.size and part.validator is not None:
            # With If-Range, a server that now has another version sends the whole file.
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        async with request(client, self._url, headers=headers) as response:
            self.final_url = str(response.url)
            size = self._start(response, is_resuming="Range" in headers)
            if size is not None and size > self._max_bytes:
                self._fail_too_large(f"has {size:,} bytes")
            if size is None or part.size < size:
                await self._receive(response, size)
            if size is not None and part.size != size:
                raise _RetryableError(f"received {part.size:,} of {size:,} bytes")

    def _start(self, response: httpx.Response, *, is_resuming: bool) -> int | None:
        """Process the headers, and return the size of the whole file; None if it is unknown."""
        part, status = self._part, response.status_code
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        first, whole = match.groups() if match else (None, None)
        size = int(whole) if whole and whole != "*" else None
        is_same = (
            is_resuming
            and _is_of_version(response, part.validator)
            and (None in (size, part.whole_size) or size == part.whole_size)
        )
        if is_same and status == _PARTIAL_CONTENT and first == str(part.size):
            return size
        if is_resuming and status == _RANGE_NOT_SATISFIABLE and size == part.size:
            # The part is already complete.
            return size
        if is_resuming and status in {_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE}:
            part.restart(self._url, None)
            raise _RetryableError("the server sent another range than requested")
        if response.is_server_error or status == _TOO_MANY_REQUESTS:
            raise _RetryableError(f"it answered {status} {response.reason_phrase}")
        if status == _PARTIAL_CONTENT or not response.is_success:
            raise DownloadFailed(f"{self._shown_url} answered {status} {response.reason_phrase}")
        self.was_resumed = False
        self._decodes = _must_decode(response, self._url, part.name)
        length = response.headers.get("Content-Length", "")
        # Content-Length is the size before decoding.
        whole_size = int(length) if length.isdecimal() and not self._decodes else None
        part.restart(self._url, None if self._decodes else _validator_of(response), whole_size)
        return whole_size

    async def _receive(self, response: httpx.Response, size: int | None) -> None:
        part = self._part
        async for chunk in self._content_of(response):
            if part.size + len(chunk) > self._max_bytes:
                self._fail_too_large(f"has more than {self._max_bytes:,} bytes")
            part.write(chunk)
            self._progress.update(part.size, size)

    def _content_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        if self._decodes:
            return response.aiter_bytes(self._chunk_size)
        return response.aiter_raw(self._chunk_size)

    def _fail_too_large(self, problem: str) -> None:
        self._part.discard()
        raise DownloadFailed(
            f"{self._shown_url} {problem}, but max_bytes is {self._max_bytes:,}; "
            "the received data was deleted"
        )


def _must_decode(response: httpx.Response, url: str, name: str) -> bool:
    """Whether to decode a body that the server encoded although no encoding was requested.

    A server often declares the format of a compressed file as an encoding. If a file name or the
    media type shows that, the received bytes are the file.

    Raises:
        DownloadFailed: the encoding is not supported.
    """
    declared = response.headers.get("Content-Encoding", "").strip().lower()
    encoding = declared.removeprefix("x-")
    if encoding in {"", "identity"}:
        return False
    names = [*(urlsplit(each).path for each in (url, str(response.url))), name]
    endings = {PurePosixPath(each).suffix.lower() for each in names}
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    packed_type = _PACKED_TYPES.get(encoding)
    if endings & _PACKED_ENDINGS.get(encoding, frozenset()) or (
        packed_type is not None and packed_type.fullmatch(media_type)
    ):
        return False
    if encoding not in _UNPACKED_HERE:
        raise DownloadFailed(
            f"{show_url(url)} sent the encoding {show(declared)}, which was not requested and is "
            "not supported"
        )
    # httpx knows only the name without the prefix.
    response.headers["Content-Encoding"] = encoding
    return True


def _validator_of(response: httpx.Response) -> str | None:
    """A strong validator of this version of the file; None if there is none.

    A date is strong only if it was at least a second old when the response was sent, so that no
    other version has the same date: RFC 9110, 8.8.2.2.
    """
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    modified = response.headers.get("Last-Modified", "")
    modified_at, sent_at = _date_of(modified), _date_of(response.headers.get("Date", ""))
    if modified_at is None or sent_at is None:
        return None
    return modified if (sent_at - modified_at).total_seconds() >= 1 else None


def _is_of_version(response: httpx.Response, validator: str | None) -> bool:
    """Whether a response has the version of the existing part, as far as its headers show."""
    header = "ETag" if (validator or "").startswith('"') else "Last-Modified"
    return response.headers.get(header, validator) == validator


def _date_of(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # HTTP dates are in GMT; a date without a zone is invalid.
    return date if date.tzinfo is not None else None


async def _in_thread(work: Callable[[], None]) -> None:
    """Run blocking disk work in a thread; a cancellation waits for its end."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise
