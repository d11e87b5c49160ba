"""Sealed frames: encrypted, and bound to who sends them, to whom, and in which session.

```
N . | version 2 | kind | from | sender | bound to | pass | inside |
|---|---|---|---|---|---|
| `KNOCK` | a client that knows no manager session | its session | zeros | 0 | nothing |
| `CHALLENGE` | the manager | its session | the client's session | what it answers | nothing |
| `CLIENT` | a client that was let in | its session | the manager's session | its pass | a frame |
| `MANAGER` | the manager | its session | zeros | 0 | a frame |
| `NOTICE` | anybody: nothing is encrypted | zeros | whom it is for, or zeros | 0 | why |

What a challenge answers is named by its counter; the challenge's own counter becomes the client's
pass.

The key of a frame is derived from the secret, the workspace, the kind, the sender's session and
what it is bound to; the counter, which a session never uses twice, is the nonce; the whole header
is authenticated. So a frame opens only as what it was sealed as. What is inside a `CLIENT` or
`MANAGER` frame is a frame as `messages/frame.py` has it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ...messages import DecodeError, Flaw, InvalidInput
from ...messages.frame import FRAME_VERSION, MAGIC, MAX_FRAME_BYTES, read_version
from .lanes import door_workspace
from .workspace_secret import WorkspaceSecret

SEALED_VERSION = 2
SESSION_BYTES = 16
NO_SESSION = bytes(SESSION_BYTES)

_LAYOUT = struct.Struct(f">2sBB{SESSION_BYTES}s{SESSION_BYTES}sQQ")
HEADER_BYTES = _LAYOUT.size
_TAG_BYTES = 16
_KEY_BYTES = 32
_NONCE_BYTES = 12
MAX_SEALED_BYTES = HEADER_BYTES + MAX_FRAME_BYTES + 64 + _TAG_BYTES
"""The largest sealed frame that is opened; the frame inside has a short header of its own."""

_PURPOSE = b"muster sealed frame 2"
_BLOB_PURPOSE = b"muster blob 1"


class Kind(IntEnum):
    """What a sealed frame is, and in which direction it goes."""

    KNOCK = 1
    CHALLENGE = 2
    CLIENT = 3
    MANAGER = 4
    NOTICE = 5


class Header(NamedTuple):
    """What stands in the clear at the beginning of a sealed frame.

    Args:
        kind: what it is.
        sender: the session of its sender.
        bound_to: the session at the other end, or zeros.
        pass_number: which pass of that manager session the sender uses; of a challenge: the
            counter of the frame that it answers.
        counter: the sender's number for this frame; no session uses one twice.
    """

    kind: Kind
    sender: bytes
    bound_to: bytes = NO_SESSION
    pass_number: int = 0
    counter: int = 0


class FrameKey:
    """Seals and opens the frames of one kind, from one session, bound to one thing.

    Args:
        key: 32 bytes.
        workspace: authenticated with each frame.
    """

    __slots__ = ("_cipher", "_workspace")

    def __init__(self, key: bytes, workspace: bytes) -> None:
        self._cipher = AESGCM(key)
        self._workspace = workspace

    def seal(self, header: Header, content: bytes = b"") -> bytes:
        """Seal a frame; the header must belong to this key, and its counter must be a new one."""
        clear = pack_header(header)
        return clear + self._cipher.encrypt(_nonce(header), content, clear + self._workspace)

    def open(self, header: Header, data: bytes) -> bytes:
        """Give what is inside a sealed frame whose header was read already.

        Raises:
            DecodeError: it was sealed with another secret, or was altered.
        """
        clear = data[:HEADER_BYTES]
        try:
            return self._cipher.decrypt(
                _nonce(header), data[HEADER_BYTES:], clear + self._workspace
            )
        except InvalidTag:
            raise DecodeError(
                Flaw.WRONG_SECRET,
                f"a frame of {len(data):,} bytes that can't be opened: "
                "it was sealed with another secret, or altered",
            ) from None


class KeyRing:
    """Derives the keys of a workspace from its secret.

    Args:
        secret: what all members share.
        workspace_id: the workspace.
    """

    def __init__(self, secret: WorkspaceSecret, workspace_id: str) -> None:
        self._secret = secret
        self._workspace = workspace_id.encode("utf-8", "surrogatepass")
        self._door_workspace = door_workspace(workspace_id).encode("utf-8", "surrogatepass")

    def key_for(self, header: Header) -> FrameKey:
        """Derive the key for all frames that share this header's kind, sender and binding."""
        bound = struct.pack(">Q", header.pass_number)
        info = _PURPOSE + bytes((header.kind,)) + header.sender + header.bound_to + bound
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._workspace, info=info)
        return FrameKey(derivation.derive(self._secret.key), self._workspace)

    def blob_key(self) -> bytes:
        """Derive the key for what travels beside the frames, the same for all lanes."""
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._door_workspace, info=_BLOB_PURPOSE)
        return derivation.derive(self._secret.key)


def pack_header(header: Header) -> bytes:
    """Turn a header into the bytes that a sealed frame begins with."""
    return _LAYOUT.pack(MAGIC, SEALED_VERSION, *header)


def read_header(data: bytes) -> Header:
    """Read the header of a sealed frame; nothing is opened, and nothing it says is proved.

    Raises:
        DecodeError: it is no sealed frame.
    """
    version = read_version(data)
    if version == FRAME_VERSION:
        raise DecodeError(Flaw.UNSEALED, f"a frame of {len(data):,} bytes that is not sealed")
    if version != SEALED_VERSION:
        raise DecodeError(
            Flaw.VERSION, f"a frame of version {version}; this Muster seals as {SEALED_VERSION}"
        )
    if len(data) > MAX_SEALED_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a sealed frame of {len(data):,} bytes")
    if len(data) < HEADER_BYTES:
        raise DecodeError(Flaw.GARBAGE, "a sealed frame without a whole header")
    _, _, kind, sender, bound_to, pass_number, counter = _LAYOUT.unpack_from(data)
    try:
        return Header(Kind(kind), sender, bound_to, pass_number, counter)
    except ValueError:
        raise DecodeError(Flaw.GARBAGE, f"a sealed frame of unknown kind {kind}") from None


def check_session(session: bytes) -> None:
    """See that a session can be told from all others.

    Raises:
        InvalidInput: it is not 16 bytes long, or only zeros.
    """
    if len(session) != SESSION_BYTES or session == NO_SESSION:
        raise InvalidInput(
            f"a seal session of {len(session)} bytes; it must be {SESSION_BYTES} random bytes"
        )


def _nonce(header: Header) -> bytes:
    return header.counter.to_bytes(_NONCE_BYTES, "big")
