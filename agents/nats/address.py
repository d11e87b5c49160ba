"""The address of NATS servers, and the credentials for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ...messages import InvalidInput

CREDS_VARIABLE: Final = "MUSTER_NATS_CREDS"
TLS_CA_VARIABLE: Final = "MUSTER_NATS_TLS_CA"

DEFAULT_PORT: Final = 4222
_SCHEMES: Final = ("nats", "tls")
_MAX_URL_CHARACTERS: Final = 4096
_MAX_PORT: Final = 65535


@dataclass(frozen=True)
class NatsAddress:
    """Where NATS servers are, and what proves to them who connects.

    Its text never shows a password or token.

    Attributes:
        servers: the servers of one cluster, each as `host:port`.
        has_tls: whether a connection must be encrypted, as with the scheme `tls`.
        user: the user's name; "" for none.
        password: the password, or without a user the token; "" for none.
        name: what the URL's path names, such as a stream; "" for nothing.
        options: the URL's query.
        creds_file: a credentials file, as `nsc` writes it: the user's JWT and seed.
        tls_ca: a file with the certificates of the authorities that servers are checked against; by
            default those of this machine.
    """

    servers: tuple[str, ...]
    has_tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = ""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    creds_file: Path | None = None
    tls_ca: Path | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        creds_file: str | Path | None = None,
        tls_ca: str | Path | None = None,
        *,
        may_name: bool = False,
    ) -> NatsAddress:
        """Read a URL such as `nats://host:4222` or `tls://user:password@one:4222,two:4222`.

        Args:
            url: the URL; it may name several servers of one cluster, separated by commas.
            creds_file: a credentials file; by default the one that `MUSTER_NATS_CREDS` names.
            tls_ca: a file with certificates; by default the one that `MUSTER_NATS_TLS_CA` names.
            may_name: whether the URL may have a path and a query, as that of a stream has.

        Raises:
            InvalidInput: it is no such URL.
        """
        try:
            # The scheme may be repeated for each server.
            parts = urlsplit(url.replace(f",{url.partition('://')[0]}://", ","))
        except ValueError as fault:
            raise _wrong("", str(fault)) from None
        shown = _shown(parts)
        if len(url) > _MAX_URL_CHARACTERS:
            raise _wrong(shown, f"it has more than {_MAX_URL_CHARACTERS:,} characters")
        if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
            raise _wrong(shown, "the scheme must be nats or tls")
        if parts.fragment:
            raise _wrong(shown, "it has a fragment, which starts with #")
        name = unquote(parts.path.strip("/"))
        if not may_name and (name or parts.query):
            raise _wrong(shown, "only servers can be named here: leave out the path and the query")
        servers: list[str] = []
        secrets: set[str] = set()
        for each in parts.netloc.split(","):
            secret, _, server = each.strip().rpartition("@")
            servers.append(_read_server(shown, parts.scheme, server))
            if secret:
                secrets.add(secret)
        if len(secrets) > 1:
            raise _wrong(shown, "all servers must have the same user and password")
        first, is_pair, second = (secrets.pop() if secrets else "").partition(":")
        user, password = (first, second) if is_pair else ("", first)
        return cls(
            tuple(dict.fromkeys(servers)),
            has_tls=parts.scheme == "tls",
            user=unquote(user),
            password=unquote(password),
            name=name,
            options=MappingProxyType(dict(parse_qsl(parts.query, keep_blank_values=True))),
            creds_file=_path(creds_file, CREDS_VARIABLE),
            tls_ca=_path(tls_ca, TLS_CA_VARIABLE),
        )

    @property
    def scheme(self) -> str:
        """The scheme of its URL."""
        return "tls" if self.has_tls else "nats"

    @property
    def urls(self) -> list[str]:
        """The URL of each server, without a password."""
        return [f"{self.scheme}://{server}" for server in self.servers]

    @property
    def url(self) -> str:
        """The URL of the servers, with the password; never log it."""
        password = quote(self.password, safe="")
        user = f"{quote(self.user, safe='')}:{password}" if self.user else password
        return f"{self.scheme}://{user and user + '@'}{','.join(self.servers)}"

    def without_password(self) -> NatsAddress:
        """The same without user and password."""
        return replace(self, user="", password="")

    def __str__(self) -> str:
        name = f"/{self.name}" if self.name else ""
        return f"{self.scheme}://{','.join(self.servers)}{name}"


def check_files(nats_creds: str | Path | None, tls_ca: str | Path | None) -> None:
    """Check that the files are there which an agent was given for NATS servers.

    Raises:
        InvalidInput: one is not.
    """
    for argument, file in (("nats_creds", nats_creds), ("tls_ca", tls_ca)):
        if file is not None and not Path(file).is_file():
            raise InvalidInput(f"{argument} is {str(file)!r}, but there is no such file")


def is_nats_url(text: object) -> bool:
    """Whether a text is meant as the URL of NATS servers."""
    return isinstance(text, str) and text.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


def _read_server(shown: str, scheme: str, text: str) -> str:
    """The host and port of one server, as `host:port`."""
    try:
        parts = urlsplit(f"{scheme}://{text}")
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError as fault:
        raise _wrong(shown, str(fault)) from None
    host = parts.hostname
    if not host or any(character.isspace() for character in host):
        raise _wrong(shown, "a host is missing")
    if not 1 <= port <= _MAX_PORT:
        raise _wrong(shown, f"port {port} is not from 1 to {_MAX_PORT:,}")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _path(given: str | Path | None, variable: str) -> Path | None:
    chosen = given or os.environ.get(variable, "")
    return Path(chosen) if chosen else None


def _shown(parts: SplitResult) -> str:
    """The URL without user and password, which may stand anywhere before an @."""
    servers = ",".join(each.rpartition("@")[2] for each in parts.netloc.split(","))
    return f"{parts.scheme}://{servers}{parts.path.rpartition('@')[2]}"[:200]


def _wrong(shown: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{shown!r} is no URL of NATS servers: {why}; write nats://HOST:PORT, or tls://HOST:PORT "
        "for an encrypted connection"
    )
