"""Where the admin with a peer id is known to be, and which workspace a joining agent uses."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput
from ..runtime.log import log
from ..runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE
from .network_file import FILE_NAME, read_network_file

_UNCHOSEN_WORKSPACES = frozenset({DEFAULT_WORKSPACE, "ceylon_agent_stack"})
"""The workspaces of agents for which nobody chose one: the default of Ceylon's classes and ours,
and Ceylon's `DEFAULT_WORKSPACE_ID`, which is not that default."""


class AdminAddress(NamedTuple):
    """Where an admin is.

    Args:
        workspace_id: the workspace that it has opened.
        port: the UDP port that it listens on; 0 if unknown.
    """

    workspace_id: str
    port: int


def read_admin_address(admin_peer: str) -> AdminAddress | None:
    """Where an admin is according to the `.ceylon_network` in the current directory.

    A peer id is new for each agent object, so a file with that peer id was written by that admin.
    """
    found = read_network_file(Path(FILE_NAME))
    if found is None or found.admin_peer != admin_peer or found.workspace_id is None:
        return None
    port = found.port or ""
    return AdminAddress(found.workspace_id, int(port) if port.isascii() and port.isdecimal() else 0)


def agree_with_admin(name: str, asked: AdminAddress, known: AdminAddress) -> AdminAddress:
    """The workspace and port to join: the admin's, unless others were chosen.

    Args:
        name: the agent's name, for messages.
        asked: the workspace and port that the agent was given.
        known: where the admin is.

    Raises:
        InvalidInput: another workspace was chosen, in which this admin will never be met.
    """
    if asked.workspace_id != known.workspace_id:
        told = (
            f"agent {name!r} should join workspace {asked.workspace_id!r}, but its admin is in "
            f"workspace {known.workspace_id!r}"
        )
        if asked.workspace_id not in _UNCHOSEN_WORKSPACES:
            raise InvalidInput(
                f"{told}; give it workspace_id={known.workspace_id!r}, or the admin_peer of "
                f"an admin in {asked.workspace_id!r}"
            )
        told = f"{told}, so it joins that; give it workspace_id={known.workspace_id!r}"
        if known.workspace_id in _UNCHOSEN_WORKSPACES:
            log.info(told)
        else:
            log.warning(told)
    port = known.port if known.port and asked.port == DEFAULT_PORT else asked.port
    return AdminAddress(known.workspace_id, port)
