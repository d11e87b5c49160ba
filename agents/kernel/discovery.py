"""What a worker and the manager's door say to each other.

```
N . | version 3 | kind | length | inside |
 2       1         1       2

| kind | from | inside |
|---|---|---|
| `GREETING` | the door, as soon as somebody comes | 16 random bytes, and whether it seals |
| `QUESTION` | the worker | 16 random bytes of its own, then its name |
| `ANSWER` | the door | where the worker is to go |
| `WIRE` | a worker of an earlier version | it gets no wire, and works by Ceylon |
| `CONNECT` | a worker | 16 random bytes of its own, then its address, share, key and signature |
| `CONNECTED` | the door | its share, key and signature: records follow |

A worker asks where to go, and leaves; or it asks that the connection become a wire, and stays.
For a wire both ends show by a signature whose session is theirs, and exchange shares from which
the keys of its records come; see `wire_keys`.

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

from ...messages import DecodeError, EncodeError, Flaw
from ...messages.frame import MAGIC
from ...messages.values import pack_scalars, unpack
from .security.connection_keys import SHARE_BYTES, ConnectionKeys, Exchange
from .security.identity import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Identity, check_signature
from .security.workspace_secret import WorkspaceSecret

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


class DiscoveryKind(IntEnum):
    """What a word at the door is."""

    GREETING = 1
    QUESTION = 2
    ANSWER = 3
    WIRE = 4
    CONNECT = 6
    CONNECTED = 7


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


class ConnectionRequest(NamedTuple):
    """What a worker asks for that wants its connection to become a wire.

    Args:
        nonce: 16 random bytes, new for each request.
        address: the worker's address.
        share: its part of the key exchange; empty if nothing is sealed.
        public_key: whose session is its own; empty if nothing is sealed.
    """

    nonce: bytes
    address: str
    share: bytes = b""
    public_key: bytes = b""


class ConnectionReply(NamedTuple):
    """What the door says to whoever gets a wire.

    Args:
        share: the manager's part of the key exchange; empty if nothing is sealed.
        public_key: whose session is the manager's; empty if nothing is sealed.
    """

    share: bytes = b""
    public_key: bytes = b""


class LaneAddress(NamedTuple):
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
    return _pack(DiscoveryKind.GREETING, greeting.nonce + bytes((greeting.sealed,)))


def read_head(head: bytes, *kinds: DiscoveryKind) -> tuple[DiscoveryKind, int]:
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
    return DiscoveryKind(told), length


def read_greeting(body: bytes) -> Greeting:
    """Read what follows the head of a greeting.

    Raises:
        DecodeError: it is none.
    """
    if len(body) != NONCE_BYTES + 1 or body[-1] > 1:
        raise DecodeError(Flaw.GARBAGE, "not a greeting")
    return Greeting(body[:NONCE_BYTES], bool(body[-1]))


class DiscoveryCodec:
    """Packs and reads question and answer, at either end.

    Args:
        secret: what the workspace's members share; None if it is not sealed.
        workspace_id: the workspace of the door.
        identity: signs what this end says about a wire; without one it can only ask where to go.
    """

    def __init__(
        self, secret: WorkspaceSecret | None, workspace_id: str, identity: Identity | None = None
    ) -> None:
        self._secret = secret
        self._workspace = workspace_id.encode("utf-8", "surrogatepass")
        self._identity = identity

    @property
    def is_sealed(self) -> bool:
        """Whether question and answer are sealed."""
        return self._secret is not None

    def pack_question(self, greeting: Greeting, question: Question) -> bytes:
        """Turn the question after a greeting into bytes."""
        said = self._seal(DiscoveryKind.QUESTION, greeting.nonce + question.nonce, [question.name])
        return _pack(DiscoveryKind.QUESTION, question.nonce + said)

    def read_question(self, greeting: Greeting, body: bytes) -> Question:
        """Read what follows the head of a question.

        Raises:
            DecodeError: it is none, was sealed with another secret, or for another greeting.
        """
        return Question(*self._read_text(DiscoveryKind.QUESTION, greeting, body))

    def pack_answer(self, greeting: Greeting, question: Question, place: LaneAddress) -> bytes:
        """Turn the answer to a question into bytes."""
        said = self._seal(DiscoveryKind.ANSWER, greeting.nonce + question.nonce, list(place))
        return _pack(DiscoveryKind.ANSWER, said)

    def read_answer(self, greeting: Greeting, question: Question, body: bytes) -> LaneAddress:
        """Read what follows the head of an answer.

        Raises:
            DecodeError: it is none, was sealed with another secret, or for another question.
        """
        match self._open(DiscoveryKind.ANSWER, greeting.nonce + question.nonce, body):
            case [str() as workspace_id, str() as peer_id, int() as port] if (
                _is_text(workspace_id)
                and _is_text(peer_id)
                and not isinstance(port, bool)
                and 1 <= port <= _MAX_PORT
            ):
                return LaneAddress(workspace_id, peer_id, port)
            case _:
                raise DecodeError(Flaw.INVALID, "an answer of the door that names no place")

    def wire_request(self, nonce: bytes, address: str, exchange: Exchange) -> ConnectionRequest:
        """Make the request for a wire of this end, which is a worker's."""
        if self._secret is None or self._identity is None:
            return ConnectionRequest(nonce, address)
        return ConnectionRequest(nonce, address, exchange.share, self._identity.public_key)

    def wire_reply(self, exchange: Exchange) -> ConnectionReply:
        """Make the reply of this end, which is a door's."""
        if self._secret is None or self._identity is None:
            return ConnectionReply()
        return ConnectionReply(exchange.share, self._identity.public_key)

    def pack_wire_request(self, greeting: Greeting, request: ConnectionRequest) -> bytes:
        """Turn the request for a wire after a greeting into bytes."""
        said: list[str | int | bytes] = [request.address]
        if self._secret is not None:
            signature = self._sign(self._asked(greeting, request))
            said += [request.share, request.public_key, signature]
        nonces = greeting.nonce + request.nonce
        return _pack(
            DiscoveryKind.CONNECT, request.nonce + self._seal(DiscoveryKind.CONNECT, nonces, said)
        )

    def read_wire_request(self, greeting: Greeting, body: bytes) -> ConnectionRequest:
        """Read what follows the head of a request for a wire.

        Raises:
            DecodeError: it is none, was sealed with another secret, for another greeting, or not
                signed.
        """
        nonce, said = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise DecodeError(Flaw.GARBAGE, "a request for a wire that is cut off")
        is_sealed = self._secret is not None
        match self._open(DiscoveryKind.CONNECT, greeting.nonce + nonce, said):
            case [str() as address] if not is_sealed and _is_text(address):
                return ConnectionRequest(nonce, address)
            case [str() as address, bytes() as share, bytes() as key, bytes() as signature] if (
                is_sealed and _is_text(address) and _are_keys(share, key, signature)
            ):
                request = ConnectionRequest(nonce, address, share, key)
                check_signature(key, signature, self._asked(greeting, request))
                return request
            case _:
                raise DecodeError(Flaw.INVALID, "a request for a wire that is not complete")

    def pack_wired(
        self, greeting: Greeting, request: ConnectionRequest, reply: ConnectionReply
    ) -> bytes:
        """Turn the word that what follows is a wire into bytes."""
        said: list[str | int | bytes] = []
        if self._secret is not None:
            signature = self._sign(self._agreed(greeting, request, reply))
            said = [reply.share, reply.public_key, signature]
        nonces = greeting.nonce + request.nonce
        return _pack(DiscoveryKind.CONNECTED, self._seal(DiscoveryKind.CONNECTED, nonces, said))

    def read_wired(
        self, greeting: Greeting, request: ConnectionRequest, body: bytes
    ) -> ConnectionReply:
        """Read what follows the head of that word.

        Raises:
            DecodeError: it is none, was sealed with another secret, for another request, or not
                signed.
        """
        match self._open(DiscoveryKind.CONNECTED, greeting.nonce + request.nonce, body):
            case [] if self._secret is None:
                return ConnectionReply()
            case [bytes() as share, bytes() as public_key, bytes() as signature] if (
                self._secret is not None and _are_keys(share, public_key, signature)
            ):
                reply = ConnectionReply(share, public_key)
                check_signature(public_key, signature, self._agreed(greeting, request, reply))
                return reply
            case _:
                raise DecodeError(Flaw.INVALID, "an answer of the door that is no wire's")

    def wire_keys(
        self,
        greeting: Greeting,
        request: ConnectionRequest,
        reply: ConnectionReply,
        exchange: Exchange,
    ) -> ConnectionKeys | None:
        """Derive the keys of a wire at either end; None if nothing is sealed.

        Raises:
            DecodeError: what the other end sent leads to no key.
        """
        if self._secret is None:
            return None
        theirs = reply.share if exchange.share == request.share else request.share
        return exchange.derive(theirs, self._secret, self._agreed(greeting, request, reply))

    def _asked(self, greeting: Greeting, request: ConnectionRequest) -> bytes:
        return pack_scalars([int(DiscoveryKind.CONNECT), self._workspace, greeting.nonce, *request])

    def _agreed(
        self, greeting: Greeting, request: ConnectionRequest, reply: ConnectionReply
    ) -> bytes:
        return pack_scalars(
            [int(DiscoveryKind.CONNECTED), self._workspace, greeting.nonce, *request, *reply]
        )

    def _sign(self, said: bytes) -> bytes:
        if self._identity is None:
            raise EncodeError("a wire can't be asked for without an identity that signs")
        return self._identity.sign(said)

    def _read_text(self, kind: DiscoveryKind, greeting: Greeting, body: bytes) -> tuple[bytes, str]:
        nonce, said = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise DecodeError(Flaw.GARBAGE, "a question at the door that is cut off")
        match self._open(kind, greeting.nonce + nonce, said):
            case [str() as text] if _is_text(text):
                return nonce, text
            case _:
                raise DecodeError(Flaw.INVALID, "a question at the door that names nobody")

    def _seal(self, kind: DiscoveryKind, nonces: bytes, said: Sequence[str | int | bytes]) -> bytes:
        plain = pack_scalars(said)
        if self._secret is None:
            return plain
        return self._cipher(self._secret, kind, nonces).encrypt(_ONLY_NONCE, plain, self._workspace)

    def _open(self, kind: DiscoveryKind, nonces: bytes, data: bytes) -> object:
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

    def _cipher(self, secret: WorkspaceSecret, kind: DiscoveryKind, nonces: bytes) -> AESGCM:
        info = _PURPOSE + bytes((kind,)) + nonces
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._workspace, info=info)
        return AESGCM(derivation.derive(secret.key))


def _pack(kind: DiscoveryKind, body: bytes) -> bytes:
    return _HEAD.pack(MAGIC, DOOR_VERSION, kind, len(body)) + body


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _MAX_TEXT_CHARACTERS


def _are_keys(share: bytes, public_key: bytes, signature: bytes) -> bool:
    lengths = (len(share), len(public_key), len(signature))
    return lengths == (SHARE_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES)
