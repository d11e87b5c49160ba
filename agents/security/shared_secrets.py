"""The seals of the workspaces that managers of this process have opened.

A manager registers its secret here, and workers of the same process find it by the workspace's
admin. So they are sealed without configuration.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from ..kernel.security.workspace_secret import WorkspaceSecret

_MAX_WORKSPACES = 10_000


class SealSetup(NamedTuple):
    """How a workspace is sealed.

    Args:
        secret: its secret; None if it is not sealed.
    """

    secret: WorkspaceSecret | None


_by_admin: OrderedDict[str, SealSetup] = OrderedDict()


def share(admin_peer: str, secret: WorkspaceSecret | None) -> None:
    """Register how a workspace is sealed, for the agents of this process.

    Args:
        admin_peer: the peer id of the workspace's admin.
        secret: its secret; None if it is not sealed.
    """
    _by_admin[admin_peer] = SealSetup(secret)
    _by_admin.move_to_end(admin_peer)
    if len(_by_admin) > _MAX_WORKSPACES:
        _by_admin.popitem(last=False)


def find_sharing(admin_peer: str) -> SealSetup | None:
    """How a workspace is sealed, if a manager of this process has registered it."""
    return _by_admin.get(admin_peer)
