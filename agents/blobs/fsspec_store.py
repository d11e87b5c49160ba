"""Blobs in whatever fsspec has a file system for, by its URL: object stores, SSH, and others."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Generator, Mapping
from datetime import datetime, timezone
from importlib import import_module
from types import ModuleType
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from ...messages import BlobMissing, BlobUnusable, ExtraMissing, InvalidInput
from ..kernel.security.blob_seal import check_blob_name, is_blob_name
from .store import MAX_BLOB_BYTES

_UNFINISHED = ".unfinished"
_REFRESH_AFTER_S = 3600.0
"""How old a blob gets before it is written again, so that it counts as new."""


class FsspecBlobs:
    """Keeps blobs where an fsspec URL points to; see `BlobStore`. Needs the extra `blobs`.

    Args:
        url: the place, such as "s3://bucket/folder" or "sftp://host/folder"; not a chain of URLs.
        options: what the file system wants to know besides; not told to workers, which need it
            from their own configuration.
        create: make the folder if it is not there.

    Raises:
        ExtraMissing: fsspec is not installed.
        InvalidInput: the URL is a chain of several.
        BlobUnusable: there is no file system for it, or it can't be opened.
    """

    def __init__(
        self, url: str, options: Mapping[str, object] | None = None, *, create: bool = False
    ) -> None:
        core = check_url(url)
        self.url = url
        self._place = _for_people(url)
        with self._telling("be opened"):
            system, path = core.url_to_fs(url, **(options or {}))
            # fsspec has no types, and what its file systems can do differs.
            self._system: Any = system
            self._path = str(path).rstrip("/")
            if create:
                self._system.makedirs(self._path, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Keep a blob, or make it count as new if it is there."""
        check_blob_name(name)
        path = self._path_of(name)
        with self._telling("be written"):
            age_s = self._age_s(path)
            if age_s is not None and age_s < _REFRESH_AFTER_S:
                return
            unfinished = f"{path}.{secrets.token_hex(8)}{_UNFINISHED}"
            try:
                self._system.pipe_file(unfinished, content)
                self._system.mv(unfinished, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._system.rm_file(unfinished)
                raise

    def read(self, name: str) -> bytes:
        """Give what is kept under a name."""
        check_blob_name(name)
        with self._telling("be read"):
            try:
                # One byte more than is allowed tells that there is too much.
                with self._system.open(self._path_of(name), "rb") as file:
                    content = bytes(file.read(MAX_BLOB_BYTES + 1))
            except FileNotFoundError:
                raise BlobMissing(
                    f"the blob {name[:12]}… is not at {self._place!r}; it was deleted, or this "
                    "process sees another place there"
                ) from None
        if len(content) > MAX_BLOB_BYTES:
            raise BlobUnusable(
                f"the blob {name[:12]}… at {self._place!r} has more than {MAX_BLOB_BYTES:,} bytes"
            )
        return content

    def delete(self, name: str) -> None:
        """Keep a blob no longer."""
        check_blob_name(name)
        with self._telling("be deleted from"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path_of(name))

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete what nobody has written for so long; what tells no age stays."""
        swept = 0
        with self._telling("be swept"):
            self._system.invalidate_cache()
            for path in cast("list[str]", self._system.ls(self._path, detail=False)):
                name = path.rstrip("/").rsplit("/", 1)[-1]
                if name in spared or not (is_blob_name(name) or name.endswith(_UNFINISHED)):
                    continue
                age_s = self._age_s(self._path_of(name))
                if age_s is not None and age_s >= older_than_s:
                    with contextlib.suppress(FileNotFoundError):
                        self._system.rm_file(self._path_of(name))
                        swept += is_blob_name(name)
        return swept

    def close(self) -> None:
        """Let go of it."""

    def _path_of(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _age_s(self, path: str) -> float | None:
        """How long ago a file was written; None if it is not there, or tells no time."""
        self._system.invalidate_cache(self._path)
        with contextlib.suppress(FileNotFoundError, NotImplementedError):
            written: object = self._system.modified(path)
            if isinstance(written, datetime):
                # Without a zone it is UTC, as fsspec has it.
                known = written if written.tzinfo else written.replace(tzinfo=timezone.utc)
                return time.time() - known.timestamp()
        return None

    @contextlib.contextmanager
    def _telling(self, doing: str) -> Generator[None]:
        try:
            yield
        except BlobUnusable:
            raise
        # Each file system raises errors of its own.
        except Exception as fault:  # noqa: BLE001
            told = " ".join(str(fault).replace(self.url, self._place).split())[:300]
            raise BlobUnusable(
                f"the blob store {self._place!r} can't {doing}: {type(fault).__name__}: {told}"
            ) from None


def check_url(url: str) -> ModuleType:
    """See that a URL is a plain one; fsspec's module that opens it.

    Raises:
        ExtraMissing: fsspec is not installed.
        InvalidInput: the URL is a chain of several.
    """
    if "::" in url:
        raise InvalidInput(f"{_for_people(url)!r} is a chain of URLs; blobs need a plain one")
    try:
        return import_module("fsspec.core")
    except ImportError:
        raise ExtraMissing("a blob store by its URL", ("fsspec",), "blobs") from None


def _for_people(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:300]
