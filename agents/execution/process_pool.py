"""A process pool in which a single process can be killed without affecting the others.

Python's own `ProcessPoolExecutor` breaks as a whole when one of its processes ends.
"""

from __future__ import annotations

import atexit
import contextlib
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
from .process_limits import ProcessLimits

EXIT_TIMEOUT_S = 1.0
"""How long an idle process may take to exit before it is killed."""

CHECK_PROCESS_EVERY_S = 0.5
"""How often a process that runs a function is looked at: whether it lives, and its memory."""

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class ProcessPool(Executor):
    """Runs functions in processes of this machine; if one dies, only its own task fails.

    Functions, arguments and return values are pickled. Processes are started by multiprocessing's
    "spawn" method, and ignore Ctrl-C, which this process handles.

    ```python
    worker = WorkerAgent("Ada", 5, slots=4, executor=lambda: ProcessPool(4), kill_after_s=30)
    ```

    Args:
        max_workers: the number of processes, 1 or more; all are started at once.
        max_tasks_per_child: after how many functions a process is replaced by a new one, 1 or
            more; None for no limit.
        max_memory_mb: how much resident memory a process may use, in megabytes of 1,000,000 bytes,
            50 or more; None for no limit. A process that uses more is replaced after its function.
            One that uses more than 1.5 times that during a function is killed, and the function
            fails with MemoryLimit. Only systems with /proc/PID/statm, such as Linux, can do this.

    Raises:
        ValueError: `max_workers` is below 1.
        InvalidInput: another limit is out of range, or the system does not tell how much memory a
            process uses.
    """

    def __init__(
        self,
        max_workers: int,
        *,
        max_tasks_per_child: int | None = None,
        max_memory_mb: float | None = None,
    ) -> None:
        self._limits = ProcessLimits(max_tasks_per_child, max_memory_mb)
        # One thread waits for each process.
        self._threads = DaemonThreads(max_workers, "muster-process")
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._calls: dict[Future[Any], _Call] = {}
        self._is_shut_down = False
        self._replacing: list[threading.Thread] = []
        # At exit, multiprocessing would wait for the processes.
        atexit.register(self.kill_workers)
        for _ in range(max_workers):
            self._threads.submit(self._start_one)

    def submit(
        self,
        fn: Callable[_Parameters, _Returned],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Returned]:
        """Call a function in a process.

        The future raises BrokenProcessPool if that process dies, and MemoryLimit if it is killed
        because of its memory; the pool goes on.

        Raises:
            RuntimeError: the pool was shut down.
        """
        call = _Call((fn, args, kwargs))
        future: Future[_Returned] = self._threads.submit(self._do, call)
        self._calls[future] = call
        future.add_done_callback(lambda each: self._calls.pop(each, None))
        return future

    def kill(self, future: Future[Any]) -> None:
        """Kill the process that runs a future's function; the next call starts another process."""
        call = self._calls.get(future)
        with self._lock:
            if call is not None:
                call.is_killed = True
                if call.child is not None:
                    call.child.kill()

    def kill_workers(self) -> None:
        """Kill all processes, and accept no more functions."""
        self.shutdown(wait=False, cancel_futures=True)
        for future in list(self._calls):
            self.kill(future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more functions, and end each process once it is idle.

        Args:
            wait: whether to wait until all processes have ended.
            cancel_futures: whether to cancel the functions that have not begun.
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
        if wait:
            # No more are added, since nothing runs any more.
            for thread in self._replacing:
                thread.join()

    def _start_one(self) -> None:
        self._return(_Child(self._limits))

    def _replace(self, child: _Child) -> None:
        # Not here, since the outcome of its last function must not wait until the process has
        # ended.
        ending = threading.Thread(target=child.end, name="muster-process-end", daemon=True)
        with self._lock:
            self._replacing = [each for each in self._replacing if each.is_alive()]
            self._replacing.append(ending)
            ending.start()
            is_wanted = not self._is_shut_down
        if is_wanted:
            # The outcome of the last function stands; the next one tries to start a process again.
            with contextlib.suppress(OSError):
                self._start_one()

    def _do(self, call: _Call) -> Any:
        with self._lock:
            child = call.child = self._idle.pop() if self._idle else None
        if child is None:
            child = _Child(self._limits)
            with self._lock:
                call.child = child
                if call.is_killed:
                    child.kill()
        try:
            return child.call(call.what)
        finally:
            with self._lock:
                call.child = None
            if child.is_worn():
                self._replace(child)
            else:
                self._return(child)

    def _return(self, child: _Child) -> None:
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
    """A process, and the pipe to it."""

    def __init__(self, limits: ProcessLimits) -> None:
        self._limits = limits
        self._done = 0
        context = multiprocessing.get_context("spawn")
        self._pipe, its_pipe = context.Pipe()
        # A process that still imports would die of Ctrl-C with a traceback. It inherits the blocked
        # signals of this thread, which handles none itself.
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        self._process = context.Process(target=serve, args=(its_pipe,), daemon=False)
        self._process.start()
        its_pipe.close()
        self.is_usable = True

    def call(self, what: tuple[Any, ...]) -> Any:
        """Call a function in the process, and wait for its outcome.

        Raises:
            BrokenProcessPool: the process ended before.
            MemoryLimit: the process used too much memory, and was killed.
            Exception: what the function raised, or what can't be pickled.
        """
        request = ForkingPickler.dumps(what)
        self._done += 1
        try:
            # Released, since an exception would keep it, and Python can't collect it with a cycle.
            with request:
                self._pipe.send_bytes(request)
            self._wait_for_answer()
            is_done, outcome = self._pipe.recv()
        except (EOFError, OSError):
            self.is_usable = False
            self._ensure_exit()
            raise BrokenProcessPool(
                f"the process that ran it ended with exit code {self._process.exitcode}"
            ) from None
        except BaseException:
            # The answer can't be read, so the rest of it may still be in the pipe.
            self.is_usable = False
            raise
        if is_done:
            return outcome
        try:
            raise outcome
        finally:
            # The exception keeps this frame, which is not to keep the exception.
            del outcome

    def _wait_for_answer(self) -> None:
        # The pipe may stay open after the process has ended, if a child of it has inherited it.
        while not self._pipe.poll(CHECK_PROCESS_EVERY_S):
            if not self._process.is_alive():
                raise EOFError
            excess = self._limits.find_excess(self.pid)
            # What is done by now counts.
            if excess is not None and not self._pipe.poll():
                self.kill()
                raise excess

    def is_worn(self) -> bool:
        """Whether the process is alive, idle, and must be replaced."""
        return self.is_usable and self._limits.is_reached(self._done, self.pid)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        self.is_usable = False
        self._process.kill()

    def dismiss(self) -> None:
        """Let the process end once it is idle."""
        self._pipe.close()

    def end(self) -> None:
        self.dismiss()
        self._ensure_exit()
        self._process.close()

    def _ensure_exit(self) -> None:
        self._process.join(EXIT_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def serve(pipe: Connection) -> None:
    """Run the functions that arrive through a pipe, until it is closed.

    Args:
        pipe: brings pickled calls, and takes the outcome of each.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
    while True:
        outcome: tuple[bool, Any]
        try:
            function, arguments, keywords = pipe.recv()
        except EOFError:
            return
        except BaseException as fault:  # noqa: BLE001 - importing a function may raise anything
            outcome = False, fault
        else:
            try:
                outcome = True, function(*arguments, **keywords)
            except BaseException as fault:  # noqa: BLE001 - sent to the caller
                outcome = False, fault
        try:
            _send(pipe, outcome)
        except (BrokenPipeError, ConnectionResetError):
            return


def _send(pipe: Connection, outcome: tuple[bool, Any]) -> None:
    try:
        pipe.send(outcome)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as fault:  # noqa: BLE001 - pickling may raise anything
        pipe.send((False, RuntimeError(f"the outcome can't be pickled: {fault}")))
