"""What a worker and the manager's door say to each other.

```
N . | version 3 | kind | length | inside |
 2       1         1       2

| kind | from | inside |
|---|---|---|
| `GREETING` | the door, as soon as somebody comes | 16 random bytes, and whether it seals |
| `QUESTION` | the worker | 16 random bytes of its own, then its name |
| `ANSWER` | the door | where the worker is to go |
| `WIRE` | a worker that has joined | 16 random bytes of its own, then its address |
| `WIRED` | the door | nothing: frames follow |

A worker asks where to go, and leaves; or it asks that the connection become a wire, and stays.

Name, address and answers are msgpack. Where frames are sealed they are encrypted, each with a key
of its own: it is derived from the secret, the workspace, the kind, and the random bytes of both
sides. So a question opens only at the door that greeted with these bytes, and an answer only for
the question that it answers: who repeats what was said before moves nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ...messages import DecodeError, Flaw
from ...messages.frame import MAGIC
from ...messages.values import pack_scalars, unpack
from .workspace_secret import WorkspaceSecret

DOOR_VERSION = 3
NONCE_BYTES = 16

_HEAD = struct.Struct(">2sBBH")
HEAD_BYTES = _HEAD.size
MAX_WORD_BYTES = 1024
_MAX_TEXT_CHARACTERS = 200
_MAX_PORT = 65_535
_KEY_BYTES = 32
_PURPOSE = b"muster door 1"
# Each key seals one thing only.
_ONLY_NONCE = bytes(12)


class DoorKind(IntEnum):
    """What a word at the door is."""

    GREETING = 1
    QUESTION = 2
    ANSWER = 3
    WIRE = 4
    WIRED = 5


class Greeting(NamedTuple):
    """What the door says to whoever comes.

    Args:
        nonce: 16 random bytes, new for each visit.
        sealed: whether it takes only questions that are sealed.
    """

    nonce: bytes
    sealed: bool


class Question(NamedTuple):
    """What a worker asks.

    Args:
        nonce: 16 random bytes, new for each question.
        name: the worker's name.
    """

    nonce: bytes
    name: str


class WireRequest(NamedTuple):
    """What a worker asks for that has joined.

    Args:
        nonce: 16 random bytes, new for each request.
        address: the worker's address.
    """

    nonce: bytes
    address: str


class Place(NamedTuple):
    """Where a worker is to go, on the host that it came to.

    Args:
        workspace_id: the workspace.
        peer_id: the peer id of its admin.
        port: the UDP port of its admin.
    """

    workspace_id: str
    peer_id: str
    port: int


def pack_greeting(greeting: Greeting) -> bytes:
    """Turn a greeting into bytes."""
    return _pack(DoorKind.GREETING, greeting.nonce + bytes((greeting.sealed,)))


def read_head(head: bytes, *kinds: DoorKind) -> tuple[DoorKind, int]:
    """Which word it is that begins so, and how many bytes follow.

    Args:
        head: `HEAD_BYTES` bytes.
        kinds: the words that may come now.

    Raises:
        DecodeError: it is not the head of such a word, or too many would follow.
    """
    if len(head) != HEAD_BYTES or not head.startswith(MAGIC):
        raise DecodeError(Flaw.GARBAGE, "not a word for the door")
    _, version, told, length = _HEAD.unpack(head)
    if version != DOOR_VERSION:
        raise DecodeError(Flaw.VERSION, f"a word for the door of version {version}")
    if told not in kinds:
        due = " or ".join(kind.name for kind in kinds)
        raise DecodeError(Flaw.GARBAGE, f"a word of kind {told} where {due} was due")
    if length > MAX_WORD_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a word for the door of {length:,} bytes")
    return DoorKind(told), length


def read_greeting(body: bytes) -> Greeting:
    """Read what follows the head of a greeting.

    Raises:
        DecodeError: it is none.
    """
    if len(body) != NONCE_BYTES + 1 or body[-1] > 1:
        raise DecodeError(Flaw.GARBAGE, "not a greeting")
    return Greeting(body[:NONCE_BYTES], bool(body[-1]))


class DoorTalk:
    """Packs and reads question and answer, at either end.

    Args:
        secret: what the workspace's members share; None if it is not sealed.
        workspace_id: the workspace of the door.
    """

    def __init__(self, secret: WorkspaceSecret | None, workspace_id: str) -> None:
        self._secret = secret
        self._workspace = workspace_id.encode("utf-8", "surrogatepass")

    @property
    def is_sealed(self) -> bool:
        """Whether question and answer are sealed."""
        return self._secret is not None

    def pack_question(self, greeting: Greeting, question: Question) -> bytes:
        """Turn the question after a greeting into bytes."""
        said = self._seal(DoorKind.QUESTION, greeting.nonce + question.nonce, [question.name])
        return _pack(DoorKind.QUESTION, question.nonce + said)

    def read_question(self, greeting: Greeting, body: bytes) -> Question:
        """Read what follows the head of a question.

        Raises:
            DecodeError: it is none, was sealed with another secret, or for another greeting.
        """
        return Question(*self._read_text(DoorKind.QUESTION, greeting, body))

    def pack_answer(self, greeting: Greeting, question: Question, place: Place) -> bytes:
        """Turn the answer to a question into bytes."""
        said = self._seal(DoorKind.ANSWER, greeting.nonce + question.nonce, list(place))
        return _pack(DoorKind.ANSWER, said)

    def read_answer(self, greeting: Greeting, question: Question, body: bytes) -> Place:
        """Read what follows the head of an answer.

        Raises:
            DecodeError: it is none, was sealed with another secret, or for another question.
        """
        match self._open(DoorKind.ANSWER, greeting.nonce + question.nonce, body):
            case [str() as workspace_id, str() as peer_id, int() as port] if (
                _is_text(workspace_id)
                and _is_text(peer_id)
                and not isinstance(port, bool)
                and 1 <= port <= _MAX_PORT
            ):
                return Place(workspace_id, peer_id, port)
            case _:
                raise DecodeError(Flaw.INVALID, "an answer of the door that names no place")

    def pack_wire_request(self, greeting: Greeting, request: WireRequest) -> bytes:
        """Turn the request for a wire after a greeting into bytes."""
        said = self._seal(DoorKind.WIRE, greeting.nonce + request.nonce, [request.address])
        return _pack(DoorKind.WIRE, request.nonce + said)

    def read_wire_request(self, greeting: Greeting, body: bytes) -> WireRequest:
        """Read what follows the head of a request for a wire.

        Raises:
            DecodeError: it is none, was sealed with another secret, or for another greeting.
        """
        return WireRequest(*self._read_text(DoorKind.WIRE, greeting, body))

    def pack_wired(self, greeting: Greeting, request: WireRequest) -> bytes:
        """Turn the word that what follows is a wire into bytes."""
        said = self._seal(DoorKind.WIRED, greeting.nonce + request.nonce, [])
        return _pack(DoorKind.WIRED, said)

    def read_wired(self, greeting: Greeting, request: WireRequest, body: bytes) -> None:
        """See that what follows the head of that word is whole.

        Raises:
            DecodeError: it is not, was sealed with another secret, or for another request.
        """
        if self._open(DoorKind.WIRED, greeting.nonce + request.nonce, body) != []:
            raise DecodeError(Flaw.INVALID, "an answer of the door that is no wire's")

    def _read_text(self, kind: DoorKind, greeting: Greeting, body: bytes) -> tuple[bytes, str]:
        nonce, said = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise DecodeError(Flaw.GARBAGE, "a question at the door that is cut off")
        match self._open(kind, greeting.nonce + nonce, said):
            case [str() as text] if _is_text(text):
                return nonce, text
            case _:
                raise DecodeError(Flaw.INVALID, "a question at the door that names nobody")

    def _seal(self, kind: DoorKind, nonces: bytes, said: Sequence[str | int]) -> bytes:
        plain = pack_scalars(said)
        if self._secret is None:
            return plain
        return self._cipher(self._secret, kind, nonces).encrypt(_ONLY_NONCE, plain, self._workspace)

    def _open(self, kind: DoorKind, nonces: bytes, data: bytes) -> object:
        if self._secret is None:
            return unpack(data)
        cipher = self._cipher(self._secret, kind, nonces)
        try:
            return unpack(cipher.decrypt(_ONLY_NONCE, data, self._workspace))
        except InvalidTag:
            raise DecodeError(
                Flaw.WRONG_SECRET,
                "a word at the door that can't be opened: it was sealed with another secret, "
                "for another visit, or altered",
            ) from None

    def _cipher(self, secret: WorkspaceSecret, kind: DoorKind, nonces: bytes) -> AESGCM:
        info = _PURPOSE + bytes((kind,)) + nonces
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._workspace, info=info)
        return AESGCM(derivation.derive(secret.key))


def _pack(kind: DoorKind, body: bytes) -> bytes:
    return _HEAD.pack(MAGIC, DOOR_VERSION, kind, len(body)) + body


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _MAX_TEXT_CHARACTERS
