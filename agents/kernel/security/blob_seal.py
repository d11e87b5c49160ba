"""What blobs are called, how they are sealed, and whether what is read is what was put.

A name is the hash of the content, so that equal contents share a blob, unless each is to be a copy
of its own. In a sealed workspace both the hash and the cipher are keyed: nobody without the secret
can tell what is in a blob, make one, or guess its content and see by the name whether the guess
was right. A blob opens only under its own name.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ....messages import BlobCorrupt, BlobUnusable
from ....messages.parcel import BLOB_NAME_PATTERN

BLOB_OVERHEAD_BYTES = 16
"""What a sealed blob takes beside its content."""

_NAME = re.compile(BLOB_NAME_PATTERN)
_DIGEST_CHARACTERS = 64
_COPY_BYTES = 8
# A key seals one content alone: it is derived from the name, which is derived from the content.
_NONCE = bytes(12)


class BlobSeal:
    """Names, seals and opens the blobs of one workspace.

    Args:
        key: 32 bytes, or None to leave blobs open: then their names are plain hashes.
    """

    __slots__ = ("_copy_naming_key", "_naming_key", "_sealing_key")

    def __init__(self, key: bytes | None) -> None:
        self._naming_key = key and hmac.digest(key, b"name", "sha256")
        self._copy_naming_key = key and hmac.digest(key, b"name of a copy", "sha256")
        self._sealing_key = key and hmac.digest(key, b"seal", "sha256")

    def name(self, content: bytes | memoryview, copy_of: str = "") -> str:
        """Name a content.

        Args:
            content: what is to be in the blob.
            copy_of: whose copy it is, which is said of one content alone, ever: where blobs are
                sealed a copy is named by this, since to hash a content takes longest of all.
        """
        copy = copy_of.encode("utf-8", "surrogatepass")
        if self._naming_key is None or self._copy_naming_key is None:
            digest = hashlib.sha256(content).hexdigest()
        elif copy:
            digest = hmac.digest(self._copy_naming_key, copy, "sha256").hex()
        else:
            digest = hmac.digest(self._naming_key, content, "sha256").hex()
        if not copy:
            return digest
        label = hashlib.blake2b(copy, digest_size=_COPY_BYTES)
        return f"{digest}-{label.hexdigest()}"

    def seal(self, name: str, content: bytes | memoryview) -> bytes:
        """Make of a content what is kept under its name."""
        if self._sealing_key is None:
            return bytes(content)
        return self._cipher(name, self._sealing_key).encrypt(_NONCE, content, name.encode())

    def open(self, name: str, kept: bytes) -> bytes:
        """Give the content of what was kept under a name.

        Raises:
            BlobCorrupt: it is not what was put there.
        """
        if self._sealing_key is None:
            if hashlib.sha256(kept).hexdigest() != name[:_DIGEST_CHARACTERS]:
                raise BlobCorrupt(_tell_corrupt(name, len(kept)))
            return kept
        try:
            return self._cipher(name, self._sealing_key).decrypt(_NONCE, kept, name.encode())
        except (InvalidTag, ValueError):
            raise BlobCorrupt(_tell_corrupt(name, len(kept))) from None

    @staticmethod
    def _cipher(name: str, key: bytes) -> AESGCM:
        return AESGCM(hmac.digest(key, name.encode(), "sha256"))


def is_blob_name(name: str) -> bool:
    """Whether a text can be the name of a blob."""
    return _NAME.fullmatch(name) is not None


def check_blob_name(name: str) -> None:
    """See that a text can be the name of a blob, and so leads nowhere else.

    Raises:
        BlobUnusable: it can't.
    """
    if not is_blob_name(name):
        raise BlobUnusable(
            f"no blob is called {name[:100]!r}; a blob's name is 64 hexadecimal digits, perhaps "
            "with a hyphen and 16 more"
        )


def _tell_corrupt(name: str, size_bytes: int) -> str:
    return (
        f"the blob {name[:12]}… was altered, or sealed with another secret: its {size_bytes:,} "
        "bytes are not what was put there"
    )
