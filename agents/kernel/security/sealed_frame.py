"""Sealed frames: encrypted, and bound to who sends them, to whom, and in which session.

```
N . | version | kind | from | sender | bound to | pass | inside |
|---|---|---|---|---|---|
| `PROBE` | a client that knows no manager session | its session | zeros | 0 | nothing |
| `CHALLENGE` | the manager | its session | the client's session | what it answers | nothing |
| `CLIENT` | an admitted client | its session | the manager's session | its pass | a frame |
| `MANAGER` | the manager | its session | zeros | 0 | a frame |
| `ALERT` | any sender, unencrypted | zeros | its receiver, or zeros | 0 | the reason |

A challenge names the frame that it answers by its counter. The challenge's own counter becomes the
client's pass.

The key of a frame is derived from the secret, the workspace, the version, the kind, the sender's
session and what it is bound to. The counter, which a session never uses twice, is the nonce. The
whole header is authenticated, so that a frame can't be used as anything else. A `CLIENT` or
`MANAGER` frame contains a frame as in `messages/frame.py`.

A session is the hash of a public key. That key and a signature follow the content: a member that
knows the secret still can't send in another member's session. The cipher is AES-256-GCM-SIV: a copy
of a running machine repeats counters, which then only reveals which frames are equal. Frames of
version 2 were sealed with AES-256-GCM and not signed. Only a manager still accepts and sends them,
for older workers.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ....messages import DecodeError, Flaw
from ....messages.frame import FRAME_VERSION, MAGIC, MAX_FRAME_BYTES, read_version
from ..model.workspace_names import first_lane_workspace
from .identity import (
    PUBLIC_KEY_BYTES,
    SESSION_BYTES,
    SIGNATURE_BYTES,
    Identity,
    check_speaker,
    session_of,
)
from .workspace_secret import WorkspaceSecret

SEALED_VERSION = 3
UNSIGNED_VERSION = 2
"""The version that older workers use."""

NO_SESSION = bytes(SESSION_BYTES)

_LAYOUT = struct.Struct(f">2sBB{SESSION_BYTES}s{SESSION_BYTES}sQQ")
HEADER_BYTES = _LAYOUT.size
_TAG_BYTES = 16
_KEY_BYTES = 32
_NONCE_BYTES = 12
SIGNED_BYTES = PUBLIC_KEY_BYTES + SIGNATURE_BYTES
MAX_SEALED_BYTES = HEADER_BYTES + MAX_FRAME_BYTES + 64 + SIGNED_BYTES + _TAG_BYTES
"""The largest sealed frame that is opened; the frame inside has a short header of its own."""

_PURPOSES = {SEALED_VERSION: b"muster sealed frame 3", UNSIGNED_VERSION: b"muster sealed frame 2"}
_SIGNED_PURPOSE = b"muster signed frame 3"
_BLOB_PURPOSE = b"muster blob 1"


class FrameKind(IntEnum):
    """The kinds of sealed frames, and their directions."""

    PROBE = 1
    CHALLENGE = 2
    CLIENT = 3
    MANAGER = 4
    ALERT = 5


class Header(NamedTuple):
    """The unencrypted beginning of a sealed frame.

    Args:
        kind: its kind.
        sender: the session of its sender.
        bound_to: the session at the other end, or zeros.
        pass_number: the sender's pass for that manager session; of a challenge: the counter of the
            frame that it answers.
        counter: the sender's number for this frame; no session uses one twice.
        version: the version of the format.
    """

    kind: FrameKind
    sender: bytes
    bound_to: bytes = NO_SESSION
    pass_number: int = 0
    counter: int = 0
    version: int = SEALED_VERSION

    @property
    def speaker(self) -> Speaker:
        """The sender, if the frame can be decrypted."""
        return Speaker(self.version, self.sender)


class Speaker(NamedTuple):
    """A sender of frames. Sessions of different versions differ: older ones don't sign.

    Args:
        version: the version of its frames.
        session: its session.
    """

    version: int
    session: bytes


class FrameKey:
    """Seals and opens the frames of one kind and one sender, bound to one session.

    Args:
        key: 32 bytes.
        workspace: authenticated with each frame.
        version: the version of the format.
    """

    __slots__ = ("_cipher", "_is_signed", "_workspace")

    def __init__(self, key: bytes, workspace: bytes, version: int) -> None:
        self._is_signed = version != UNSIGNED_VERSION
        self._cipher = AESGCMSIV(key) if self._is_signed else AESGCM(key)
        self._workspace = workspace

    def seal(self, header: Header, identity: Identity, content: bytes = b"") -> bytes:
        """Seal a frame.

        Args:
            header: it must belong to this key and to the identity's session, with a new counter.
            identity: signs the frame.
            content: the content.
        """
        clear = pack_header(header)
        if self._is_signed:
            signature = identity.sign(self._signed(clear, content))
            content = b"".join((content, identity.public_key, signature))
        return clear + self._cipher.encrypt(_nonce(header), content, clear + self._workspace)

    def open(self, header: Header, data: bytes) -> bytes:
        """Decrypt a sealed frame whose header was already read, and check its signature.

        Raises:
            DecodeError: it was sealed with another secret, was altered, or does not come from the
                member whose session it names.
        """
        clear = data[:HEADER_BYTES]
        try:
            content = self._cipher.decrypt(
                _nonce(header), data[HEADER_BYTES:], clear + self._workspace
            )
        except (InvalidTag, ValueError):
            raise DecodeError(
                Flaw.WRONG_SECRET,
                f"a frame of {len(data):,} bytes that can't be decrypted: "
                "it was sealed with another secret, or altered",
            ) from None
        return self._check(header, clear, content) if self._is_signed else content

    def _check(self, header: Header, clear: bytes, inside: bytes) -> bytes:
        content = inside[:-SIGNED_BYTES]
        public_key, signature = (
            inside[-SIGNED_BYTES:-SIGNATURE_BYTES],
            inside[-SIGNATURE_BYTES:],
        )
        signed = self._signed(clear, content)
        check_speaker(header.sender, self._workspace, public_key, signature, signed)
        return content

    def _signed(self, clear: bytes, content: bytes) -> bytes:
        return b"".join((_SIGNED_PURPOSE, clear, sha256(content).digest(), self._workspace))


class KeyRing:
    """Derives the keys of a workspace from its secret."""

    def __init__(self, secret: WorkspaceSecret, workspace_id: str) -> None:
        self._secret = secret
        self._workspace = workspace_id.encode("utf-8", "surrogatepass")
        self._first_lane_workspace = first_lane_workspace(workspace_id).encode(
            "utf-8", "surrogatepass"
        )

    def key_for(self, header: Header) -> FrameKey:
        """Derive the key for all frames that share this header's kind, sender and binding."""
        bound = struct.pack(">Q", header.pass_number)
        purpose = _PURPOSES[header.version]
        info = purpose + bytes((header.kind,)) + header.sender + header.bound_to + bound
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._workspace, info=info)
        return FrameKey(derivation.derive(self._secret.key), self._workspace, header.version)

    def speaker_of(self, public_key: bytes) -> Speaker:
        """The sender that has proved to own a public key."""
        return Speaker(SEALED_VERSION, session_of(public_key, self._workspace))

    def blob_key(self) -> bytes:
        """Derive the key for blobs, the same for all lanes."""
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._first_lane_workspace, info=_BLOB_PURPOSE)
        return derivation.derive(self._secret.key)


