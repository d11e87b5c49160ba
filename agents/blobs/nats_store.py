"""A blob store in an object store of JetStream, for those that share a NATS server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Generator

from ...messages import BlobMissing, BlobUnusable, NatsUnusable
from ..kernel.security.blob_seal import check_blob_name, is_blob_name
from ..nats.address import NatsAddress
from ..nats.jet_stream import JetStream
from ..nats.names import check_name, read_options
from ..nats.objects import ObjectBucket, StoredObject
from .store import MAX_BLOB_BYTES

_REFRESH_AFTER_S = 3600.0
"""The age at which a blob that is written again counts as new."""


class NatsBlobs:
    """Stores blobs in an object store of JetStream; see `BlobStore`. Needs the extra `nats`.

    Args:
        url: the servers and the bucket, such as `nats://host:4222/photos?replicas=3`.
        create: create the bucket if it does not exist.
        shared_url: the URL that workers get, by default the same.

    Raises:
        InvalidInput: it is no such URL.
        BlobUnusable: there is no server or no bucket, or the server refuses.
    """

    def __init__(self, url: str, *, create: bool = False, shared_url: str | None = None) -> None:
        self.url = shared_url or url
        address = NatsAddress.parse(url, may_name=True)
        check_name(address.name, "a bucket of blobs")
        replicas, max_bytes = read_options(address)
        self._place = str(address)
        with self._translating_errors("be opened"):
            self._stream = JetStream(address, "muster blobs")
            self._bucket = ObjectBucket(self._stream, address.name)
            opening = self._bucket.open(replicas=replicas, max_bytes=max_bytes, create=create)
            try:
                is_there = self._stream.run(opening)
            except BaseException:
                self.close()
                raise
        if not is_there:
            self.close()
            raise BlobUnusable(
                f"there is no object store {self._place!r} for blobs; check its name"
            )

    def write(self, name: str, content: bytes) -> None:
        """Write a blob, or update its time if it exists and is old."""
        check_blob_name(name)
        with self._translating_errors("be written"):
            found = self._stream.run(self._bucket.find(name))
            if found is None:
                self._stream.run(self._bucket.put(name, content))
            elif found.written_at is None or time.time() - found.written_at > _REFRESH_AFTER_S:
                self._stream.run(self._bucket.touch(name))

    def read(self, name: str) -> bytes:
        """Read a blob."""
        check_blob_name(name)
        with self._translating_errors("be read"):
            found = self._stream.run(self._bucket.find(name))
            if found is not None and found.size > MAX_BLOB_BYTES:
                raise BlobUnusable(
                    f"the blob {name[:12]}… at {self._place!r} has more than {MAX_BLOB_BYTES:,} "
                    "bytes"
                )
            content = None if found is None else self._stream.run(self._bucket.get(name))
        if content is None:
            raise BlobMissing(
                f"the blob {name[:12]}… is not at {self._place!r}; it was deleted, or this is "
                "another server"
            )
        return content

    def delete(self, name: str) -> None:
        """Delete a blob."""
        check_blob_name(name)
        with self._translating_errors("be deleted from"):
            self._stream.run(self._bucket.delete(name))

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete blobs that have not been written for some time; those of unknown age stay."""
        latest = time.time() - older_than_s

        def is_old(found: StoredObject) -> bool:
            if found.name in spared or not is_blob_name(found.name):
                return False
            return found.written_at is not None and found.written_at <= latest

        with self._translating_errors("be swept"):
            return self._stream.run(self._bucket.sweep(is_old, latest))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    @contextlib.contextmanager
    def _translating_errors(self, doing: str) -> Generator[None]:
        try:
            yield
        except NatsUnusable as fault:
            raise BlobUnusable(f"the blob store {self._place!r} can't {doing}: {fault}") from None
