"""`Client` and `BlockingClient`: submit tasks to a manager in another process."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import cast

from ...messages import (
    InvalidInput,
    ManagerUnavailable,
    MusterError,
    Payload,
    Task,
    TaskId,
    TaskResult,
    TaskStatus,
)
from ...messages.client import ManagerMethod
from ..kernel.security.workspace_secret import WorkspaceSecret
from ..runtime.background import BackgroundRun
from ..security.ticket import Ticket
from ..submission.result_source import Outcome, call_in, fulfil
from ..submission.submission import Submission
from .agent import ClientAgent
from .loop_thread import LoopThread

CONNECT_TIMEOUT_S = 10.0
_ADDED_AT_ONCE = 1_000


class Client(Submission):
    """Submits tasks to a manager that runs anywhere, and takes their results.

    ```python
    async with Client("ticket.txt") as client:
        result = await client.submit(Task(type="thumbnail", data="cat.png"))
    ```

    A client that ends, or is killed, loses no task: another one finds the result by the task's id,
    with `result`. If the connection or the manager is lost, the client dials again, repeats what
    has no reply, and asks for the results that it still waits for.

    Args:
        ticket: the manager's ticket, its text, or the path of the file that holds it. The file is
            read again whenever the client dials again.
        name: the client's name; by default a random one. A manager with `allow` must name it there.
        secret: the workspace secret, if the ticket does not contain it.
        insecure: do not encrypt, as a manager that was started so.
        connect_timeout_s: how long to wait for the manager at first, in seconds; None for ever.

    Raises:
        InvalidInput: the file can't be read, or holds no ticket.
    """

    def __init__(
        self,
        ticket: Ticket | str | Path,
        *,
        name: str = "",
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> None:
        self.name = name or f"client-{secrets.token_hex(4)}"
        self._connect_timeout_s = connect_timeout_s
        self._agent = ClientAgent(self.name, ticket, secret, insecure=insecure)
        self._background = BackgroundRun(self.name, self._agent.leave)
        self._conversation = self._awaited = self._agent.conversation

    @classmethod
    def connect(
        cls,
        ticket: Ticket | str | Path,
        *,
        name: str = "",
        secret: WorkspaceSecret | str | None = None,
        insecure: bool = False,
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
    ) -> BlockingClient:
        """Connect a client for programs without asyncio; use it in a `with` statement.

        The arguments are those of `Client`; the errors are those of `Client` and `start`.
        """
        return BlockingClient(
            lambda: cls(
                ticket,
                name=name,
                secret=secret,
                insecure=insecure,
                connect_timeout_s=connect_timeout_s,
            )
        )

    # ------------------------------------------------------------------ life cycle

    async def start(self) -> None:
        """Connect; returns when the manager has accepted the client.

        Raises:
            ManagerUnavailable: no manager has answered within `connect_timeout_s`.
            JoinRefused: the manager refuses this client.
            WrongSecret: the manager has another secret.
            InvalidInput: the client was started before.
        """
        self._conversation.open()
        starting = self._background.start(self._agent.start_agent, self._conversation.joined)
        try:
            await asyncio.wait_for(starting, self._connect_timeout_s)
        except asyncio.TimeoutError:
            await self.stop()
            raise ManagerUnavailable(
                f"no manager at {self._agent.admin_ip}, UDP port {self._agent.port}, answered "
                f"within {self._connect_timeout_s:g} s; check that it is running and that this is "
                "its latest ticket"
            ) from None
        if self._conversation.failure is not None:
            raise self._conversation.failure

    async def stop(self) -> None:
        """Disconnect; tasks that were submitted go on."""
        self._agent.leave()
        await self._background.wait()

    async def __aenter__(self) -> Client:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # ------------------------------------------------------------------ tasks

    async def result(self, task_id: TaskId) -> TaskResult:
        """Wait for the result of a task that any client, or the manager itself, has submitted.

        Raises:
            UnknownTask: the manager has no such task.
            RunEnded: the run ends before the task is settled.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskResult] = loop.create_future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            call_in(loop, fulfil, future, outcome)

        self._conversation.wait_for((task_id,), settle)
        return await future

    async def map(
        self, task_type: str, items: Iterable[Payload], *, max_waiting: int = 5_000
    ) -> AsyncGenerator[TaskResult, None]:
        """Submit a task of one type for each item, and yield the results in the items' order.

        Args:
            task_type: the type of the tasks.
            items: the data of each task; more are taken only when there is room for them.
            max_waiting: how many tasks there may be at a time, 1 or more.
        """
        tasks = (Task(type=task_type, data=item) for item in items)
        results = self.submit_many(tasks, max_waiting=max_waiting, in_order=True)
        async for result in results:
            yield result

    async def gather(self, tasks: Sequence[Task]) -> list[TaskResult]:
        """Submit tasks together, and return their results in the tasks' order."""
        return [result async for result in self.submit_many(tasks, in_order=True)]

    async def add_tasks(self, tasks: Sequence[Task]) -> None:
        """Submit tasks, and return when the manager has them, without waiting for their results.

        Raises:
            MusterError: what the manager says against one of the tasks. They are added by the
                thousand, and of that thousand none is.
        """
        for start in range(0, len(tasks), _ADDED_AT_ONCE):
            await self._add(tasks[start : start + _ADDED_AT_ONCE])

    async def _add(self, tasks: Sequence[Task]) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Payload] = loop.create_future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            call_in(loop, _set, future, outcome if isinstance(outcome, MusterError) else None)

        self._conversation.add(tasks, settle, lambda: call_in(loop, _set, future, None))
        await future

    async def cancel(self, task_id: TaskId, reason: str = "by a client") -> None:
        """Cancel a task; a worker that runs it is told to stop.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: it is settled already.
        """
        await self._ask("cancel", task_id=task_id, reason=reason)

    async def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; higher numbers are assigned sooner.

        Raises:
            UnknownTask: the manager has no such task.
            IllegalTransition: it does not wait any more.
        """
        await self._ask("set_priority", task_id=task_id, priority=priority)

    # ------------------------------------------------------------------ questions

    async def status(self, task_id: TaskId) -> TaskStatus:
        """The status of a task.

        Raises:
            UnknownTask: the manager has no such task.
        """
        return TaskStatus(cast("str", await self._ask("status", task_id=task_id)))

    async def counts(self) -> dict[TaskStatus, int]:
        """How many tasks there are of each status."""
        counts = cast("dict[str, int]", await self._ask("status"))
        return {TaskStatus(status): count for status, count in counts.items()}

    async def why(self, task_id: TaskId) -> list[str]:
        """Why a task is where it is, in lines of text.

        Raises:
            UnknownTask: the manager has no such task.
        """
        return cast("list[str]", await self._ask("why", task_id=task_id))

    async def workers(self) -> list[dict[str, Payload]]:
        """The workers: name, whether connected, skill level, slots, running and completed tasks."""
        return cast("list[dict[str, Payload]]", await self._ask("workers"))

    async def _ask(self, method: ManagerMethod, **arguments: Payload) -> Payload:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Payload] = loop.create_future()

        def replied(reply: Payload | MusterError) -> None:
            call_in(loop, _set, future, reply)

        self._conversation.ask(method, arguments, replied)
        return await future

    def _forget(self, task_ids: Sequence[TaskId]) -> None:
        raise InvalidInput("only the manager's own process can forget tasks; leave out forget=True")


class BlockingClient:
    """A `Client` whose methods wait; it runs in a thread of its own.

    ```python
    with Client.connect("ticket.txt") as client:
        future = client.submit(Task(type="thumbnail", data="cat.png"))
        print(future.result().output)
    ```

    Any thread may use it. `Client.connect` makes one.

    Args:
        make_client: makes the client, in the thread that runs it.
    """

    def __init__(self, make_client: Callable[[], Client]) -> None:
        self._make_client = make_client
        self._client: Client | None = None
        self._thread = LoopThread("muster-client")

    def __enter__(self) -> BlockingClient:
        self._thread.start()
        try:
            self._thread.wait_for(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._thread.wait_for(self._connected.stop())
        finally:
            self._end()

    # ------------------------------------------------------------------ tasks

    def submit(self, task: Task) -> Future[TaskResult]:
        """Submit a task without waiting for its result; see `Client.submit`."""
        return self._connected.submit_nowait(task)

    def submit_many(
        self, tasks: Iterable[Task], *, max_waiting: int = 5_000, in_order: bool = False
    ) -> Iterator[TaskResult]:
        """Submit any number of tasks, and yield their results; see `Client.submit_many`."""
        client = self._connected
        return self._thread.iterate(
            client.submit_many(tasks, max_waiting=max_waiting, in_order=in_order)
        )

    def map(
        self, task_type: str, items: Iterable[Payload], *, max_waiting: int = 5_000
    ) -> Iterator[TaskResult]:
        """Submit a task for each item, and yield the results in order; see `Client.map`."""
        client = self._connected
        return self._thread.iterate(client.map(task_type, items, max_waiting=max_waiting))

    def gather(self, tasks: Sequence[Task]) -> list[TaskResult]:
        """Submit tasks together, and return their results in the tasks' order."""
        return self._thread.wait_for(self._connected.gather(tasks))

    def result(self, task_id: TaskId, timeout_s: float | None = None) -> TaskResult:
        """Wait for the result of a task that was submitted before; see `Client.result`.

        Raises:
            TimeoutError: it has none within `timeout_s` seconds.
        """
        return self._thread.wait_for(self._connected.result(task_id), timeout_s)

    def add_tasks(self, tasks: Sequence[Task]) -> None:
        """Submit tasks without waiting for their results; see `Client.add_tasks`."""
        self._thread.wait_for(self._connected.add_tasks(tasks))

    def cancel(self, task_id: TaskId, reason: str = "by a client") -> None:
        """Cancel a task; see `Client.cancel`."""
        self._thread.wait_for(self._connected.cancel(task_id, reason))

    def set_priority(self, task_id: TaskId, priority: int) -> None:
        """Change the priority of a waiting task; see `Client.set_priority`."""
        self._thread.wait_for(self._connected.set_priority(task_id, priority))

    # ------------------------------------------------------------------ questions

    def status(self, task_id: TaskId) -> TaskStatus:
        """The status of a task; see `Client.status`."""
        return self._thread.wait_for(self._connected.status(task_id))

    def counts(self) -> dict[TaskStatus, int]:
        """How many tasks there are of each status."""
        return self._thread.wait_for(self._connected.counts())

    def why(self, task_id: TaskId) -> list[str]:
        """Why a task is where it is, in lines of text; see `Client.why`."""
        return self._thread.wait_for(self._connected.why(task_id))

    def workers(self) -> list[dict[str, Payload]]:
        """The workers; see `Client.workers`."""
        return self._thread.wait_for(self._connected.workers())

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise InvalidInput("the client is not connected; use it in a `with` statement")
        return self._client

    async def _start(self) -> None:
        # The client and its events belong to the loop that makes them.
        client = self._make_client()
        await client.start()
        self._client = client

    def _end(self) -> None:
        self._client = None
        self._thread.stop()


def _set(future: asyncio.Future[Payload], reply: Payload | MusterError) -> None:
    if future.done():
        return
    if isinstance(reply, MusterError):
        future.set_exception(reply)
    else:
        future.set_result(reply)
