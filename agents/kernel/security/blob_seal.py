"""Names and encrypts blobs, and verifies them when they are read.

A name is the hash of the content, so that equal contents share a blob, unless each should be a
separate copy. In a sealed workspace both the hash and the cipher are keyed: without the secret
nobody can read a blob, make one, or guess its content and verify the guess by the name. A blob can
be decrypted only under its own name.
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
"""The overhead of a sealed blob."""

_NAME = re.compile(BLOB_NAME_PATTERN)
_DIGEST_CHARACTERS = 64
_COPY_BYTES = 8
# A key seals only one content: it is derived from the name, which is derived from the content.
_NONCE = bytes(12)


class BlobSeal:
    """Names, seals and opens the blobs of one workspace.

    Args:
        key: 32 bytes; None leaves blobs unencrypted, and their names are plain hashes.
    """

    __slots__ = ("_copy_naming_key", "_naming_key", "_sealing_key")

    def __init__(self, key: bytes | None) -> None:
        self._naming_key = key and hmac.digest(key, b"name", "sha256")
        self._copy_naming_key = key and hmac.digest(key, b"name of a copy", "sha256")
        self._sealing_key = key and hmac.digest(key, b"seal", "sha256")

    def name(self, content: bytes | memoryview, copy_of: str = "") -> str:
        """Name a content.

        Args:
            content: the content of the blob.
            copy_of: whose copy it is, unique for one content. A sealed copy is named by this, since
                hashing the content takes longest of all.
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
        """Encrypt a content for storage under its name."""
        if self._sealing_key is None:
            return bytes(content)
        return self._cipher(name, self._sealing_key).encrypt(_NONCE, content, name.encode())

    def open(self, name: str, kept: bytes) -> bytes:
        """Decrypt what was stored under a name.

        Raises:
            BlobCorrupt: the bytes differ from the stored ones.
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
    """Check that a text can be the name of a blob, so that it can't refer to any other file.

    Raises:
        BlobUnusable: it can't.
    """
    if not is_blob_name(name):
        raise BlobUnusable(
            f"{name[:100]!r} is not the name of a blob; it must be 64 hexadecimal digits, "
            "optionally followed by a hyphen and 16 more"
        )


def _tell_corrupt(name: str, size_bytes: int) -> str:
    return (
        f"the blob {name[:12]}… was altered, or sealed with another secret: its {size_bytes:,} "
        "bytes differ from the stored ones"
    )
