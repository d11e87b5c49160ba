"""The messages of discovery, between a worker and its manager.

```
N . | version 3 | kind | length | content |
 2       1         1       2
```

| kind | from | content |
|---|---|---|
| `GREETING` | the manager, at once | 16 random bytes, and whether it seals |
| `QUESTION` | the worker | 16 random bytes of its own, then its name |
| `ANSWER` | the manager | the address of the worker's lane |
| `WIRE` | a worker of an earlier version | it is refused, and works over Ceylon |
| `CONNECT` | a worker | 16 random bytes of its own, then its address, share, key and signature |
| `CONNECTED` | the manager | its share, key and signature: records follow |

A worker asks for its lane, and disconnects; or it requests that the connection become a direct
connection, and stays. For a direct connection both ends prove by a signature which session is
theirs, and exchange shares from which the keys of its records are derived; see `derive_keys`.

Name, address and answers are msgpack. In a sealed workspace they are encrypted, each with a key of
its own, derived from the secret, the workspace, the kind, and the random bytes of both sides. So a
question can be decrypted only by the manager that sent this greeting, and an answer only for its
question: replaying recorded messages has no effect.
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

DISCOVERY_VERSION = 3
NONCE_BYTES = 16

_HEAD = struct.Struct(">2sBBH")
HEAD_BYTES = _HEAD.size
MAX_DISCOVERY_BYTES = 1024
_MAX_TEXT_CHARACTERS = 200
_MAX_PORT = 65_535
_KEY_BYTES = 32
_PURPOSE = b"muster door 1"
# Each key seals one message only.
_ONLY_NONCE = bytes(12)


class DiscoveryKind(IntEnum):
    """The kinds of discovery messages."""

    GREETING = 1
    QUESTION = 2
    ANSWER = 3
    FORMER_CONNECT = 4
    CONNECT = 6
    CONNECTED = 7


class Greeting(NamedTuple):
    """The manager's first message.

    Args:
        nonce: 16 random bytes, new for each connection.
        sealed: whether it accepts only sealed questions.
    """

    nonce: bytes
    sealed: bool


class Question(NamedTuple):
    """A worker's question.

    Args:
        nonce: 16 random bytes, new for each question.
        name: the worker's name.
    """

    nonce: bytes
    name: str


class ConnectionRequest(NamedTuple):
    """A worker's request for a direct connection.

    Args:
        nonce: 16 random bytes, new for each request.
        address: the worker's address.
        share: its part of the key exchange; empty if nothing is sealed.
        public_key: the key of its session; empty if nothing is sealed.
    """

    nonce: bytes
    address: str
    share: bytes = b""
    public_key: bytes = b""


class ConnectionReply(NamedTuple):
    """The manager's reply to the request for a direct connection.

    Args:
        share: the manager's part of the key exchange; empty if nothing is sealed.
        public_key: the key of the manager's session; empty if nothing is sealed.
    """

    share: bytes = b""
    public_key: bytes = b""


class LaneAddress(NamedTuple):
    """The workspace that a worker should join, on the host that it asked.

    Args:
        workspace_id: the workspace.
        peer_id: the peer id of its admin.
        port: the UDP port of its admin.
    """

    workspace_id: str
    peer_id: str
    port: int


def pack_greeting(greeting: Greeting) -> bytes:
    """Encode a greeting."""
    return _pack(DiscoveryKind.GREETING, greeting.nonce + bytes((greeting.sealed,)))


def read_head(head: bytes, *kinds: DiscoveryKind) -> tuple[DiscoveryKind, int]:
    """The kind of a message, and how many bytes follow.

    Args:
        head: `HEAD_BYTES` bytes.
        kinds: the kinds that may arrive now.

    Raises:
        DecodeError: it is not the head of such a message, or too many bytes would follow.
    """
    if len(head) != HEAD_BYTES or not head.startswith(MAGIC):
        raise DecodeError(Flaw.GARBAGE, "not a discovery message")
    _, version, told, length = _HEAD.unpack(head)
    if version != DISCOVERY_VERSION:
        raise DecodeError(Flaw.VERSION, f"a discovery message of version {version}")
    if told not in kinds:
        due = " or ".join(kind.name for kind in kinds)
        raise DecodeError(Flaw.GARBAGE, f"a message of kind {told}; expected {due}")
    if length > MAX_DISCOVERY_BYTES:
        raise DecodeError(Flaw.OVERSIZED, f"a discovery message of {length:,} bytes")
    return DiscoveryKind(told), length


def read_greeting(body: bytes) -> Greeting:
    """Decode the content of a greeting.

    Raises:
        DecodeError: it is not a greeting.
    """
    if len(body) != NONCE_BYTES + 1 or body[-1] > 1:
        raise DecodeError(Flaw.GARBAGE, "not a greeting")
    return Greeting(body[:NONCE_BYTES], bool(body[-1]))


class DiscoveryCodec:
    """Encodes and decodes discovery messages, at either end.

    Args:
        secret: the workspace's secret; None if it is not sealed.
        workspace_id: the workspace of lane 0.
        identity: signs requests and replies for direct connections; not needed for questions.
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
        """Encode the question after a greeting."""
        said = self._seal(DiscoveryKind.QUESTION, greeting.nonce + question.nonce, [question.name])
        return _pack(DiscoveryKind.QUESTION, question.nonce + said)

    def read_question(self, greeting: Greeting, body: bytes) -> Question:
        """Decode the content of a question.

        Raises:
            DecodeError: it is not a question, or was sealed with another secret or for another
                greeting.
        """
        nonce, said = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise DecodeError(Flaw.GARBAGE, "a truncated discovery question")
        match self._open(DiscoveryKind.QUESTION, greeting.nonce + nonce, said):
            case [str() as name] if _is_text(name):
                return Question(nonce, name)
            case _:
                raise DecodeError(Flaw.INVALID, "a discovery question without a name")

    def pack_answer(self, greeting: Greeting, question: Question, place: LaneAddress) -> bytes:
        """Encode the answer to a question."""
        said = self._seal(DiscoveryKind.ANSWER, greeting.nonce + question.nonce, list(place))
        return _pack(DiscoveryKind.ANSWER, said)

    def read_answer(self, greeting: Greeting, question: Question, body: bytes) -> LaneAddress:
        """Decode the content of an answer.

        Raises:
            DecodeError: it is not an answer, or was sealed with another secret or for another
                question.
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
                raise DecodeError(Flaw.INVALID, "a discovery answer without a lane address")

    def connection_request(
        self, nonce: bytes, address: str, exchange: Exchange
    ) -> ConnectionRequest:
        """Create a worker's request for a direct connection."""
        if self._secret is None or self._identity is None:
            return ConnectionRequest(nonce, address)
        return ConnectionRequest(nonce, address, exchange.share, self._identity.public_key)

    def connection_reply(self, exchange: Exchange) -> ConnectionReply:
        """Create a manager's reply to a request for a direct connection."""
        if self._secret is None or self._identity is None:
            return ConnectionReply()
        return ConnectionReply(exchange.share, self._identity.public_key)

    def pack_connection_request(self, greeting: Greeting, request: ConnectionRequest) -> bytes:
        """Encode the request for a direct connection after a greeting."""
        said: list[str | int | bytes] = [request.address]
        if self._secret is not None:
            signature = self._sign(self._asked(greeting, request))
            said += [request.share, request.public_key, signature]
        nonces = greeting.nonce + request.nonce
        return _pack(
            DiscoveryKind.CONNECT, request.nonce + self._seal(DiscoveryKind.CONNECT, nonces, said)
        )

    def read_connection_request(self, greeting: Greeting, body: bytes) -> ConnectionRequest:
        """Decode the content of a request for a direct connection.

        Raises:
            DecodeError: it is not a request, was sealed with another secret or for another
                greeting, or is not signed.
        """
        nonce, said = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if len(nonce) < NONCE_BYTES:
            raise DecodeError(Flaw.GARBAGE, "a truncated request for a direct connection")
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
                raise DecodeError(Flaw.INVALID, "an incomplete request for a direct connection")

    def pack_connection_reply(
        self, greeting: Greeting, request: ConnectionRequest, reply: ConnectionReply
    ) -> bytes:
        """Encode the reply that makes the connection a direct connection."""
        said: list[str | int | bytes] = []
        if self._secret is not None:
            signature = self._sign(self._agreed(greeting, request, reply))
            said = [reply.share, reply.public_key, signature]
        nonces = greeting.nonce + request.nonce
        return _pack(DiscoveryKind.CONNECTED, self._seal(DiscoveryKind.CONNECTED, nonces, said))

    def read_connection_reply(
        self, greeting: Greeting, request: ConnectionRequest, body: bytes
    ) -> ConnectionReply:
        """Decode the content of that reply.

        Raises:
            DecodeError: it is not a reply, was sealed with another secret or for another request,
                or is not signed.
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
                raise DecodeError(Flaw.INVALID, "an incomplete reply for a direct connection")

    def derive_keys(
        self,
        greeting: Greeting,
        request: ConnectionRequest,
        reply: ConnectionReply,
        exchange: Exchange,
    ) -> ConnectionKeys | None:
        """Derive the keys of a direct connection at either end; None if nothing is sealed.

        Raises:
            DecodeError: the other end's share leads to no key.
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
            raise EncodeError("requesting a direct connection needs an identity that signs")
        return self._identity.sign(said)

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
                "a discovery message that can't be decrypted: it was sealed with another secret, "
                "for another connection, or altered",
            ) from None

    def _cipher(self, secret: WorkspaceSecret, kind: DiscoveryKind, nonces: bytes) -> AESGCM:
        info = _PURPOSE + bytes((kind,)) + nonces
        derivation = HKDF(SHA256(), _KEY_BYTES, salt=self._workspace, info=info)
        return AESGCM(derivation.derive(secret.key))


def _pack(kind: DiscoveryKind, body: bytes) -> bytes:
    return _HEAD.pack(MAGIC, DISCOVERY_VERSION, kind, len(body)) + body


def _is_text(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _MAX_TEXT_CHARACTERS


def _are_keys(share: bytes, public_key: bytes, signature: bytes) -> bool:
    lengths = (len(share), len(public_key), len(signature))
    return lengths == (SHARE_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES)
