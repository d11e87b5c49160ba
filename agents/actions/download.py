"""`download_file`: a file that is there whole, or not at all."""

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
from .web_requests import REQUEST_FAULTS, ask, check_url, open_client, show_url

DEFAULT_MAX_BYTES = 10 * 2**30
"""How large a file may be unless its download says otherwise."""

MAX_TRIES = 5
"""How often in a row a download is tried that comes no further."""

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
"""How files end that are packed themselves in the way that a server may call an encoding."""
_PACKED_TYPES = {
    "gzip": re.compile(r"application/(x-)?(gzip|gunzip|tgz|gtar-compressed|compressed-tar)"),
    "compress": re.compile(r"application/x-compress"),
    "zstd": re.compile(r"application/(x-)?zstd"),
}
_UNPACKED_HERE = frozenset({"gzip", "deflate"})
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class Download(TypedDict):
    """What was downloaded.

    Args:
        path: where the file is.
        url: where it came from in the end, after redirects; without user, password and query.
        size_bytes: how large it is.
        sha256: its checksum, in hexadecimal digits.
        resumed_from_bytes: how much of it an earlier download had left.
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
    """Download a file; at its destination it is whole, or what was there before stays.

    Where the connection breaks, it goes on from there, if the server can do that and tells
    versions apart by an ETag, or by a date that is older than its answer (RFC 9110, 8.8.2.2); five
    times in a row without a byte more, and it fails.
    Then what has come stays in `destination.part`, and the next download of the same address goes
    on from it, as it does when the process was killed. Of a download that is cancelled nothing
    stays.

    Args:
        task: is told how much has come, if the server says how much it will be.
        url: what to download, by http or https; redirects are followed.
        destination: where to; missing folders are made, a file of that name is replaced, a
            symbolic link is followed.
        chunk_size: how many bytes are written at once, 1 or more.
        sha256: the checksum that the file must have, in 64 hexadecimal digits; None for any.
        max_bytes: how large the file may be.
        timeout_s: how long the server may send nothing, in seconds.
        transport: sends the requests; None lets httpx send them to any address.

    Raises:
        InvalidInput: an argument is out of range, or another download to the destination is under
            way.
        DownloadFailed: the file can't be had, is too large, or has another checksum.
        AddressRefused: the transport does not go where `url` is, or redirects to.
        OSError: the file can't be written, as when the disk is full.
    """
    check_url(url)
    check_count("chunk_size", chunk_size)
    check_count("max_bytes", max_bytes)
    check_seconds("timeout_s", timeout_s, may_be_zero=False)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise InvalidInput(f"sha256 is {show(sha256)}; it must be 64 hexadecimal digits")
    try:
        place = Path(destination)
    except TypeError:
        raise InvalidInput(f"destination is {show(destination)}; it must be a path") from None
    part = PartialFile(place)
    try:
        await _in_thread(lambda: part.take_up(url))
        resumed_from = part.size
        fetch = _Fetch(url, part, WholePercents(task), chunk_size, max_bytes)
        async with open_client(transport, timeout_s=timeout_s) as client:
            await fetch.run(client)
        if sha256 is not None and part.sha256 != sha256.lower():
            found = part.sha256
            part.discard()
            raise DownloadFailed(
                f"{show_url(url)} has the SHA-256 {found}, not {sha256.lower()}; "
                "nothing is kept of it"
            )
        await _in_thread(part.sync)
        part.publish()
        return Download(
            path=str(destination),
            url=show_url(fetch.final_url),
            size_bytes=part.size,
            sha256=part.sha256,
            resumed_from_bytes=resumed_from if fetch.has_gone_on else 0,
        )
    except asyncio.CancelledError:
        part.discard()
        raise
    finally:
        part.release()


class _RetryableError(Exception):
    """What went wrong may go well the next time; says what it was."""


class _Fetch:
    """Brings the bytes, however often the connection breaks."""

    def __init__(
        self, url: str, part: PartialFile, told: WholePercents, chunk_size: int, max_bytes: int
    ) -> None:
        self._url = url
        self._shown_url = show_url(url)
        self._part = part
        self._told = told
        self._chunk_size = chunk_size
        self._max_bytes = max_bytes
        self.final_url = url
        self.has_gone_on = part.size > 0
        self._unpacks = False

    async def run(self, client: httpx.AsyncClient) -> None:
        farthest, tries = self._part.size, 0
        while True:
            try:
                await self._try(client)
                return
            except (httpx.TransportError, PageUnavailable, _RetryableError) as fault:
                told = f"{type(fault).__name__}: {fault}".removeprefix("_RetryableError: ")
            except REQUEST_FAULTS as fault:
                told = f"{type(fault).__name__}: {fault}"
                raise DownloadFailed(f"{self._shown_url} can't be downloaded: {told}") from None
            tries = 0 if self._part.size > farthest else tries + 1
            farthest = max(farthest, self._part.size)
            if tries >= MAX_TRIES:
                raise DownloadFailed(
                    f"{self._shown_url} can't be downloaded: {told}; "
                    f"{self._part.size:,} bytes have come"
                )
            await asyncio.sleep(_FIRST_PAUSE_S * 2 ** max(tries - 1, 0))

    async def _try(self, client: httpx.AsyncClient) -> None:
        part = self._part
        # Some servers encode all the same: see `_is_unpacked`.
        headers = {"Accept-Encoding": "identity"}
        if part.size and part.validator is not None:
            # With If-Range a server that has another version by now sends all of it.
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        async with ask(client, self._url, headers=headers) as response:
            self.final_url = str(response.url)
            size = self._begin(response, is_resuming="Range" in headers)
            if size is not None and size > self._max_bytes:
                self._refuse(f"is {size:,} bytes large")
            if size is None or part.size < size:
                await self._take(response, size)
            if size is not None and part.size != size:
                raise _RetryableError(f"{part.size:,} of {size:,} bytes have come")

    def _begin(self, response: httpx.Response, *, is_resuming: bool) -> int | None:
        """See what the server sends; how large the whole file is, None if it doesn't say."""
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
            # There is nothing behind what has come: it was all.
            return size
        if is_resuming and status in {_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE}:
            part.begin(self._url, None)
            raise _RetryableError("the server sent another part than it was asked for")
        if response.is_server_error or status == _TOO_MANY_REQUESTS:
            raise _RetryableError(f"it answered {status} {response.reason_phrase}")
        if status == _PARTIAL_CONTENT or not response.is_success:
            raise DownloadFailed(f"{self._shown_url} answered {status} {response.reason_phrase}")
        self.has_gone_on = False
        self._unpacks = _is_unpacked(response, self._url, part.name)
        length = response.headers.get("Content-Length", "")
        # What is unpacked here has other bytes than the server counts.
        whole_size = int(length) if length.isdecimal() and not self._unpacks else None
        part.begin(self._url, None if self._unpacks else _validator_of(response), whole_size)
        return whole_size

    async def _take(self, response: httpx.Response, size: int | None) -> None:
        part = self._part
        async for chunk in self._content_of(response):
            if part.size + len(chunk) > self._max_bytes:
                self._refuse(f"is larger than {self._max_bytes:,} bytes")
            part.write(chunk)
            self._told.tell(part.size, size)

    def _content_of(self, response: httpx.Response) -> AsyncIterator[bytes]:
        if self._unpacks:
            return response.aiter_bytes(self._chunk_size)
        return response.aiter_raw(self._chunk_size)

    def _refuse(self, how_large: str) -> None:
        self._part.discard()
        raise DownloadFailed(
            f"{self._shown_url} {how_large}, but max_bytes is {self._max_bytes:,}; "
            "nothing is kept of it"
        )


