"""A blob store at any URL that fsspec supports: object stores, SSH and others."""

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
"""The age at which an existing blob is written again, so that it does not count as left over."""


class FsspecBlobs:
    """Stores blobs at an fsspec URL; see `BlobStore`. Needs the extra `blobs`.

    Args:
        url: the folder, such as "s3://bucket/folder" or "sftp://host/folder"; no chained URL.
        options: further options of the file system; workers do not get them and need a
            configuration of their own.
        create: make the folder if it does not exist.

    Raises:
        ExtraMissing: fsspec is not installed.
        InvalidInput: the URL is a chained one.
        BlobUnusable: fsspec does not support it, or it can't be opened.
    """

    def __init__(
        self, url: str, options: Mapping[str, object] | None = None, *, create: bool = False
    ) -> None:
        core = check_url(url)
        self.url = url
        self._place = _without_secrets(url)
        with self._translating_errors("be opened"):
            system, path = core.url_to_fs(url, **(options or {}))
            # fsspec has no type hints.
            self._system: Any = system
            self._path = str(path).rstrip("/")
            if create:
                self._system.makedirs(self._path, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a blob; one that exists is written again only if it is old."""
        check_blob_name(name)
        path = self._path_of(name)
        with self._translating_errors("be written"):
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
        """Read a blob."""
        check_blob_name(name)
        with self._translating_errors("be read"):
            try:
                # One byte more than is allowed shows that the blob is too long. Not by `open`: all
                # who open a file in memory share its position, and object stores are asked twice.
                content: bytes = self._system.cat_file(self._path_of(name), end=MAX_BLOB_BYTES + 1)
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
        """Delete a blob."""
        check_blob_name(name)
        with self._translating_errors("be deleted from"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path_of(name))

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete blobs that have not been written for some time; those of unknown age stay."""
        swept = 0
        with self._translating_errors("be swept"):
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
        """Close the store; there is nothing to do."""

    def _path_of(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _age_s(self, path: str) -> float | None:
        """How long ago a file was written; None if it does not exist or its age is unknown."""
        self._system.invalidate_cache(self._path)
        with contextlib.suppress(FileNotFoundError, NotImplementedError):
            written: object = self._system.modified(path)
            if isinstance(written, datetime):
                # By fsspec's convention, a time without a zone is UTC.
                known = written if written.tzinfo else written.replace(tzinfo=timezone.utc)
                return time.time() - known.timestamp()
        return None

    @contextlib.contextmanager
    def _translating_errors(self, doing: str) -> Generator[None]:
        try:
            yield
        except BlobUnusable:
            raise
        # Each file system raises its own errors.
        except Exception as fault:  # noqa: BLE001
            text = " ".join(str(fault).replace(self.url, self._place).split())[:300]
            raise BlobUnusable(
                f"the blob store {self._place!r} can't {doing}: {type(fault).__name__}: {text}"
            ) from None


def check_url(url: str) -> ModuleType:
    """Check that a URL is not a chained one, and return the fsspec module that opens it.

    Raises:
        ExtraMissing: fsspec is not installed.
        InvalidInput: the URL is a chained one.
    """
    if "::" in url:
        raise InvalidInput(f"{_without_secrets(url)!r} is a chain of URLs; blobs need a single URL")
    try:
        return import_module("fsspec.core")
    except ImportError:
        raise ExtraMissing("a blob store by its URL", ("fsspec",), "blobs") from None


def _without_secrets(url: str) -> str:
    """A URL without the parts that may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))[:300]
