"""What the agents of one process know of one another's workspaces without being told.

A manager puts its secret here, and workers of the same process find it by the workspace's admin:
so they are sealed without anybody handing a secret about.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from ..kernel.security.workspace_secret import WorkspaceSecret

_MAX_WORKSPACES = 10_000


class SealSetup(NamedTuple):
    """How a workspace is sealed.

    Args:
        secret: what its members share, or None if it is not sealed.
    """

    secret: WorkspaceSecret | None


_by_admin: OrderedDict[str, SealSetup] = OrderedDict()


def share(admin_peer: str, secret: WorkspaceSecret | None) -> None:
    """Let the agents of this process know how a workspace is sealed.

    Args:
        admin_peer: the peer id of the workspace's admin.
        secret: what its members share, or None if it is not sealed.
    """
    _by_admin[admin_peer] = SealSetup(secret)
    _by_admin.move_to_end(admin_peer)
    if len(_by_admin) > _MAX_WORKSPACES:
        _by_admin.popitem(last=False)


def find_sharing(admin_peer: str) -> SealSetup | None:
    """How a workspace is sealed, if a manager of this process has told."""
    return _by_admin.get(admin_peer)
