"""The secret that all members of a workspace share; `str` and `repr` do not show it."""

from __future__ import annotations

import base64
import hmac
import re

from ....messages import InvalidInput

SECRET_BYTES = 32

_HEX = re.compile(rf"[0-9A-Fa-f]{{{2 * SECRET_BYTES}}}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{43}=?")
_RULE = (
    f"it must be {2 * SECRET_BYTES} hexadecimal digits or 43 characters of base64url, "
    "as `muster secret` prints it"
)


class WorkspaceSecret:
    """The 32 bytes from which the keys of a workspace are derived.

    Neither `str` nor `repr` shows them; `reveal` does.

    Args:
        key: 32 unpredictable bytes.

    Raises:
        InvalidInput: `key` does not have 32 bytes.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != SECRET_BYTES:
            raise InvalidInput(f"a secret of {len(key)} bytes; it must be {SECRET_BYTES} bytes")
        self._key = bytes(key)

    @classmethod
    def from_text(cls, text: str) -> WorkspaceSecret:
        """Read a secret from hexadecimal digits or base64url; surrounding white space is ignored.

        Raises:
            InvalidInput: the text is neither. The message does not show it.
        """
        text = text.strip()
        if _HEX.fullmatch(text):
            return cls(bytes.fromhex(text))
        if _BASE64URL.fullmatch(text):
            return cls(base64.urlsafe_b64decode(text.rstrip("=") + "="))
        raise InvalidInput(f"the secret is a text of {len(text):,} characters; {_RULE}")

    @property
    def key(self) -> bytes:
        """The bytes, to derive keys from."""
        return self._key

    def reveal(self) -> str:
        """The secret as text, 43 characters of base64url; handle it with care."""
        return base64.urlsafe_b64encode(self._key).decode("ascii").rstrip("=")

    def __repr__(self) -> str:
        return "WorkspaceSecret(hidden)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkspaceSecret) and hmac.compare_digest(self._key, other.key)

    def __hash__(self) -> int:
        return hash(self._key)
