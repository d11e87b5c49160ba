"""The ticket: one line of text with everything that a worker in another process needs to join.

It consists of `muster:2:` and, in base64url, the msgpack of its fields followed by a checksum. The
2 is the version: a format with other fields gets the next one, so that a worker that is too old
reports it instead of joining wrongly. A ticket for the way over NATS is of version 3. A ticket may
carry the workspace's secret; then anyone who has the ticket can join.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from ...messages import DecodeError, InvalidInput, Payload
from ...messages.values import pack, unpack
from ..kernel.security.workspace_secret import SECRET_BYTES, WorkspaceSecret

VERSION = 2
NATS_VERSION = 3
"""The version of a ticket for a Ceylon workspace, and of one for a run over NATS."""

_VERSIONS = (str(VERSION), str(NATS_VERSION))
SCHEME = "muster:"
TICKET_VARIABLE = "MUSTER_TICKET"
"""The environment variable from which the command reads a ticket."""

_CHECKSUM_BYTES = 4
_MAX_TICKET_CHARACTERS = 8_192
_MAX_FIELD_CHARACTERS = 200
_MAX_URL_CHARACTERS = 4_096
_SHOWN_CHARACTERS = 40
_TELLING_CHARACTERS = 20
"""From this length on, a piece of a ticket may reveal part of its secret."""
_MAX_PORT = 65_535
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_COPY_AGAIN = "copy the whole line that the manager printed"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Everything that a worker needs to join a manager's workspace.

    `str(ticket)` is the line to pass on, and `Ticket.parse` reads it. Its `repr` hides the secret,
    and the URL with its password.

    Args:
        workspace_id: the workspace, or the name of the run; not blank, at most 200 characters.
        peer_id: the admin's peer id, new at each of its starts; no white space, at most 200
            characters. "" over NATS.
        host: the numeric IPv4 address at which workers reach the admin; "" over NATS.
        port: the UDP port that the admin listens on, 1 to 65535; 0 over NATS.
        sealed: whether the workspace's frames are sealed.
        secret: the secret of the workspace; None if workers get it in another way.
        nats: the URL of the NATS servers by which workers join; "" if they join a Ceylon workspace.

    Raises:
        InvalidInput: a field is invalid; the message names field, value and rule.
    """

    workspace_id: str
    peer_id: str
    host: str
    port: int
    sealed: bool = True
    secret: WorkspaceSecret | None = field(default=None, repr=False)
    nats: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_text("workspace_id", self.workspace_id)
        if self.secret is not None and not self.sealed:
            raise InvalidInput("a ticket carries a secret and says that nothing is sealed")
        if self.nats:
            _check_nats(self.nats)
            if self.peer_id or self.host or self.port:
                raise InvalidInput("a ticket over NATS names no peer_id, host or port")
            return
        _check_text("peer_id", self.peer_id)
        if re.search(r"\s", self.peer_id):
            raise InvalidInput(f"a ticket's peer_id is {self.peer_id!r}; it must not hold spaces")
        _check_host(self.host)
        _check_port(self.port)

    @property
    def place(self) -> str:
        """Where the manager is reached, for messages; it shows no password."""
        if self.nats:
            return f"{re.sub(r'[^/,]*@', '', self.nats)}, run {self.workspace_id!r}"
        return f"{self.host}, UDP port {self.port}"

    def __str__(self) -> str:
        fields: dict[str, Payload] = {"workspace_id": self.workspace_id}
        if self.nats:
            fields |= {"nats": self.nats}
        else:
            fields |= {"peer_id": self.peer_id, "host": self.host, "port": self.port}
        key = None if self.secret is None else self.secret.key
        body = pack({**fields, "sealed": self.sealed, "secret": key})
        checksum = crc32(body).to_bytes(_CHECKSUM_BYTES, "big")
        encoded = base64.urlsafe_b64encode(body + checksum).decode("ascii").rstrip("=")
        return f"{SCHEME}{NATS_VERSION if self.nats else VERSION}:{encoded}"

    @classmethod
    def parse(cls, text: str) -> Ticket:
        """Read a ticket from its line; white space around it, or where it was broken, is no matter.

        Raises:
            InvalidInput: it is blank, cut off, altered, of another version, or no ticket at all.
        """
        if len(text) > _MAX_TICKET_CHARACTERS:
            raise InvalidInput(f"a text of {len(text):,} characters is not a ticket; {_COPY_AGAIN}")
        line = "".join(text.split())
        if not line:
            raise InvalidInput(f"the ticket is blank; {_COPY_AGAIN}")
        return cls._from_fields(_open(_take_off_version(line)))

    @classmethod
    def _from_fields(cls, fields: Payload) -> Ticket:
        match fields:
            case {
                "workspace_id": workspace_id,
                "peer_id": peer_id,
                "host": host,
                "port": port,
                "sealed": bool(sealed),
                "secret": None | bytes() as key,
            } if key is None or len(key) == SECRET_BYTES:
                secret = None if key is None else WorkspaceSecret(key)
                return cls(workspace_id, peer_id, host, port, sealed, secret)
            case {
                "workspace_id": workspace_id,
                "nats": nats,
                "sealed": bool(sealed),
                "secret": None | bytes() as key,
            } if nats and (key is None or len(key) == SECRET_BYTES):
                secret = None if key is None else WorkspaceSecret(key)
                return cls(workspace_id, "", "", 0, sealed, secret, nats)
            case _:
                raise InvalidInput(f"the ticket lacks what a worker needs to join; {_COPY_AGAIN}")


