"""A manager's tasks submitted for their results: one, or any number with backpressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import Future

from ...messages import RunEnded, Task, TaskId, TaskResult
from .awaited_results import AwaitedResults, call_in
from .shell import ManagerShell
from .task_flow import TaskFlow, TaskSource

BATCH_SIZE = 250
MAX_WAITING = 5_000


class Submission:
    """What a manager does with tasks whose results somebody waits for.

    A failure is a result, whose `success` is False. A task that was cancelled, or that nobody could
    do, has one too, with the reason as its `error_message`. Whoever stops waiting has not cancelled
    his task: it goes on, and its result can be asked for.
    """

    _shell: ManagerShell
    _awaited: AwaitedResults

    async def submit(self, task: Task) -> TaskResult:
        """Add a task and wait for its recorded result, in any loop of any thread.

        Args:
            task: what is to be done. If a resumed run has done it, its result comes at once.

        Raises:
            RunEnded: the run has ended, or ends before the task is settled.
            InvalidTask: its id is taken, or what it depends on is unknown.
            EncodeError: its data holds what msgpack can't carry.
            StoreUnusable: it can't be written.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskResult] = loop.create_future()

        def settle(_: TaskId, outcome: TaskResult | RunEnded) -> None:
            call_in(loop, _fulfil, future, outcome)

        self._awaited.add((task,), settle)
        return await future

    def submit_nowait(self, task: Task) -> Future[TaskResult]:
        """Add a task, from any thread, and do not wait for its result.

        Returns:
            A future that gets the result, or `RunEnded`. To cancel it is to wait no longer; the
            task goes on. In the manager's own loop it must not be waited for; see `submit`.

        Raises:
            RunEnded: the run has ended.
            InvalidTask: its id is taken, or what it depends on is unknown.
            EncodeError: its data holds what msgpack can't carry.
            StoreUnusable: it can't be written.
        """
        future: Future[TaskResult] = Future()

        def settle(_: TaskId, outcome: TaskResult | RunEnded) -> None:
            if future.set_running_or_notify_cancel():
                _fulfil(future, outcome)

        self._awaited.add((task,), settle)
        return future

    def submit_many(
        self,
        tasks: TaskSource,
        *,
        batch_size: int = BATCH_SIZE,
        max_waiting: int = MAX_WAITING,
        in_order: bool = False,
        forget: bool = False,
    ) -> AsyncGenerator[TaskResult, None]:
        """Add tasks batch by batch, however many, and give their results as they are recorded.

        ```python
        async for result in manager.submit_many(tasks):
            ...
        ```

        It begins when the first result is asked for, in any loop of any thread. It draws no more
        tasks than there is room for: of those that were added, at most `max_waiting` are unsettled
        or have results that were not taken. Whoever leaves the `async for` leaves what was added
        to go on; nothing more is added.

        Args:
            tasks: an iterable, or an async iterable, whose tasks are added when it lets us wait or
                a batch is full. A task may depend on others of its batch or of earlier ones.
            batch_size: how many are added at once, 1 or more; half of `max_waiting` at most.
            max_waiting: how many tasks there may be at a time, 1 or more.
            in_order: give the results in the order of the tasks; one that takes long holds back
                the others.
            forget: let the manager forget each task after its result was taken, as far as no task
                that is kept depends on it. Otherwise it keeps all of them for its report, and its
                memory grows with them.

        Raises:
            InvalidInput: a number is below 1.
            RunEnded: the run has ended, or ends before all tasks are settled; the results that
                there are come first.
            InvalidTask: a batch can't be taken, and none of it is; the results of the earlier ones
                come first. So it is with `EncodeError`, `StoreUnusable`, and whatever the iterable
                raises.
        """
        flow = TaskFlow(
            self._awaited,
            tasks,
            batch_size=batch_size,
            max_waiting=max_waiting,
            in_order=in_order,
            forget=self.forget_tasks if forget else None,
        )
        return flow.results()

    def forget_tasks(self, task_ids: Iterable[TaskId]) -> None:
        """Forget settled tasks and their results, so that a manager can run for years.

        The report tells of them no more. A new task must not bear the id of one.

        Raises:
            UnknownTask: there is no such task; none is forgotten.
            IllegalTransition: a task is not settled, its worker has not confirmed that it stopped,
                or a task that is kept depends on it or is its child; none is forgotten.
        """
        wanted = tuple(task_ids)
        self._shell.entry.ask(lambda: self._shell.forget(wanted))


def _fulfil(
    future: asyncio.Future[TaskResult] | Future[TaskResult], outcome: TaskResult | RunEnded
) -> None:
    if future.done():
        # Whoever waited has gone.
        return
    if isinstance(outcome, RunEnded):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
