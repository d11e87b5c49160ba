"""Where the admin of a peer id is known to be, and what an agent that wants to join makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...messages import InvalidInput
from ..runtime.log import log
from ..runtime.ports import DEFAULT_PORT, DEFAULT_WORKSPACE
from .network_file import FILE_NAME, read_network_file

_UNCHOSEN_WORKSPACES = frozenset({DEFAULT_WORKSPACE, "ceylon_agent_stack"})
"""What agents are given as their workspace by those who have chosen none: the default of Ceylon's
classes and ours, and Ceylon's `DEFAULT_WORKSPACE_ID`, which is not that default."""


class AdminPlace(NamedTuple):
    """Where an admin is.

    Args:
        workspace_id: the workspace that it has opened.
        port: the UDP port that it listens on, or 0 if that is not known yet.
    """

    workspace_id: str
    port: int


def read_admin_place(admin_peer: str) -> AdminPlace | None:
    """Where an admin is by the `.ceylon_network` that it wrote into the current directory.

    A peer id is new for each agent object, so a file that names it was written by that very admin.
    """
    found = read_network_file(Path(FILE_NAME))
    if found is None or found.admin_peer != admin_peer or found.workspace_id is None:
        return None
    port = found.port or ""
    return AdminPlace(found.workspace_id, int(port) if port.isascii() and port.isdecimal() else 0)


def agree_with_admin(name: str, asked: AdminPlace, known: AdminPlace) -> AdminPlace:
    """The place to join: the admin's, where nobody has chosen another.

    Args:
        name: the agent's name, for messages.
        asked: the place that the agent was given.
        known: where the admin is.

    Raises:
        InvalidInput: another workspace was chosen, in which this admin will never be met.
    """
    if asked.workspace_id != known.workspace_id:
        told = (
            f"agent {name!r} was to join workspace {asked.workspace_id!r}, but its admin is in "
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
    return AdminPlace(known.workspace_id, port)
