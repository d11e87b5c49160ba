"""Where large data is kept that travels beside the frames: the protocol of every blob store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from ...messages import MAX_MESSAGE_BYTES
from ..kernel.security.blob_seal import BLOB_OVERHEAD_BYTES

MAX_BLOB_BYTES = MAX_MESSAGE_BYTES + BLOB_OVERHEAD_BYTES
"""The largest blob: what is in it must also fit into a frame, for those who can't reach it."""


@runtime_checkable
class BlobStore(Protocol):
    """Keeps named bytes for a manager and its workers; several threads use it at once.

    It need not be trusted: names are hashes, and what it gives is checked and was sealed before.
    """

    @property
    def url(self) -> str:
        """Where others open the same store; "" if they can't."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Keep a blob. If it is there already it stays, and counts as new from now on.

        Nobody ever reads half of it, whenever this is broken off.

        Raises:
            BlobUnusable: it can't be kept.
        """
        ...

    def read(self, name: str) -> bytes:
        """Give what is kept under a name.

        Raises:
            BlobMissing: nothing is.
            BlobUnusable: it can't be read, or is longer than `MAX_BLOB_BYTES`.
        """
        ...

    def delete(self, name: str) -> None:
        """Keep a blob no longer; one that is not there is no matter.

        Raises:
            BlobUnusable: it can't be deleted.
        """
        ...

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        """Delete what nobody has written for so long, and what of it was left half written.

        Args:
            older_than_s: how long, in seconds.
            spared: the names of those that stay all the same.

        Returns:
            How many blobs were deleted.

        Raises:
            BlobUnusable: they can't be listed or deleted.
        """
        ...

    def close(self) -> None:
        """Let go of it; what is kept there stays."""
        ...
