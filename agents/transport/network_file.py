"""Ceylon's `.ceylon_network`, in which an admin says where it is.

Ceylon writes the file into the current directory when an admin is constructed. A starting agent
reads it, and its values override the agent's own arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FILE_NAME = ".ceylon_network"

_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """The content of such a file; None for what is missing.

    Args:
        workspace_id: the workspace.
        admin_peer: the peer id of the workspace's admin.
        host: the IPv4 address at which clients dial the admin.
        port: the UDP port that the admin listens on.
    """

    workspace_id: str | None = None
    admin_peer: str | None = None
    host: str | None = None
    port: str | None = None

    def write(self, path: Path) -> None:
        """Write the file in Ceylon's format."""
        said = {
            "WORKSPACE_ID": self.workspace_id,
            "WORKSPACE_PORT": self.port,
            "WORKSPACE_PEER": self.admin_peer,
            "WORKSPACE_IP": self.host,
        }
        lines = [f"{key}={value}" for key, value in said.items() if value is not None]
        path.write_text("\n".join(lines), encoding="utf-8")


def read_network_file(path: Path) -> NetworkFile | None:
    """Read such a file as Ceylon does; None if there is none, or none that can be read.

    Args:
        path: the file.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    pairs = (line.partition("=") for line in text.splitlines())
    said = {key: value for key, equals, value in pairs if equals}
    return NetworkFile(
        workspace_id=said.get("WORKSPACE_ID"),
        admin_peer=said.get("WORKSPACE_PEER"),
        host=said.get("WORKSPACE_IP"),
        port=said.get("WORKSPACE_PORT"),
    )