def read_ticket(text_or_path: str | Path) -> Ticket:
    """Read a ticket from its line, or from a file written by `write_ticket_file`.

    Args:
        text_or_path: a text that begins with "muster:" is the ticket itself; anything else is a
            path.

    Raises:
        InvalidInput: there is no such file, or it does not hold a ticket.
    """
    text = text_or_path.strip() if isinstance(text_or_path, str) else None
    if text is not None and (not text or text.startswith(SCHEME)):
        return Ticket.parse(text)
    path = Path(text_or_path)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_TICKET_CHARACTERS + 1)
    except FileNotFoundError:
        raise InvalidInput(
            f"{show_text(str(path))} is neither a ticket, which would begin with "
            f"'{SCHEME}', nor a file that exists"
        ) from None
    except (OSError, ValueError) as fault:
        raise InvalidInput(
            f"the ticket file {str(path)!r} can't be read: {_reason(fault)}"
        ) from None
    try:
        return Ticket.parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput(f"the ticket file {str(path)!r} does not hold text") from None
    except InvalidInput as fault:
        raise InvalidInput(f"the ticket file {str(path)!r}: {fault}") from None


def write_ticket_file(path: str | Path, ticket: Ticket) -> None:
    """Write a ticket to a file that only its owner may read, atomically.

    Args:
        path: the file, which is replaced if it exists.
        ticket: the ticket.

    Raises:
        InvalidInput: the file can't be written.
    """
    path = Path(path)
    draft = ""
    try:
        # mkstemp makes files of mode 0600.
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{ticket}\n")
        os.replace(draft, path)
    except (OSError, ValueError) as fault:
        if draft:
            with contextlib.suppress(OSError):
                os.unlink(draft)
        raise ticket_file_fault(path, fault) from None


def ticket_file_fault(path: Path, fault: OSError | ValueError) -> InvalidInput:
    """What to raise when a ticket file can't be written."""
    return InvalidInput(f"the ticket file {str(path)!r} can't be written: {_reason(fault)}")


def _take_off_version(line: str) -> str:
    if not line.startswith(SCHEME):
        raise InvalidInput(
            f"{show_text(line[:_SHOWN_CHARACTERS])} is not a ticket, which would begin with "
            f"'{SCHEME}'; {_COPY_AGAIN}"
        )
    version, colon, encoded = line[len(SCHEME) :].partition(":")
    if version.isdecimal() and version not in _VERSIONS:
        raise InvalidInput(
            f"the ticket is of version {version[:_SHOWN_CHARACTERS]}, "
            f"this Muster reads versions {' and '.join(_VERSIONS)}; "
            "use the same Muster for manager and worker"
        )
    if not colon or not encoded:
        raise InvalidInput(
            f"the ticket is cut off after {line[:_SHOWN_CHARACTERS]!r}; {_COPY_AGAIN}"
        )
    if version not in _VERSIONS or not _BASE64URL.fullmatch(encoded):
        raise InvalidInput(
            "the ticket holds characters that no ticket has; "
            f"after '{SCHEME}{VERSION}:' come letters, digits, '-' and '_'; {_COPY_AGAIN}"
        )
    return encoded


def _open(encoded: str) -> Payload:
    damaged = f"the ticket is damaged: it was cut off or altered on its way; {_COPY_AGAIN}"
    try:
        data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if int.from_bytes(checksum, "big") != crc32(body) or len(checksum) < _CHECKSUM_BYTES:
            raise InvalidInput(damaged)
        return unpack(body)
    except (binascii.Error, DecodeError):
        raise InvalidInput(damaged) from None


def show_text(text: str) -> str:
    """A text for an error message; a possible piece of a ticket, with its secret, is not shown."""
    if len(text) >= _TELLING_CHARACTERS and _BASE64URL.fullmatch(text.replace(":", "")):
        return f"a text of {len(text)} characters"
    return repr(text)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_FIELD_CHARACTERS:
        raise InvalidInput(
            f"a ticket's {name} is {value!r}; it must be a text that is not blank, "
            f"of {_MAX_FIELD_CHARACTERS} characters at most"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"a ticket's {name} is {value!r}, which is not valid text") from None


def _check_host(host: object) -> None:
    try:
        # IPv4Address would also take an integer.
        address = ipaddress.IPv4Address(host if isinstance(host, str) else "")
    except ValueError:
        raise InvalidInput(
            f"a ticket's host is {host!r}; it must be an IPv4 address in numbers, "
            "such as 192.168.1.20"
        ) from None
    if address.is_unspecified:
        raise InvalidInput(
            f"a ticket's host is {host!r}, which nobody can dial; "
            "give the address by which workers reach the manager's machine"
        )


def _check_nats(url: object) -> None:
    if (
        not isinstance(url, str)
        or len(url) > _MAX_URL_CHARACTERS
        or not url.startswith(("nats://", "tls://"))
    ):
        raise InvalidInput(
            "a ticket's nats is no URL of NATS servers, such as nats://192.168.1.20:4222"
        )


def _check_port(port: object) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= _MAX_PORT:
        raise InvalidInput(f"a ticket's port is {port!r}; it must be 1 to {_MAX_PORT}")


def _reason(fault: OSError | ValueError) -> str:
    return (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
