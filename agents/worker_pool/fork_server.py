"""A process that loads what every worker needs once, and from then on makes workers of itself.

It can be started before this process has loaded anything: then both load at the same time, and a
worker is there as soon as somebody knows what it is to do. So this room imports nothing that takes
long.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import NamedTuple

from .worker_spec import PARENT_VARIABLE, WorkerSpec

LOADING_MAY_TAKE_S = 30.0

THREADS = "/proc/self/task"
"""Where a process sees its threads; one that can't must not fork."""

_NUMBER_BYTES = 8
_ENDING_MAY_TAKE_S = 5.0


class Grown(NamedTuple):
    """A worker process that a nursery made.

    Args:
        pid: the number of its process.
        pidfd: a descriptor of the process, which whoever has it must close.
    """

    pid: int
    pidfd: int


class ForkServer:
    """Makes worker processes for `LocalProcesses`, each in a few milliseconds.

    Start one before the imports that take long:

    ```python
    from muster.agents.worker_pool.fork_server import ForkServer

    nursery = ForkServer()

    from muster.agents import TaskManager
    from muster.agents.worker_pool.processes import LocalProcesses
    ```

    Workers get the environment of the moment at which they are spawned, and import their handlers
    themselves. Where it can't help, they are started as without it: where there are no process
    descriptors (Linux has them), once its process is gone, and when the current directory or a
    variable that Python itself reads has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._standing = _standing()
        if _can_hold_processes():
            self._open()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The number of its process; None where it can't help."""
        return None if self._process is None else self._process.pid

    def grow(self, order: WorkerSpec, environment: Mapping[str, str]) -> Grown | None:
        """Make a worker; waits until the nursery has loaded.

        Args:
            order: what the worker is to be.
            environment: its environment, all of it.

        Returns:
            Its process, or None if the nursery can't help.
        """
        told = json.dumps({"order": order.line(), "environment": dict(environment)})
        with self._lock:
            if self._line is None or self._standing != _standing():
                return None
            try:
                self._line.sendall(f"{told}\n".encode())
                number, descriptors, _, _ = socket.recv_fds(
                    self._line, _NUMBER_BYTES, 1, socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                number, descriptors = b"", []
            if descriptors:
                return Grown(int.from_bytes(number, "big"), descriptors[0])
            self._hang_up()
            return None

    def close(self) -> None:
        """Make no more workers; the nursery's process ends once those that it made have ended."""
        with self._lock:
            self._hang_up()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDING_MAY_TAKE_S)

    def _open(self) -> None:
        self._line, other_end = socket.socketpair()
        self._line.settimeout(LOADING_MAY_TAKE_S)
        with other_end:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "muster.agents.command.processes.fork_server"),
                stdin=other_end.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,
            )

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def pack_number(pid: int) -> bytes:
    """A process's number, as the nursery sends it along with the descriptor."""
    return pid.to_bytes(_NUMBER_BYTES, "big")


def _can_hold_processes() -> bool:
    if sys.platform != "linux" or not os.path.isdir(THREADS):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _standing() -> tuple[str, dict[str, str]]:
    """What a process takes from the one that starts it and can't change later."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = ""
    return folder, {key: value for key, value in os.environ.items() if key.startswith("PYTHON")}
