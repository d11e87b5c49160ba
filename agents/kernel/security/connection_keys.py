"""The keys of one direct connection, and the records that they seal.

```
length and flag | random nonce | ciphertext and tag |
       4             12
```

Both ends make an ephemeral key pair (X25519) for each connection. The keys come from what both
pairs have in common, from the workspace's secret, and from all that was said before: whoever
learns the secret later opens nothing of what was recorded, and whoever altered a word of the
handshake has other keys. Each direction has a key of its own, and each record is bound to its
number: a record that was left out, doubled, moved or sent back opens nowhere.

Records are sealed with AES-256-GCM: on frames of a megabyte AES-GCM-SIV takes 20 times as long.
The nonces are random and not counted, so that a copy of a running process repeats none.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ....messages import DecodeError, Flaw
from .workspace_secret import WorkspaceSecret

SHARE_BYTES = 32
RECORD_NONCE_BYTES = 12
_TAG_BYTES = 16
RECORD_OVERHEAD_BYTES = RECORD_NONCE_BYTES + _TAG_BYTES

_KEY_BYTES = 32
_PURPOSE = b"muster wire 2"


class Exchange:
    """One end's part of the exchange for one connection.

    Args:
        seed: 32 random bytes, new for each connection, and kept nowhere.
    """

    __slots__ = ("_key", "share")

    def __init__(self, seed: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed)
        self.share = self._key.public_key().public_bytes_raw()

    def derive(
        self, their_share: bytes, secret: WorkspaceSecret, transcript: bytes
    ) -> ConnectionKeys:
        """Derive the keys of the connection.

        Args:
            their_share: what the other end sent.
            secret: what the members of the workspace have in common.
            transcript: all that both ends said before.

        Raises:
            DecodeError: what the other end sent leads to no key.
        """
        try:
            common = self._key.exchange(X25519PublicKey.from_public_bytes(their_share))
        except ValueError:
            raise DecodeError(
                Flaw.INVALID, "a share of a key exchange that leads to no key"
            ) from None
        salt = sha256(transcript).digest()
        derivation = HKDF(SHA256(), 2 * _KEY_BYTES, salt=salt, info=_PURPOSE)
        keys = derivation.derive(common + secret.key)
        return ConnectionKeys(RecordKey(keys[:_KEY_BYTES]), RecordKey(keys[_KEY_BYTES:]))


class RecordKey:
    """Seals or opens the records of one direction of one connection, in their order.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_cipher", "_number")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._number = 0

    def seal(self, head: bytes, nonce: bytes, content: bytes) -> bytes:
        """Give the ciphertext and tag of the next record.

        Args:
            head: what stands before it in the clear.
            nonce: `RECORD_NONCE_BYTES` random bytes.
            content: what it says; it may be empty.
        """
        sealed = self._cipher.encrypt(nonce, content, self._bound_to(head))
        self._number += 1
        return sealed

    def open(self, head: bytes, nonce: memoryview, sealed: memoryview) -> bytes:
        """Give what the next record says.

        Raises:
            DecodeError: it is not the next record of this direction of this connection.
        """
        try:
            content = self._cipher.decrypt(nonce, sealed, self._bound_to(head))
        except (InvalidTag, ValueError):
            raise DecodeError(
                Flaw.WRONG_SECRET,
                f"record {self._number:,} of a direct connection can't be opened: "
                "it was altered, left out, doubled or made by somebody else",
            ) from None
        self._number += 1
        return content

    def _bound_to(self, head: bytes) -> bytes:
        return head + self._number.to_bytes(8, "big")


class ConnectionKeys(NamedTuple):
    """The keys of a connection.

    Args:
        of_dialer: seals what the end says that asked for the connection.
        of_acceptor: seals what the other end says.
    """

    of_dialer: RecordKey
    of_acceptor: RecordKey
