"""`ForkServer`: a process that loads what workers need once, and forks each worker in milliseconds.

It can be started before this process has imported anything large: then both load at the same time.
So this module imports nothing that takes long.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import NamedTuple

from ..runtime.ceylon_choice import passed_on
from .worker_spec import PARENT_VARIABLE, ForkRequest, WorkerSpec

LOADING_TIMEOUT_S = 30.0

THREADS = "/proc/self/task"
"""Where a process sees its threads; one that can't see them must not fork."""

_PID_BYTES = 8
_EXIT_TIMEOUT_S = 5.0


class ForkedProcess(NamedTuple):
    """A worker process that a fork server made.

    Args:
        pid: its process id.
        pidfd: a file descriptor of the process, which the receiver must close.
    """

    pid: int
    pidfd: int

    def send(self, connection: socket.socket) -> None:
        """Send the process to the one that asked for it.

        Raises:
            OSError: that one is gone.
        """
        socket.send_fds(connection, [self.pid.to_bytes(_PID_BYTES, "big")], [self.pidfd])

    @classmethod
    def receive(cls, connection: socket.socket) -> ForkedProcess | None:
        """Receive a process that `send` sent; None if the connection was closed.

        Raises:
            OSError: the connection is broken.
        """
        pid, descriptors, _, _ = socket.recv_fds(connection, _PID_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        return cls(int.from_bytes(pid, "big"), descriptors[0]) if descriptors else None


class ForkServer:
    """Forks worker processes for `LocalProcesses`, each in a few milliseconds.

    Start one before the imports that take long:

    ```python
    from muster.agents import ForkServer

    fork_server = ForkServer()

    from muster.agents import LocalProcesses, TaskManager
    ```

    Workers get the environment of the moment at which they are spawned, and import their handlers
    themselves. The fork server needs Linux. Where it can't work, workers are started as without
    it: on other systems, once its process has died, and after the current directory or a variable
    that Python itself reads has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._inherited = _inherited_state()
        if _has_pidfds():
            self._start()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the fork server; None where it can't work."""
        return None if self._process is None else self._process.pid

    def fork(self, spec: WorkerSpec, environment: Mapping[str, str]) -> ForkedProcess | None:
        """Fork a worker; blocks until the fork server has loaded.

        Args:
            spec: the worker.
            environment: its whole environment.

        Returns:
            Its process, or None if the fork server can't work.
        """
        with self._lock:
            if self._connection is None or self._inherited != _inherited_state():
                return None
            try:
                self._connection.sendall(ForkRequest(spec, environment).line())
                process = ForkedProcess.receive(self._connection)
            except OSError:
                process = None
            if process is None:
                self._disconnect()
            return process

    def close(self) -> None:
        """Fork no more workers; the fork server ends once the workers that it forked have ended."""
        with self._lock:
            self._disconnect()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_TIMEOUT_S)

    def _start(self) -> None:
        self._connection, other_end = socket.socketpair()
        self._connection.settimeout(LOADING_TIMEOUT_S)
        with other_end:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "muster.agents.command.processes.fork_server"),
                stdin=other_end.fileno(),
                stdout=subprocess.DEVNULL,
                env={**os.environ, **passed_on(), PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _has_pidfds() -> bool:
    if sys.platform != "linux" or not os.path.isdir(THREADS):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _inherited_state() -> tuple[str, dict[str, str]]:
    """What a process inherits from the one that starts it and can't change later."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        folder = ""
    return folder, {key: value for key, value in os.environ.items() if key.startswith("PYTHON")}
