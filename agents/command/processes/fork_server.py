"""What `ForkServer` starts: it loads all that workers need, and forks one for each order.

Nothing here has threads, a loop or an agent before it forks; what is loaded twice elsewhere is
shared by all its workers. Its line to the process that started it is its stdin.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import NamedTuple, NoReturn, cast

from ...worker_pool.fork_server import THREADS, pack_number
from ...worker_pool.worker_spec import PARENT_VARIABLE, WorkerSpec
from .worker_process import load, work_and_leave

_STDIN = 0


class _Told(NamedTuple):
    order: WorkerSpec
    environment: dict[str, str]


def main() -> NoReturn:
    """Load, and make workers until nobody can want one any more; in each worker, be that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.pidfd_open(os.getppid())
    if os.environ.pop(PARENT_VARIABLE, "") != str(os.getppid()):
        # It has ended already, and somebody else is the parent now.
        sys.exit()
    load()
    if _has_threads():
        # What they hold would be held for ever in the workers.
        sys.exit()
    nursery_pid = os.getpid()
    told = _Nursery(parent).tend()
    if told is None:
        sys.exit()
    os.environ.clear()
    os.environ.update(told.environment)
    os.environ[PARENT_VARIABLE] = str(nursery_pid)
    time.tzset()
    work_and_leave(told.order)


class _Nursery:
    """Forks workers, and buries them.

    Args:
        parent: a descriptor of the process that wants workers.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._line = socket.socket(fileno=os.dup(_STDIN))
        self._hears = self._line.makefile("rb")
        self._pids: dict[int, int] = {}
        self._poll = select.poll()
        self._poll.register(parent, select.POLLIN)
        self._poll.register(self._line, select.POLLIN)
        self._is_open = True

    def tend(self) -> _Told | None:
        """Make workers until the parent is gone, or wants none and there is none left.

        Returns:
            In a worker what it was told; None in the nursery, when it is over.
        """
        while self._is_open or self._pids:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._parent:
                    return None
                if descriptor in self._pids:
                    self._bury(descriptor)
                    continue
                told = self._listen()
                if told is not None:
                    return told
        return None

    def _listen(self) -> _Told | None:
        line = self._hears.readline()
        if not line.endswith(b"\n"):
            self._is_open = False
            self._poll.unregister(self._line)
            return None
        fields = cast("dict[str, object]", json.loads(line))
        told = _Told(
            WorkerSpec.parse(cast("str", fields["order"])),
            cast("dict[str, str]", fields["environment"]),
        )
        pid = os.fork()
        if not pid:
            self._leave_home()
            return told
        pidfd = os.pidfd_open(pid)
        self._pids[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        try:
            socket.send_fds(self._line, [pack_number(pid)], [pidfd])
        except OSError:
            # Nobody will ever know of it.
            os.kill(pid, signal.SIGKILL)
        return None

    def _bury(self, pidfd: int) -> None:
        os.waitpid(self._pids.pop(pidfd), 0)
        self._poll.unregister(pidfd)
        os.close(pidfd)

    def _leave_home(self) -> None:
        os.setsid()
        self._hears.close()
        self._line.close()
        for descriptor in (self._parent, *self._pids):
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, _STDIN)
        os.close(nothing)


def _has_threads() -> bool:
    return len(os.listdir(THREADS)) > 1


if __name__ == "__main__":
    main()
