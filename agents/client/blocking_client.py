"""`BlockingClient`: a client for programs without asyncio, whose methods wait."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from ...messages import InvalidInput, Task, TaskId, TaskResult
from ...messages.html_table import html_table
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..runtime.loop_thread import LoopThread
from ..submission.call_future import CallFuture
from ..submission.executor import TaskExecutor
from ..submission.submission import Submission
from .manager_calls import ManagerCalls
from .task_calls import TaskCalls

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


def _waits(
    method: Callable[Concatenate[Any, _Arguments], Coroutine[Any, Any, _Value]],
) -> Callable[Concatenate[BlockingClient, _Arguments], _Value]:
    """The method of `BlockingClient` that calls a method of `Client`, and waits."""

    @functools.wraps(method)
    def call(self: BlockingClient, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
        return self.run(method(self.client, *args, **kwargs))

    return call


def _iterates(
    method: Callable[Concatenate[Any, _Arguments], AsyncGenerator[_Value, None]],
) -> Callable[Concatenate[BlockingClient, _Arguments], Iterator[_Value]]:
    """The method of `BlockingClient` that yields what a method of `Client` yields."""

    @functools.wraps(method)
    def call(
        self: BlockingClient, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Iterator[_Value]:
        return self.iterate(method(self.client, *args, **kwargs))

    return call


class ClientCalls(TaskCalls, ManagerCalls):
    """The methods of a client, which is connected in an event loop."""

    name: str

    @abstractmethod
    async def start(self) -> None:
        """Connect."""

    @abstractmethod
    async def stop(self) -> None:
        """Disconnect."""


class BlockingClient:
    """A `Client` whose methods wait; it runs in a thread of its own.

    ```python
    with Client.connect("ticket.txt") as client:
        future = client.submit(Task(type="thumbnail", data="cat.png"))
        print(future.result().output)
    ```

    Any thread may use it. `Client.connect` makes one.

    Args:
        client: the client, which was not started yet.
    """

    def __init__(self, client: ClientCalls) -> None:
        self._client = client
        self._is_connected = False
        self._thread = LoopThread("muster-client")

    def __enter__(self) -> BlockingClient:
        self._thread.start()
        try:
            self._thread.wait_for(self._client.start())
        except BaseException:
            self._thread.stop()
            raise
        self._is_connected = True
        enter_submitter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exit_submitter(self)
        try:
            self._thread.wait_for(self._client.stop())
        finally:
            self._is_connected = False
            self._thread.stop()

    # ------------------------------------------------------------------ tasks

    @overload
    def submit(self, /, task: Task) -> Future[TaskResult]: ...

    @overload
    def submit(
        self,
        task: Callable[_Arguments, Any],
        /,
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> Future[TaskResult]: ...

    def submit(self, /, *task: Any, **named: Any) -> Future[TaskResult]:
        """Submit a task, or a function with arguments, without waiting for its result.

        See `Client.submit`.
        """
        return self.client.submit_nowait(*task, **named)

    def call_nowait(
        self, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> CallFuture[Any]:
        """Call a typed function at a worker, without waiting for its value.

        See `Client.call_nowait`.
        """
        return self.client.call_nowait(function, *arguments, **named)

    submit_many = _iterates(Submission.submit_many)
    """Submit any number of tasks, and yield their results; see `Client.submit_many`."""

    map = _iterates(Submission.map)
    """Submit a task for each item, and yield the results in order; see `Client.map`."""

    gather = _waits(TaskCalls.gather)
    """Submit tasks together, and return their results in the tasks' order."""

    as_completed = _iterates(TaskCalls.as_completed)
    """Yield the results of tasks in the order in which they arrive; see `Client.as_completed`."""

    wait = _waits(TaskCalls.wait)
    """Wait for several tasks; see `Client.wait`."""

    stream = _iterates(Submission.stream)
    """Yield the parts of a task's output as they come; see `Client.stream`."""

    def executor(self) -> TaskExecutor:
        """Returns an executor of the standard library that calls typed functions at workers.

        Its futures have what a function returns; `TaskFailed` is raised for a failed task. To
        cancel one cancels its task.
        """
        return TaskExecutor(self.call_nowait)

    def result(self, task_id: TaskId, timeout_s: float | None = None) -> TaskResult:
        """Wait for the result of a task that was submitted before; see `Client.result`.

        Raises:
            TimeoutError: it has none within `timeout_s` seconds.
        """
        return self.run(self.client.result(task_id), timeout_s)

    add_tasks = _waits(TaskCalls.add_tasks)
    """Submit tasks without waiting for their results; see `Client.add_tasks`."""

    # ------------------------------------------------------------------ asking the manager

    cancel = _waits(ManagerCalls.cancel)
    """Cancel a task; see `Client.cancel`."""

    retry = _waits(ManagerCalls.retry)
    """Try failed or cancelled tasks again; see `Client.retry`."""

    questions = _waits(ManagerCalls.questions)
    """What tasks ask people, and nobody has answered yet; see `Client.questions`."""

    answer = _waits(ManagerCalls.answer)
    """Answer the question of a task; see `Client.answer`."""

    set_priority = _waits(ManagerCalls.set_priority)
    """Change the priority of a waiting task; see `Client.set_priority`."""

    pause = _waits(ManagerCalls.pause)
    """Let the manager assign no more tasks; see `Client.pause`."""

    resume = _waits(ManagerCalls.resume)
    """Let the manager assign tasks again; see `Client.resume`."""

    drain = _waits(ManagerCalls.drain)
    """Give a worker no more tasks; see `Client.drain`."""

    managers = _waits(ManagerCalls.managers)
    """The managers that share the run's store; see `Client.managers`."""

    hand_over = _waits(ManagerCalls.hand_over)
    """Let a standby manager lead the run; see `Client.hand_over`."""

    status = _waits(ManagerCalls.status)
    """The status of a task; see `Client.status`."""

    find = _waits(ManagerCalls.find)
    """The first of some possible ids that is that of a task; see `Client.find`."""

    counts = _waits(ManagerCalls.counts)
    """How many tasks there are of each status."""

    why = _waits(ManagerCalls.why)
    """Why a task is where it is, in lines of text; see `Client.why`."""

    workers = _waits(ManagerCalls.workers)
    """The workers; see `Client.workers`."""

    task_types = _waits(ManagerCalls.task_types)
    """The task types that workers take; see `Client.task_types`."""

    report = _waits(ManagerCalls.report)
    """The report of the run; see `Client.report`."""

    diagram = _waits(ManagerCalls.diagram)
    """The run as a diagram; see `Client.diagram`."""

    schedules = _waits(ManagerCalls.schedules)
    """The schedules; see `Client.schedules`."""

    state = _waits(ManagerCalls.state)
    """The manager's name and time, its tasks, and what they wait for; see `Client.state`."""

    skills = _waits(ManagerCalls.skills)
    """What the manager has learned of its workers' skills; see `Client.skills`."""

    follow = _iterates(ManagerCalls.follow)
    """Yield the result of every task that is settled from now on; see `Client.follow`."""

    def _repr_html_(self) -> str:
        """What a notebook shows: what the manager has, if it is connected."""
        if not self._is_connected:
            return html_table("client, not connected", (), (), 0)
        counts = ", ".join(
            f"{count:,} {status.label.lower()}" for status, count in self.counts().items() if count
        )
        workers = self.workers()
        head = ("name", "connected", "slots", "running", "completed", "succeeded")
        rows = [[worker[each] for each in head] for worker in workers]
        caption = f"client {self._client.name!r}: {counts or 'no tasks'}"
        return html_table(caption, ("worker", *head[1:]), rows, len(rows))

    # ------------------------------------------------------------------ its event loop

    @property
    def client(self) -> ClientCalls:
        """The client, which runs in a thread of its own; only for `run` and `iterate`.

        Raises:
            InvalidInput: it is not connected.
        """
        if not self._is_connected:
            raise InvalidInput("the client is not connected; use it in a `with` statement")
        return self._client

    def run(self, coroutine: Coroutine[Any, Any, _Value], timeout_s: float | None = None) -> _Value:
        """Run a coroutine in the client's event loop, and wait for what it returns.

        Raises:
            TimeoutError: it takes longer than `timeout_s` seconds; it is cancelled.
        """
        return self._thread.wait_for(coroutine, timeout_s)

    def iterate(self, values: AsyncGenerator[_Value, None]) -> Iterator[_Value]:
        """Yield the values of an async generator, which runs in the client's event loop."""
        return self._thread.iterate(values)


class BlockingConnect:
    """`Client.connect`: takes the arguments of the client's class, and makes a `BlockingClient`."""

    def __get__(
        self, client: object, owner: Callable[_Arguments, ClientCalls]
    ) -> Callable[_Arguments, BlockingClient]:
        @functools.wraps(owner, updated=())
        def connect(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> BlockingClient:
            return BlockingClient(owner(*args, **kwargs))

        return connect
