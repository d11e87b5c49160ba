"""The MCP servers that the options of `muster worker` name."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...messages import InvalidInput
from ...messages.wording import show

if TYPE_CHECKING:
    from ..mcp.handlers import McpHandlers


def quieten_library() -> None:
    """Leave out what the package `mcp` logs, unless everything is logged: errors tell it, too."""
    if not logging.getLogger("muster").isEnabledFor(logging.DEBUG):
        logging.getLogger("mcp").setLevel(logging.CRITICAL)


def read_mcp_options(
    servers: Sequence[str],
    prefixes: Sequence[str],
    variables: Sequence[str],
    headers: Sequence[str] = (),
) -> McpHandlers | None:
    """Handlers for the tools of MCP servers; None without servers.

    Args:
        servers: their commands or URLs.
        prefixes: a prefix for each, or none at all.
        variables: the names of environment variables that they get.
        headers: headers of the requests to URLs, as "HEADER=NAME": the value is in an environment
            variable, because command lines can be read by others.

    Raises:
        InvalidInput: a server can't be there, the prefixes are not as many as the servers, or a
            variable is not set.
        ExtraMissing: the package `mcp` is not installed.
    """
    if not servers:
        options = {"--prefix": prefixes, "--mcp-env": variables, "--mcp-header": headers}
        given = next((name for name, values in options.items() if values), "")
        if given:
            raise InvalidInput(f"{given} is for the tools of MCP servers; add --mcp COMMAND or URL")
        return None
    if prefixes and len(prefixes) != len(servers):
        raise InvalidInput(
            f"there are {len(servers)} --mcp and {len(prefixes)} --prefix; give one --prefix for "
            "each --mcp in the same order, such as --prefix '' for none"
        )
    environment = {each: _variable("--mcp-env", each) for each in variables}
    sent = dict(_read_header(each) for each in headers)
    # Other workers start without the package.
    from ..mcp import connection  # noqa: PLC0415
    from ..mcp.handlers import McpHandlers  # noqa: PLC0415
    from ..mcp.server import McpServer  # noqa: PLC0415

    del connection
    quieten_library()
    return McpHandlers(
        *(
            McpServer(each, prefix=prefix, environment=environment, headers=sent)
            for each, prefix in zip(servers, prefixes or [""] * len(servers), strict=True)
        )
    )


def _variable(option: str, name: str) -> str:
    if name not in os.environ:
        raise InvalidInput(
            f"{option} {show(name)}: there is no such environment variable; set it first"
        )
    return os.environ[name]


def _read_header(text: str) -> tuple[str, str]:
    header, _, name = text.partition("=")
    if re.fullmatch(r"[A-Za-z0-9-]{1,100}", header) is None or not name:
        raise InvalidInput(
            f"--mcp-header {show(text)} is no header and environment variable; write, for example, "
            "Authorization=MCP_TOKEN, where MCP_TOKEN is 'Bearer …'"
        )
    value = _variable("--mcp-header", name)
    if not value.isascii() or not value.isprintable():
        raise InvalidInput(
            f"--mcp-header {show(text)}: the variable's value can't be a header; it must be one "
            "line of ASCII characters"
        )
    return header, value
