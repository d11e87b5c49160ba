"""The process that `ForkServer` starts: loads all that workers need, and forks a worker on request.

Nothing here has threads, an event loop or an agent before it forks; what is loaded is shared by all
workers. The connection to the process that started it is its stdin.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from typing import NoReturn

from ...worker_pool.fork_server import THREADS, ForkedProcess
from ...worker_pool.worker_spec import PARENT_VARIABLE, ForkRequest
from .worker_process import load, work_and_leave

_STDIN = 0


def main() -> NoReturn:
    """Load, and fork workers until nobody can ask for one; in a forked process, be the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.pidfd_open(os.getppid())
    if os.environ.pop(PARENT_VARIABLE, "") != str(os.getppid()):
        # The parent has ended already, and this process has another one now.
        sys.exit()
    load()
    if _has_threads():
        # Locks that they hold would stay locked in the forked processes.
        sys.exit()
    server_pid = os.getpid()
    request = _Server(parent).serve()
    if request is None:
        sys.exit()
    os.environ.clear()
    os.environ.update(request.environment)
    os.environ[PARENT_VARIABLE] = str(server_pid)
    time.tzset()
    work_and_leave(request.spec)


class _Server:
    """Forks workers, and reaps them when they have ended.

    Args:
        parent: a pidfd of the process that asks for workers.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._connection = socket.socket(fileno=os.dup(_STDIN))
        self._requests = self._connection.makefile("rb")
        self._pids: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(parent, select.POLLIN)
        self._poll.register(self._connection, select.POLLIN)
        self._is_open = True

    def serve(self) -> ForkRequest | None:
        """Fork workers until the parent has ended, or asks for none and no worker is left.

        Returns:
            In a forked process the request for it; None in the server, when it is over.
        """
        while self._is_open or self._pids:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._parent:
                    return None
                if descriptor in self._pids:
                    self._reap(descriptor)
                    continue
                request = self._fork()
                if request is not None:
                    return request
        return None

    def _fork(self) -> ForkRequest | None:
        line = self._requests.readline()
        if not line.endswith(b"\n"):
            self._is_open = False
            self._poll.unregister(self._connection)
            return None
        request = ForkRequest.parse(line)
        pid = os.fork()
        if not pid:
            self._detach()
            return request
        pidfd = os.pidfd_open(pid)
        self._pids[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        try:
            ForkedProcess(pid, pidfd).send(self._connection)
        except OSError:
            # Nobody knows of this process.
            os.kill(pid, signal.SIGKILL)
        return None

    def _reap(self, pidfd: int) -> None:
        os.waitpid(self._pids.pop(pidfd), 0)
        self._poll.unregister(pidfd)
        os.close(pidfd)

    def _detach(self) -> None:
        os.setsid()
        self._requests.close()
        self._connection.close()
        for descriptor in (self._parent, *self._pids):
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, _STDIN)
        os.close(nothing)


def _has_threads() -> bool:
    return len(os.listdir(THREADS)) > 1


if __name__ == "__main__":
    main()
