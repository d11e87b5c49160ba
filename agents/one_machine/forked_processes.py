"""Processes that are forked from this program to call its functions.

One process is forked from this one by whoever calls a function that the former does not know. It
has no threads, and forks the processes that call functions: so these find no lock held, whenever
one must be replaced.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import warnings
import weakref
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, Pipe
from typing import Any, NoReturn, TypeAlias, cast

from ..worker_pool.fork_server import ForkedProcess
from .calling import serve_calls
from .function_table import functions

_Pipe: TypeAlias = "Connection[Any, Any]"

_FORK = b"f"
_our_ends: weakref.WeakSet[socket.socket | _Pipe] = weakref.WeakSet()
"""What must be closed in processes that are forked: they would keep it open."""


def can_fork() -> bool:
    """Whether processes can be forked here: on Linux."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class ForkingProcess:
    """A process that was forked from this one, and forks others on request, from any thread."""

    def __init__(self) -> None:
        self.knows = functions.count
        """It knows the functions with lower numbers."""
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        for stream in (sys.stdout, sys.stderr):
            # Otherwise what is buffered would be written by each process.
            with contextlib.suppress(Exception):
                stream.flush()
        with warnings.catch_warnings():
            # Python warns of threads that hold locks; they are not ours.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            ours.close()
            _fork_until_closed(theirs)
        theirs.close()
        self._connection = ours
        _our_ends.add(ours)
        # Called when neither this nor a process that it forked is used any more.
        weakref.finalize(self, _end, ours, pid)

    def fork(self) -> ForkedChild:
        """Fork a process.

        Raises:
            BrokenProcessPool: no more processes can be forked.
        """
        ours, theirs = cast("tuple[_Pipe, _Pipe]", Pipe())
        _our_ends.add(ours)
        try:
            with theirs, self._lock:
                socket.send_fds(self._connection, [_FORK], [theirs.fileno()])
                forked = ForkedProcess.receive(self._connection)
        except OSError:
            forked = None
        if forked is None:
            ours.close()
            raise BrokenProcessPool("the process that forks others has ended")
        return ForkedChild(self, ours, forked)


class ForkedChild:
    """A process that calls functions.

    Args:
        source: the process that forked it, which lives at least as long.
        pipe: leads to it.
        forked: the process.
    """

    def __init__(self, source: ForkingProcess, pipe: _Pipe, forked: ForkedProcess) -> None:
        self._source = source
        self._pipe = pipe
        self._pidfd = forked.pidfd
        self.pid = forked.pid
        self.is_usable = True
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)
        self._poll.register(self._pidfd, select.POLLIN)
        self._close = weakref.finalize(self, os.close, self._pidfd)

    def knows(self, number: int) -> bool:
        """Whether it knows the function with a number, and all before."""
        return number < self._source.knows

    def call(self, request: bytes) -> bytes:
        """Send a request, and wait for the reply.

        Raises:
            BrokenProcessPool: the process ended before.
        """
        try:
            self._pipe.send_bytes(request)
            # If it has ended without a reply, the pipe says so, or its children keep it open.
            ready = [each for each, _ in self._poll.poll()]
            if ready != [self._pidfd]:
                return self._pipe.recv_bytes()
        except (EOFError, OSError):
            pass
        self.kill()
        raise BrokenProcessPool("the process that called the function has ended")

    def kill(self) -> None:
        """Kill it."""
        self.is_usable = False
        if self._close.alive and sys.platform == "linux":
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def end(self) -> None:
        """Let it end, as soon as its function has returned."""
        self.is_usable = False
        self._pipe.close()


def _end(connection: socket.socket, pid: int) -> None:
    connection.close()
    # Another part of the program may wait for all children.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _fork_until_closed(connection: socket.socket) -> NoReturn:
    """Fork a process for each pipe that arrives; in such a process, serve it."""
    children: dict[int, int] = {}
    try:
        signal.set_wakeup_fd(-1)
        # Ctrl-C is for the process that started this one, which then ends it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with open(os.devnull, encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 0)
        # Objects that were left here must not be finalized by a copy of the program.
        gc.freeze()
        while True:
            request, pipes, _, _ = socket.recv_fds(connection, len(_FORK), 1)
            if not request:
                break
            pid = os.fork()
            if not pid:
                connection.close()
                for pidfd in children:
                    os.close(pidfd)
                serve_calls(Connection(pipes[0]))
                os._exit(0)
            os.close(pipes[0])
            _reap(children)
            pidfd = os.pidfd_open(pid)
            children[pidfd] = pid
            ForkedProcess(pid, pidfd).send(connection)
        for pidfd in children:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os._exit(0)


def _reap(children: dict[int, int]) -> None:
    for pidfd, pid in tuple(children.items()):
        if os.waitpid(pid, os.WNOHANG)[0]:
            os.close(pidfd)
            del children[pidfd]


def _leave_our_ends() -> None:
    """In a forked process: a pipe is closed when the process that made it has closed it."""
    functions.forget_lock()
    for end in tuple(_our_ends):
        with contextlib.suppress(OSError):
            end.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_our_ends)