def _is_unpacked(response: httpx.Response, url: str, name: str) -> bool:
    """Whether what the server encoded, which nobody asked for, is to be decoded.

    A server that serves an archive often calls the archive's own format an encoding. Where a name
    or the media type says so, the bytes are the file as they come.

    Raises:
        DownloadFailed: it is encoded in a way that can't be decoded here.
    """
    told = response.headers.get("Content-Encoding", "").strip().lower()
    encoding = told.removeprefix("x-")
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
            f"{show_url(url)} came encoded as {show(told)}, which was not asked for and can't be "
            "decoded; nothing is kept of it"
        )
    # httpx knows it under this name alone.
    response.headers["Content-Encoding"] = encoding
    return True


def _validator_of(response: httpx.Response) -> str | None:
    """What tells this version of the file from all others, byte by byte.

    A date tells versions apart only if the file was old enough when it was sent that another
    version of the same second can't have followed: RFC 9110, 8.8.2.2.
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
    """Whether a part belongs to the version that was begun, as far as the server tells."""
    told = "ETag" if (validator or "").startswith('"') else "Last-Modified"
    return response.headers.get(told, validator) == validator


def _date_of(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    # HTTP's dates are in GMT; one that says nothing of its zone is none.
    return date if date.tzinfo is not None else None


async def _in_thread(work: Callable[[], None]) -> None:
    """Do what waits for the disk; when this is cancelled, it has been done all the same."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()
        raise
