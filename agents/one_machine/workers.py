"""The workers of `Muster`: each calls the functions of its tasks in a process or in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from ...messages import InvalidInput, Task, TaskAssignment, TaskResult
from ..runtime.clock import now
from ..runtime.daemon_threads import DaemonThreads
from ..transport.ceylon_api import AgentDetail
from ..worker.worker_agent import WorkerAgent
from .calling import Reply, Request, call_here, failed, read_reply
from .forked_processes import ForkedChild, ForkingProcess, can_fork
from .spawned_process import SpawnedChild

_SKILL = 10


class Call:
    """A call of a function, which is the work of one task.

    Args:
        function: the function.
        arguments: its positional arguments.
        keywords: its keyword arguments.
        request: the same for another process; None for a thread.
    """

    __slots__ = ("arguments", "function", "keywords", "reply", "request")

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: Mapping[str, Any],
        request: Request | None,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.request = request
        self.reply = Reply()


class ProcessSource:
    """Gives processes that know the functions of this program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forking = ForkingProcess() if can_fork() else None

    def learn(self, request: Request) -> None:
        """Make sure that new processes know the functions of a request; called by who submits it.

        Raises:
            InvalidInput: they can't.
        """
        if not request.numbers:
            return
        newest = max(request.numbers)
        with self._lock:
            if self._forking is None:
                raise InvalidInput(
                    "processes can't be forked on this system, so functions must be in a module "
                    "that can be imported, not in the main program, and no lambdas; or use "
                    "threads=… instead of workers=…"
                )
            if newest >= self._forking.knows:
                self._forking = ForkingProcess()

    def start(self) -> ForkedChild | SpawnedChild:
        """Start a process."""
        # One at a time, so that no process inherits the pipe of another.
        with self._lock:
            return SpawnedChild() if self._forking is None else self._forking.fork()


class FunctionWorker(WorkerAgent):
    """Performs tasks by calling their functions.

    Args:
        name: its name.
        slots: how many functions it calls at once.
        find: finds the call of a task.
        source: gives it a process; None to call functions in threads. With processes it has one
            slot.
    """

    def __init__(
        self,
        name: str,
        slots: int,
        find: Callable[[Task], Call],
        source: ProcessSource | None,
    ) -> None:
        super().__init__(name, skill_level=_SKILL, slots=slots, insecure=True)
        self._find = find
        self._source = source
        self._threads: Executor = DaemonThreads(slots, f"muster-{name}")
        self._child: ForkedChild | SpawnedChild | None = None
        self._is_over = False

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: AgentDetail | None = None
    ) -> TaskResult:
        """Call the function of a task."""
        del time, agent
        call, began_at = self._find(data.task), now()
        do: Callable[[Call], Reply] = _call_in_thread if self._source is None else self._do
        try:
            running: Future[Reply] = self._threads.submit(do, call)
            call.reply = reply = await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            # It was cancelled, or took too long.
            if self._child is not None:
                self._child.kill()
            raise
        return TaskResult(
            task_id=data.task.id,
            worker=self.name,
            success=reply.fault is None,
            execution_time=max(now() - began_at, 0.0),
            error_message=reply.error or None,
            attempt=data.attempt,
            error_traceback=reply.traceback,
        )

    def warm_up(self) -> None:
        """Start the process, without waiting for it."""
        if self._source is not None:
            self._threads.submit(self._ensure_child, None)

    def close(self, *, kills: bool) -> None:
        """End the process.

        Args:
            kills: whether to kill it.
        """
        self._is_over = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        child, self._child = self._child, None
        if child is not None and kills:
            child.kill()
        elif child is not None:
            child.end()

    def _do(self, call: Call) -> Reply:
        assert call.request is not None
        try:
            return read_reply(self._ensure_child(call.request).call(call.request.content))
        except Exception as fault:  # noqa: BLE001 - told to whoever waits
            return failed(fault)

    def _ensure_child(self, request: Request | None) -> ForkedChild | SpawnedChild:
        assert self._source is not None
        child = self._child
        numbers = () if request is None else request.numbers
        if child is None or not (child.is_usable and all(map(child.knows, numbers))):
            if child is not None:
                child.end()
            child = self._child = self._source.start()
        if self._is_over:
            child.kill()
        return child


def _call_in_thread(call: Call) -> Reply:
    return call_here(call.function, call.arguments, call.keywords)
