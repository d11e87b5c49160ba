"""Where an agent stands: its UDP port, its scratch folder, and the address it dials."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path

from ..messages import InvalidInput, PortInUse

LOOPBACK = "127.0.0.1"
ANY_PORT = 0


def check_address(name: str, admin_peer: str, host: str) -> None:
    """See that an agent knows whom to dial, before Ceylon panics over it.

    Raises:
        InvalidInput: there is no peer id, or the host is not an IPv4 literal.
    """
    if not admin_peer:
        raise InvalidInput(
            f"agent {name!r} does not know whom to join: give it admin_peer, or a ticket"
        )
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        raise InvalidInput(
            f"agent {name!r}: host {host!r} is not an IPv4 address such as 127.0.0.1"
        ) from None


def claim_port(port: int = ANY_PORT) -> int:
    """The UDP port itself if it is free, or any free one for 0.

    Ceylon listens in a background task and says nothing when it can't.

    Raises:
        PortInUse: it belongs to somebody else.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - the interface that Ceylon will listen on
        except OSError:
            raise PortInUse(port) from None
        return int(probe.getsockname()[1])


_folder_lock = threading.Lock()
_folders: list[Path] = []


def scratch_folder() -> Path:
    """A folder of this process's own, removed when it ends."""
    with _folder_lock:
        if not _folders:
            folder = Path(tempfile.mkdtemp(prefix="muster-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            _folders.append(folder)
        return _folders[0]


@contextlib.contextmanager
def standing_in(folder: Path) -> Generator[None]:
    """Make a folder the current one for a moment, for constructing a Ceylon admin.

    The constructor of a Ceylon admin writes `.ceylon_network` into the current directory, and
    fails where it can't; there is no argument for it.
    """
    with _folder_lock:
        before = Path.cwd()
        try:
            os.chdir(folder)
            yield
        finally:
            os.chdir(before)
