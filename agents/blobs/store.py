"""The protocol of blob stores, which hold the large data that does not travel in frames."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from ...messages import MAX_MESSAGE_BYTES
from ..kernel.security.blob_seal import BLOB_OVERHEAD_BYTES

MAX_BLOB_BYTES = MAX_MESSAGE_BYTES + BLOB_OVERHEAD_BYTES
"""The largest blob: its content must also fit into a frame, for workers that can't reach it."""


@runtime_checkable
class BlobStore(Protocol):
    """Stores named bytes for a manager and its workers; several threads use it at once.

    It need not be trusted: names are hashes, and contents are sealed and checked when read.
    """

    @property
    def url(self) -> str:
        """The URL by which workers open the same store; "" if they can't."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a blob. If it exists already it stays, and its age starts again.

        No reader ever sees a part of it, even if the writer crashes.

        Raises:
            BlobUnusable: it can't be written.
        """
        ...

    def read(self, name: str) -> bytes:
        """Read a blob.

        Raises:
            BlobMissing: there is none of this name.
            BlobUnusable: it can't be read, or is longer than `MAX_BLOB_BYTES`.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a blob; do nothing if there is none.

        Raises:
            BlobUnusable: it can't be deleted.
        """
        ...

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete blobs, finished or not, that have not been written for some time.

        Args:
            older_than_s: how long, in seconds.
            spared: the names of blobs to keep in any case.

        Returns:
            How many blobs were deleted.

        Raises:
            BlobUnusable: they can't be listed or deleted.
        """
        ...

    def close(self) -> None:
        """Close the store; its blobs stay."""
        ...
