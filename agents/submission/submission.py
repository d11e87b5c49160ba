"""Submits tasks for their results: one, or any number with backpressure."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future

from ...messages import Task, TaskId, TaskResult
from .parts import PartsSource, StreamedPart, stream_parts
from .result_source import Outcome, ResultSource, call_in, fulfil
from .task_flow import BATCH_SIZE, MAX_WAITING, TaskFlow, TaskSource


class Submission:
    """The methods that submit tasks and return their results, of a manager and of a client.

    A failure is a result whose `success` is False. A task that was cancelled, or that no worker
    could do, also has a result; its `error_message` says why. To stop waiting does not cancel a
    task: it continues, and its result can be read later.
    """

    _awaited: ResultSource

    @property
    @abstractmethod
    def _parts(self) -> PartsSource:
        """Tells the parts of tasks."""

    async def submit(self, task: Task) -> TaskResult:
        """Add a task and wait for its recorded result, in any event loop of any thread.

        Args:
            task: the task. Its id is an idempotency key: if the manager has this task already, also
                from before a restart, it is not done again, and its one result is returned.

        Raises:
            RunEnded: the run has ended, or ends before the task is settled.
            DuplicateTask: a different task has its id; the message names the fields that differ.
            InvalidTask: a dependency is unknown.
            EncodeError: its data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TaskResult] = loop.create_future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            call_in(loop, fulfil, future, outcome)

        self._awaited.add((task,), settle)
        return await future

    def submit_nowait(self, task: Task) -> Future[TaskResult]:
        """Add a task, from any thread, without waiting for its result.

        A task that the manager has already is not added again, as with `submit`.

        Returns:
            A future of the result; it raises `RunEnded` if the run ends before. Cancelling it does
            not cancel the task. Do not block on it in the manager's own event loop; use `submit`
            there.

        Raises:
            RunEnded: the run has ended.
            DuplicateTask: a different task has its id; the message names the fields that differ.
            InvalidTask: a dependency is unknown.
            EncodeError: its data have no plain form; names the place.
            StoreUnusable: the store can't be written to.
        """
        future: Future[TaskResult] = Future()

        def settle(_: TaskId, outcome: Outcome) -> None:
            if future.set_running_or_notify_cancel():
                fulfil(future, outcome)

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
        """Add any number of tasks in batches, and yield their results as they are recorded.

        ```python
        async for result in manager.submit_many(tasks):
            ...
        ```

        It starts when the first result is requested, in any event loop of any thread. It takes no
        more tasks from the source than there is room for: at most `max_waiting` of the added tasks
        are unsettled or have results that were not yielded yet. When you leave the `async for`,
        the tasks that were added continue, and no more are added.

        Args:
            tasks: an iterable or async iterable. Tasks are added when it makes us wait or a batch
                is full. A task may depend on others of its batch or of earlier batches. One that
                the manager has already is not done again; each time it is given, its one result is
                yielded.
            batch_size: how many tasks are added at once, 1 or more; at most half of `max_waiting`
                is used.
            max_waiting: how many tasks there may be at a time, 1 or more.
            in_order: yield the results in the order of the tasks; a slow task holds back the
                results after it.
            forget: let the manager forget each task after its result was yielded, unless a task
                that it keeps depends on it. Otherwise it keeps all tasks for its report, and its
                memory grows with them.

        Raises:
            InvalidInput: a number is below 1.
            RunEnded: the run has ended, or ends before all tasks are settled; raised after the
                results that there are.
            InvalidTask: a batch is not valid, and none of it is added; raised after the results of
                the earlier batches, as are `EncodeError`, `StoreUnusable` and any exception of the
                iterable.
        """
        flow = TaskFlow(
            self._awaited,
            tasks,
            batch_size=batch_size,
            max_waiting=max_waiting,
            in_order=in_order,
            forget=self._forget if forget else None,
        )
        return flow.results()

    def stream(self, task: Task | TaskId) -> AsyncGenerator[StreamedPart, None]:
        """Yield the parts of a task's output as its handler yields them, until the task is settled.

        ```python
        async for part in manager.stream(Task(type="write", data="a poem")):
            print(part.data, end="")
        ```

        The handler is a generator, async or plain; a task of another handler has no parts. If the
        task is tried again, its parts begin anew, with `begins_anew`. Only the latest 1,000 parts
        of a task, and 1 MiB, are kept: whoever reads late or slowly misses those before, and
        `missed` says how many. They do not outlive the manager, as the task does.

        Args:
            task: the task, which is added as by `submit`, or the id of one that was added before.

        Raises:
            TaskFailed: the task has failed or was cancelled; raised after its parts.
            UnknownTask: the manager has no such task.
            RunEnded: the run ends before the task is settled.
            MusterError: what the manager says against the task; see `submit`.
        """
        return stream_parts(self._awaited, self._parts, task)

    @abstractmethod
    def _forget(self, task_ids: Sequence[TaskId]) -> None:
        """Let the manager forget settled tasks, as `submit_many(forget=True)` asks."""
