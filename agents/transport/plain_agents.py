"""Plain Ceylon agents that start together with an agent of Muster's."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from typing import Protocol

from ...messages import InvalidInput
from ..runtime.ports import AwaitedIn, scratch_folder
from .ceylon_api import BaseAgent, InternalError, PeerMode, UnifiedAgent
from .network_file import FILE_NAME, NetworkFile

_serial = itertools.count(1)


class Leader(Protocol):
    """The agent that others start with: where its workspace is."""

    name: str
    workspace_id: str
    port: int
    admin_peer: str
    admin_ip: str

    def network_file(self) -> NetworkFile:
        """What Ceylon reads when an agent starts in this workspace."""
        ...


def place_plain_agent(leader: Leader, companion: UnifiedAgent) -> None:
    """Set the workspace of a plain Ceylon agent that starts together with another agent.

    Raises:
        InvalidInput: it is an admin, which has a workspace of its own.
    """
    if isinstance(companion, BaseAgent):
        if companion.mode == PeerMode.ADMIN:
            raise InvalidInput(
                f"agent {companion.name!r} is an admin, which opens a workspace of its own; "
                f"start it by itself, not in the workspace of {leader.name!r}"
            )
        companion.workspace_id = leader.workspace_id
        companion.port = leader.port
        companion.admin_peer = leader.admin_peer
        companion.admin_ip = leader.admin_ip


async def start_with_plain_agents(leader: Leader, starting: Awaitable[None]) -> None:
    """Await the start of an agent together with plain Ceylon agents.

    Args:
        leader: the agent that the others start with.
        starting: its start.

    Raises:
        InvalidInput: Ceylon could not start them.
    """
    # They read `./.ceylon_network` when they start. It overrides their constructor's arguments.
    folder = scratch_folder() / f"plain-{next(_serial)}"
    folder.mkdir()
    leader.network_file().write(folder / FILE_NAME)
    try:
        await AwaitedIn(folder, starting)
    except InternalError as fault:
        raise InvalidInput(
            f"Ceylon could not start {leader.name!r} and the agents with it: {fault}. An agent "
            "that was made with a config_path of its own needs all of workspace_id, port, "
            "admin_peer and admin_ip (a numeric IPv4 address) there or as arguments"
        ) from fault
