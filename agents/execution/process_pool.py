"""An executor of processes, each of which can be killed without harm to what the others do.

Python's own `ProcessPoolExecutor` breaks as a whole when one of its processes ends.
"""

from __future__ import annotations

import atexit
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, ParamSpec, TypeVar

from ..runtime.daemon_threads import DaemonThreads

LEAVING_MAY_TAKE_S = 1.0
"""How long an idle process may take to end before it is killed."""

LOOK_FOR_PROCESS_EVERY_S = 0.5

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class ProcessPool(Executor):
    """Runs functions in processes of this machine; one that dies takes only its own task with it.

    Functions, arguments and what they return are pickled. The processes begin anew, as
    multiprocessing's "spawn" has it, and ignore Ctrl-C, which is for this process to heed.

    ```python
    worker = WorkerAgent("Ada", 5, slots=4, executor=lambda: ProcessPool(4), kill_after_s=30)
    ```

    Args:
        max_workers: how many processes there are, 1 or more; all are started at once.

    Raises:
        ValueError: `max_workers` is below 1.
    """

    def __init__(self, max_workers: int) -> None:
        # A thread for each process, which waits for it.
        self._threads = DaemonThreads(max_workers, "muster-process")
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._calls: dict[Future[Any], _Call] = {}
        self._is_shut_down = False
        # Python's own end of processes waits for them.
        atexit.register(self.kill_workers)
        for _ in range(max_workers):
            self._threads.submit(self._prepare_one)

    def submit(
        self,
        fn: Callable[_Parameters, _Returned],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Returned]:
        """Have a function called in a process.

        Its future raises BrokenProcessPool if the process ends first; the pool lives on.

        Raises:
            RuntimeError: it was shut down.
        """
        call = _Call((fn, args, kwargs))
        future: Future[_Returned] = self._threads.submit(self._do, call)
        self._calls[future] = call
        future.add_done_callback(lambda each: self._calls.pop(each, None))
        return future

    def kill(self, future: Future[Any]) -> None:
        """Kill the process that does what a future stands for; another takes its place."""
        call = self._calls.get(future)
        with self._lock:
            if call is not None:
                call.is_killed = True
                if call.child is not None:
                    call.child.kill()

    def kill_workers(self) -> None:
        """Kill all processes, and take no more functions."""
        self.shutdown(wait=False, cancel_futures=True)
        for future in list(self._calls):
            self.kill(future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more functions, and end the processes once they have nothing to do.

        Args:
            wait: whether to wait for that.
            cancel_futures: whether to cancel what has not begun.
        """
        with self._lock:
            self._is_shut_down = True
            idle, self._idle = self._idle, []
        atexit.unregister(self.kill_workers)
        for child in idle:
            child.dismiss()
        for child in idle:
            child.end()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _prepare_one(self) -> None:
        self._give_back(_Child())

    def _do(self, call: _Call) -> Any:
        with self._lock:
            child = call.child = self._idle.pop() if self._idle else None
        if child is None:
            child = _Child()
            with self._lock:
                call.child = child
                if call.is_killed:
                    child.kill()
        try:
            return child.call(call.what)
        finally:
            with self._lock:
                call.child = None
            self._give_back(child)

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            is_wanted = child.is_usable and not self._is_shut_down
            if is_wanted:
                self._idle.append(child)
        if not is_wanted:
            child.end()


class _Call:
    __slots__ = ("child", "is_killed", "what")

    def __init__(self, what: tuple[Any, ...]) -> None:
        self.what = what
        self.is_killed = False
        self.child: _Child | None = None


class _Child:
    """A process, and the line to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, its_line = context.Pipe()
        # A process that is still importing would die of Ctrl-C with a traceback. It begins with the
        # signals held back that are held back here, in a thread that heeds none.
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        self._process = context.Process(target=serve, args=(its_line,), daemon=False)
        self._process.start()
        its_line.close()
        self.is_usable = True

    def call(self, what: tuple[Any, ...]) -> Any:
        """Have something called, and wait for what comes of it.

        Raises:
            BrokenProcessPool: the process ended before.
            Exception: what was called raised it, or can't be pickled.
        """
        told = ForkingPickler.dumps(what)
        try:
            self._line.send_bytes(told)
            self._wait_for_answer()
            is_done, outcome = self._line.recv()
        except (EOFError, OSError):
            self.is_usable = False
            self._see_to_its_end()
            raise BrokenProcessPool(
                f"the process that did it ended with exit code {self._process.exitcode}"
            ) from None
        except BaseException:
            # What came back can't be read, and what comes next may be the rest of it.
            self.is_usable = False
            raise
        if is_done:
            return outcome
        raise outcome

    def _wait_for_answer(self) -> None:
        # A process that it has started may hold the line open when it has ended.
        while not self._line.poll(LOOK_FOR_PROCESS_EVERY_S):
            if not self._process.is_alive():
                raise EOFError

    def kill(self) -> None:
        self.is_usable = False
        self._process.kill()

    def dismiss(self) -> None:
        """Let it end once it has nothing to do."""
        self._line.close()

    def end(self) -> None:
        self.dismiss()
        self._see_to_its_end()
        self._process.close()

    def _see_to_its_end(self) -> None:
        self._process.join(LEAVING_MAY_TAKE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def serve(line: Connection) -> None:
    """Call what comes by a line, in a process of its own, until the line ends.

    Args:
        line: where pickled calls come, and what came of each leaves.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    while True:
        outcome: tuple[bool, Any]
        try:
            function, arguments, named = line.recv()
        except EOFError:
            return
        except BaseException as fault:  # noqa: BLE001 - to import a function may raise anything
            outcome = False, fault
        else:
            try:
                outcome = True, function(*arguments, **named)
            except BaseException as fault:  # noqa: BLE001 - handed to whoever waits
                outcome = False, fault
        try:
            _send(line, outcome)
        except (BrokenPipeError, ConnectionResetError):
            return


def _send(line: Connection, outcome: tuple[bool, Any]) -> None:
    try:
        line.send(outcome)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as fault:  # noqa: BLE001 - pickling may raise anything
        line.send((False, RuntimeError(f"what came of it can't be pickled: {fault}")))
