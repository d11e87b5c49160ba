"""The names of a manager's workspaces: the one that tickets name, and its further lanes."""

from __future__ import annotations

FIRST_LANE = 0
"""The lane whose workspace tickets name."""

NATS_LANE = -1
"""The lane of workers that join over NATS, if the manager has a Ceylon workspace as well."""

_LANE = "/lane "


def lane_workspace(workspace_id: str, lane: int) -> str:
    """The name of a lane's workspace.

    Args:
        workspace_id: the workspace of the first lane.
        lane: the lane's number.
    """
    return workspace_id if lane == FIRST_LANE else f"{workspace_id}{_LANE}{lane}"


def first_lane_workspace(workspace_id: str) -> str:
    """The workspace of the first lane that belongs to any lane's workspace."""
    base, lane, number = workspace_id.rpartition(_LANE)
    return base if lane and number.isdecimal() else workspace_id
