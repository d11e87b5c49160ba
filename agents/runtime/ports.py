"""An agent's UDP port, its scratch folder, and the address that it dials."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Awaitable, Generator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...messages import InvalidInput, PortInUse

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8000
DEFAULT_WORKSPACE = "default"
"""The workspace of each Ceylon admin and worker that names none, and so of Muster's. Ceylon's
constant `DEFAULT_WORKSPACE_ID` has another value, which no class of Ceylon uses."""
ANY_PORT = 0
_TRIES = 16
_MAX_PORT = 65_535


def check_address(name: str, admin_peer: str, host: str) -> None:
    """Check the address that an agent will dial, since Ceylon would panic.

    Raises:
        InvalidInput: there is no peer id, or the host is not a numeric IPv4 address.
    """
    if not admin_peer:
        raise InvalidInput(
            f"agent {name!r} does not know which admin to join: give it admin_peer, or a ticket"
        )
    if not is_ipv4(host):
        raise InvalidInput(
            f"agent {name!r}: host {host!r} is not an IPv4 address such as 127.0.0.1"
        )


def is_ipv4(host: str) -> bool:
    """Whether a host is a numeric IPv4 address, the only kind that Ceylon dials."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


def check_lane_ports(ports: Sequence[int]) -> tuple[int, ...]:
    """The ports that lanes may listen on, without duplicates.

    Raises:
        InvalidInput: one of them is not a port.
    """
    for port in ports:
        if not 1 <= port <= _MAX_PORT:
            raise InvalidInput(f"a lane port is {port!r}; it must be 1 to {_MAX_PORT}")
    return tuple(dict.fromkeys(ports))


def read_lane_ports(text: str) -> tuple[int, ...]:
    """Read lane ports such as "9001-9016" or "9001,9005-9008".

    Raises:
        InvalidInput: the text can't be read, or a port is out of range.
    """
    ports: list[int] = []
    for part in text.split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        if not _is_port(first) or (dash and not _is_port(last)):
            raise InvalidInput(
                f"lane ports {text!r} can't be read; give ports and ranges such as 9001-9016"
            )
        ports += range(int(first), int(last or first) + 1)
    return check_lane_ports(ports)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= _MAX_PORT


def claim_port(port: int = ANY_PORT) -> int:
    """The UDP port itself if it is free, or any free one for 0.

    Ceylon listens in a background task and reports nothing when it fails. For 0, the TCP port of
    the same number is free as well, since discovery listens there.

    Raises:
        PortInUse: another process uses it.
    """
    if port == ANY_PORT:
        for _ in range(_TRIES):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
                tcp.bind(("0.0.0.0", ANY_PORT))  # noqa: S104 - the interface of discovery
                with contextlib.suppress(PortInUse):
                    return claim_port(int(tcp.getsockname()[1]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - the interface that Ceylon will listen on
        except OSError:
            raise PortInUse(port) from None
        return int(probe.getsockname()[1])


_folder_lock = threading.RLock()
_folders: list[Path] = []


def scratch_folder() -> Path:
    """A folder for this process alone, removed when it ends."""
    with _folder_lock:
        if not _folders:
            folder = Path(tempfile.mkdtemp(prefix="muster-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            _folders.append(folder)
        return _folders[0]


@contextlib.contextmanager
def standing_in(folder: Path) -> Generator[None]:
    """Change the current directory for a moment, to construct a Ceylon admin.

    The constructor of a Ceylon admin writes `.ceylon_network` into the current directory, and fails
    if it can't. There is no argument to change that.
    """
    with _folder_lock:
        before = Path.cwd()
        try:
            os.chdir(folder)
            yield
        finally:
            os.chdir(before)


_Outcome = TypeVar("_Outcome")


class AwaitedIn(Generic[_Outcome]):
    """Awaits something whose steps run with another current directory.

    Between the steps, while other tasks run, the current directory is unchanged. So agents that
    Ceylon starts find the `.ceylon_network` of that folder, not the user's.

    Args:
        folder: the directory.
        awaited: what to await.
    """

    def __init__(self, folder: Path, awaited: Awaitable[_Outcome]) -> None:
        self._folder = folder
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, _Outcome]:
        steps = self._awaited.__await__()
        fault: BaseException | None = None
        while True:
            try:
                with standing_in(self._folder):
                    waits_for = next(steps) if fault is None else steps.throw(fault)
            except StopIteration as end:
                return end.value
            try:
                # asyncio sends nothing but None.
                yield waits_for
                fault = None
            except BaseException as raised:  # noqa: BLE001 - it is passed on to what is awaited
                fault = raised
