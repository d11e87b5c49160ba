"""The MCP servers that the options of `muster worker` name."""

from __future__ import annotations

import logging
import os
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
    servers: Sequence[str], prefixes: Sequence[str], variables: Sequence[str]
) -> McpHandlers | None:
    """Handlers for the tools of MCP servers; None without servers.

    Args:
        servers: their commands or URLs.
        prefixes: a prefix for each, or none at all.
        variables: the names of environment variables that they get.

    Raises:
        InvalidInput: a server can't be there, the prefixes are not as many as the servers, or a
            variable is not set.
        ExtraMissing: the package `mcp` is not installed.
    """
    if not servers:
        given = "--prefix" if prefixes else "--mcp-env" if variables else ""
        if given:
            raise InvalidInput(f"{given} is for the tools of MCP servers; add --mcp COMMAND or URL")
        return None
    if prefixes and len(prefixes) != len(servers):
        raise InvalidInput(
            f"there are {len(servers)} --mcp and {len(prefixes)} --prefix; give one --prefix for "
            "each --mcp in the same order, such as --prefix '' for none"
        )
    missing = [each for each in variables if each not in os.environ]
    if missing:
        raise InvalidInput(
            f"--mcp-env {show(missing[0])}: there is no such environment variable; set it first"
        )
    # Other workers start without the package.
    from ..mcp import connection  # noqa: PLC0415
    from ..mcp.handlers import McpHandlers  # noqa: PLC0415
    from ..mcp.server import McpServer  # noqa: PLC0415

    del connection
    quieten_library()
    environment = {each: os.environ[each] for each in variables}
    return McpHandlers(
        *(
            McpServer(each, prefix=prefix, environment=environment)
            for each, prefix in zip(servers, prefixes or [""] * len(servers), strict=True)
        )
    )
