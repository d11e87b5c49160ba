"""A NATS credentials file: the JWT of a user, and the seed that signs the server's challenge."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ...messages import NatsUnusable

_BLOCK: Final = re.compile(
    r"-{3,}BEGIN (NATS USER JWT|USER NKEY SEED)-{3,}\s*([A-Za-z0-9_\-.=]+)\s*-{3,}END"
)
_MAX_FILE_BYTES: Final = 100_000
_SEED_BYTES: Final = 32
_SEED_PREFIX: Final = 18 << 3
"""What the first byte of a seed begins with, in its upper five bits; its text begins with S."""
_USER_PREFIX: Final = 20 << 3
"""What follows for the seed of a user; its text goes on with U."""


class UserCredentials:
    """What a credentials file holds.

    Args:
        file: the file.

    Raises:
        NatsUnusable: it can't be read, or is no credentials file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with file.open("rb") as opened:
                text = opened.read(_MAX_FILE_BYTES).decode("ascii", errors="replace")
        except OSError as fault:
            raise NatsUnusable(
                f"the NATS credentials file {str(file)!r} can't be read: {fault.strerror}; check "
                "its path and permissions"
            ) from None
        blocks: dict[str, str] = dict(_BLOCK.findall(text))
        if len(blocks) != 2:  # noqa: PLR2004 - the JWT and the seed
            raise self._is_wrong("it lacks a user's JWT or seed")
        self._jwt = blocks["NATS USER JWT"]
        self._key = Ed25519PrivateKey.from_private_bytes(self._read(blocks["USER NKEY SEED"]))

    def jwt(self) -> bytes:
        """The user's JWT."""
        return self._jwt.encode()

    def sign(self, nonce: str) -> bytes:
        """The signature of the server's challenge, in base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))

    def _read(self, seed: str) -> bytes:
        """The private key in a seed: two bytes of prefixes, the key, and a CRC-16."""
        try:
            raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
        except binascii.Error:
            raise self._is_wrong("its seed can't be read") from None
        content, check = raw[:-2], raw[-2:]
        if (
            len(content) != 2 + _SEED_BYTES
            or binascii.crc_hqx(content, 0).to_bytes(2, "little") != check
        ):
            raise self._is_wrong("its seed can't be read")
        if (
            content[0] & 0xF8 != _SEED_PREFIX
            or (content[0] & 7) << 5 | content[1] >> 3 != _USER_PREFIX
        ):
            raise self._is_wrong("its seed is not that of a user")
        return content[2:]

    def _is_wrong(self, why: str) -> NatsUnusable:
        return NatsUnusable(
            f"{str(self._file)!r} is no NATS credentials file: {why}; give the file that "
            "`nsc generate creds` writes"
        )