def pack_header(header: Header) -> bytes:
    """Encode the header of a sealed frame."""
    return _LAYOUT.pack(MAGIC, header.version, *header[:-1])


def read_header(data: bytes) -> Header:
    """Read the header of a sealed frame; nothing is decrypted or verified.

    Raises:
        DecodeError: it is not a sealed frame.
    """
    if len(data) < HEADER_BYTES or data[:2] != MAGIC or data[2] not in _PURPOSES:
        raise _no_sealed_frame(data)
    if len(data) > MAX_SEALED_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a sealed frame of {len(data):,} bytes")
    _, version, kind, sender, bound_to, pass_number, counter = _LAYOUT.unpack_from(data)
    try:
        return Header(FrameKind(kind), sender, bound_to, pass_number, counter, version)
    except ValueError:
        raise DecodeError(Flaw.GARBAGE, f"a sealed frame of unknown kind {kind}") from None


def _no_sealed_frame(data: bytes) -> DecodeError:
    """Say why bytes are not a sealed frame.

    Raises:
        DecodeError: they are not any kind of frame.
    """
    version = read_version(data)
    if version == FRAME_VERSION:
        return DecodeError(Flaw.UNSEALED, f"a frame of {len(data):,} bytes that is not sealed")
    if version not in _PURPOSES:
        return DecodeError(
            Flaw.VERSION, f"a frame of version {version}; this Muster seals as {SEALED_VERSION}"
        )
    return DecodeError(Flaw.GARBAGE, "a sealed frame without a complete header")


def _nonce(header: Header) -> bytes:
    return header.counter.to_bytes(_NONCE_BYTES, "big")
