"""The keys of one direct connection, and the encryption of its records.

```
length and flag | random nonce | ciphertext and tag |
       4             12
```

Both ends create an ephemeral key pair (X25519) for each connection. The keys are derived from the
key exchange, the workspace's secret, and the whole handshake. So learning the secret later does not
decrypt recorded connections, and altering the handshake leads to different keys. Each direction has
its own key, and each record is bound to its number: a record that was dropped, repeated, moved or
sent back can't be decrypted.

Records are encrypted with AES-256-GCM: for frames of a megabyte AES-GCM-SIV takes 20 times as long.
The nonces are random, not counted, so that a copy of a running process repeats none.
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
    """One end's part of the key exchange of one connection.

    Args:
        seed: 32 random bytes, new for each connection, and stored nowhere.
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
            their_share: the other end's share.
            secret: the workspace's secret.
            transcript: everything that both ends sent before.

        Raises:
            DecodeError: the other end's share leads to no key.
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
    """Encrypts or decrypts the records of one direction of one connection, in order.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_cipher", "_number")

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._number = 0

    def seal(self, head: bytes, nonce: bytes, content: bytes) -> bytes:
        """Encrypt the next record; returns ciphertext and tag.

        Args:
            head: the unencrypted bytes before it.
            nonce: `RECORD_NONCE_BYTES` random bytes.
            content: the content; it may be empty.
        """
        sealed = self._cipher.encrypt(nonce, content, self._bound_to(head))
        self._number += 1
        return sealed

    def open(self, head: bytes, nonce: memoryview, sealed: memoryview) -> bytes:
        """Decrypt the next record.

        Raises:
            DecodeError: it is not the next record of this direction of this connection.
        """
        try:
            content = self._cipher.decrypt(nonce, sealed, self._bound_to(head))
        except (InvalidTag, ValueError):
            raise DecodeError(
                Flaw.WRONG_SECRET,
                f"record {self._number:,} of a direct connection can't be decrypted: "
                "it was altered, dropped, repeated or forged",
            ) from None
        self._number += 1
        return content

    def _bound_to(self, head: bytes) -> bytes:
        return head + self._number.to_bytes(8, "big")


class ConnectionKeys(NamedTuple):
    """The keys of a connection.

    Args:
        of_dialer: for records of the end that requested the connection.
        of_acceptor: for records of the other end.
    """

    of_dialer: RecordKey
    of_acceptor: RecordKey
