"""Where an MCP server is: a command that is started, or a URL."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...messages import InvalidInput
from ...messages.wording import show
from ..runtime.http_url import split_http_url

_PREFIX = re.compile(r"[A-Za-z0-9_./:-]{0,64}")
_URL = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_MAX_TOLD_CHARACTERS = 80


@dataclass(frozen=True)
class McpAddress:
    """How to reach one MCP server.

    Args:
        command: the program and its arguments, which are run without a shell; empty for a URL.
        url: the URL of its streamable HTTP endpoint; "" for a command.
        prefix: what the names of its tools begin with as task types.
        environment: what the command gets besides a few variables such as PATH and HOME.
        headers: headers of each request to the URL, such as Authorization.
        folder: the working directory of the command; None for that of this process.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    prefix: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    folder: Path | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        prefix: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> McpAddress:
        """Read the address of an MCP server.

        Args:
            text: a command line, which is split as a shell does and run without one; or a URL.
            prefix: see `McpAddress`, also for the others.
            environment: see there.
            headers: see there.
            folder: see there.

        Raises:
            InvalidInput: it is neither, there is no such program, or the prefix has characters that
                task types should not have.
        """
        if _PREFIX.fullmatch(prefix) is None:
            raise InvalidInput(
                f"the prefix {show(prefix)} of an MCP server must be up to 64 letters, digits and "
                "any of _ . / : -, such as 'files.'"
            )
        is_url = _URL.match(text.strip()) is not None
        return cls(
            () if is_url else _split_command(text),
            _check_url(text.strip()) if is_url else "",
            prefix,
            dict(environment or {}),
            dict(headers or {}),
            folder,
        )

    def __str__(self) -> str:
        """The command or URL for messages, without what may be secret."""
        if self.url:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        # Further arguments may contain keys.
        told = " ".join((Path(self.command[0]).name, *self.command[1:3]))
        told += " …" if len(self.command) > len(self.command[1:3]) + 1 else ""
        return told[:_MAX_TOLD_CHARACTERS]


def _check_url(text: str) -> str:
    if split_http_url(text) is None:
        raise InvalidInput(
            f"{show(text)} is no URL of an MCP server; write one such as http://127.0.0.1:8000/mcp"
        )
    return text


def _split_command(text: str) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as fault:
        raise InvalidInput(
            f"the command {show(text)} of an MCP server can't be split into words: "
            f"{str(fault).lower()}; quote it as for a shell"
        ) from None
    if not words or not words[0].strip():
        raise InvalidInput(
            "the command of an MCP server is blank; write one such as 'mcp-server-time', or a URL"
        )
    if shutil.which(words[0]) is None:
        raise InvalidInput(
            f"there is no program {show(words[0])} to start as an MCP server; install it, or give "
            "its path"
        )
    return tuple(words)
