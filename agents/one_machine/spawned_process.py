"""A process that is started anew to call functions, where none can be forked."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from .calling import serve_calls

_CHECK_EVERY_S = 0.5


class SpawnedChild:
    """A process that calls functions it can import."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its_pipe = context.Pipe()
        self._process = context.Process(target=_serve, args=(its_pipe,), daemon=True)
        self._process.start()
        its_pipe.close()
        self.is_usable = True

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    def knows(self, number: int) -> bool:
        """Whether it knows a function of this process's table: none."""
        del number
        return False

    def call(self, request: bytes) -> bytes:
        """Send a request, and wait for the reply.

        Raises:
            BrokenProcessPool: the process ended before.
        """
        try:
            self._pipe.send_bytes(request)
            while self._process.is_alive() or self._pipe.poll():
                if self._pipe.poll(_CHECK_EVERY_S):
                    return self._pipe.recv_bytes()
        except (EOFError, OSError):
            pass
        self.kill()
        raise BrokenProcessPool("the process that called the function has ended")

    def kill(self) -> None:
        """Kill it."""
        self.is_usable = False
        self._process.kill()

    def end(self) -> None:
        """Let it end, as soon as its function has returned."""
        self.is_usable = False
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve_calls(pipe)
