"""A member's key pair for signatures, so that no other member can send in its session.

All members share the workspace's secret, so keys derived from it tell members from strangers, but
not one member from another. A session is the hash of a public key, and its owner signs its frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ....messages import DecodeError, Flaw, InvalidInput

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
SESSION_BYTES = 16

_PURPOSE = b"muster session 3"


class Identity:
    """A member's key pair (Ed25519), new at each start.

    Args:
        seed: 32 random bytes.

    Attributes:
        public_key: the public half, in `PUBLIC_KEY_BYTES`.
        sign: signs bytes; the signature has `SIGNATURE_BYTES`.

    Raises:
        InvalidInput: `seed` does not have 32 bytes.
    """

    __slots__ = ("_key", "public_key", "sign")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidInput(
                f"an identity's seed has {len(seed)} bytes; it must have {SEED_BYTES} random bytes"
            )
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.sign: Callable[[bytes], bytes] = self._key.sign

    def session(self, workspace_id: str) -> bytes:
        """The session of this member in a workspace."""
        return session_of(self.public_key, workspace_id.encode("utf-8", "surrogatepass"))


def session_of(public_key: bytes, workspace: bytes) -> bytes:
    """The session of a public key in a workspace, in `SESSION_BYTES`."""
    return sha256(_PURPOSE + public_key + workspace).digest()[:SESSION_BYTES]


def check_speaker(
    session: bytes, workspace: bytes, public_key: bytes, signature: bytes, data: bytes
) -> None:
    """Check that a public key belongs to a session, and that its owner signed bytes.

    Args:
        session: the session that the bytes claim.
        workspace: the id of the workspace, encoded.
        public_key: the key that the sender presents.
        signature: the signature that the sender presents.
        data: the signed bytes.

    Raises:
        DecodeError: the key belongs to another session, or the signature is not its owner's.
    """
    if session_of(public_key, workspace) != session:
        raise DecodeError(
            Flaw.FORGED_SENDER,
            "a frame claims the session of another member: its public key does not match",
        )
    check_signature(public_key, signature, data)


def check_signature(public_key: bytes, signature: bytes, data: bytes) -> None:
    """Check that the owner of a public key signed bytes.

    Raises:
        DecodeError: it did not.
    """
    try:
        _verify(public_key, signature, data)
    except (InvalidSignature, ValueError):
        raise DecodeError(
            Flaw.FORGED_SENDER, "a frame's signature is not valid for its claimed sender"
        ) from None


@lru_cache(maxsize=1_024)
def _verify(public_key: bytes, signature: bytes, data: bytes) -> None:
    # Members of one process receive the same frames for everyone.
    _load(public_key).verify(signature, data)


@lru_cache(maxsize=4_096)
def _load(public_key: bytes) -> Ed25519PublicKey:
    # Loading a key takes a fifth of the time of a verification.
    return Ed25519PublicKey.from_public_bytes(public_key)
