"""Adds any number of tasks with backpressure, and yields their results."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from itertools import islice
from typing import TypeAlias

from ...messages import (
    IllegalTransition,
    InvalidInput,
    MusterError,
    Task,
    TaskId,
    TaskResult,
    UnknownTask,
)
from ...messages.task import check_is_task
from .result_source import Outcome, ResultSource, call_in

BATCH_SIZE = 250
MAX_WAITING = 5_000

TaskSource: TypeAlias = Iterable[Task] | AsyncIterable[Task]
"""Where tasks come from; more are taken only when there is room for them."""


class TaskFlow:
    """Takes tasks from a source, adds them to a manager, and yields their results.

    At most `max_waiting` tasks are taken and unsettled, or settled and not yielded.

    Args:
        awaited: adds the tasks to a manager and tells their results.
        tasks: the source.
        batch_size: how many tasks are added at once, 1 or more; at most half of `max_waiting`, so
            that the workers are busy while the next batch is made.
        max_waiting: how many tasks there may be at a time, 1 or more.
        in_order: whether results come in the order of the tasks instead of as they are recorded.
        forget: makes the manager forget tasks whose results were yielded; None keeps them.

    Raises:
        InvalidInput: an argument is out of range, or `tasks` is a single task.
    """

    def __init__(
        self,
        awaited: ResultSource,
        tasks: TaskSource,
        *,
        batch_size: int,
        max_waiting: int,
        in_order: bool,
        forget: Callable[[Sequence[TaskId]], None] | None,
    ) -> None:
        for name, number in (("batch_size", batch_size), ("max_waiting", max_waiting)):
            if number < 1:
                raise InvalidInput(f"{name} is {number}; it must be 1 or more")
        if isinstance(tasks, Task):
            raise InvalidInput("tasks is a single task; submit it with `submit`")
        self._awaited = awaited
        self._tasks = tasks
        self._max_waiting = max_waiting
        self._batch_size = min(batch_size, max(max_waiting // 2, 1))
        self._in_order = in_order
        self._forget = forget
        self._loop: asyncio.AbstractEventLoop | None = None
        # Together the following are bounded by `max_waiting`.
        self._drawn: list[Task] = []
        self._unsettled = 0
        self._ready: deque[TaskResult] = deque()
        self._order: deque[TaskId] = deque()
        # Several for a task that was given several times.
        self._early: dict[TaskId, list[TaskResult | None]] = {}
        self._to_forget: list[TaskId] = []
        self._not_forgotten: deque[TaskId] = deque(maxlen=max_waiting)
        self._yielded_since = 0
        # Tasks that were added and whose results were not yielded.
        self._in_flight = 0
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_drained = False
        self._is_over = False
        self._fault: Exception | None = None

    async def results(self) -> AsyncGenerator[TaskResult, None]:
        """Yield the results; an exception of the source is raised after them."""
        self._loop = asyncio.get_running_loop()
        self._awaited.listen(self._run_ended)
        feeding = self._loop.create_task(self._feed())
        try:
            while self._ready or self._unsettled or not self._is_drained:
                while self._ready:
                    result = self._take()
                    yield result
                    self._note_yielded(result.task_id)
                if self._unsettled or not self._is_drained:
                    self._arrived.clear()
                    await self._arrived.wait()
            if self._fault is not None:
                raise self._fault
        finally:
            # Also when the consumer stops early. Tasks that were added continue.
            self._is_over = True
            feeding.cancel()
            self._awaited.unlisten(self._run_ended)
            self._forget_yielded()
            self._forget_again()

    def _take(self) -> TaskResult:
        result = self._ready.popleft()
        self._in_flight -= 1
        if self._in_flight + self._batch_size <= self._max_waiting:
            self._has_room.set()
        return result

    # ------------------------------------------------------------------ adding tasks

    async def _feed(self) -> None:
        try:
            if isinstance(self._tasks, AsyncIterable):
                await self._draw_async(self._tasks)
            else:
                await self._draw_batches(self._tasks)
        except Exception as fault:  # noqa: BLE001 - the user's source may raise anything
            self._end_drawing(fault)
        else:
            self._end_drawing()

    def _end_drawing(self, fault: Exception | None = None) -> None:
        self._fault = self._fault or fault
        self._is_drained = True
        self._arrived.set()

    async def _draw_batches(self, tasks: Iterable[Task]) -> None:
        left = iter(tasks)
        while not self._is_drained:
            await self._wait_for_room()
            try:
                self._drawn.extend(islice(left, self._batch_size))
            finally:
                # Tasks that came before the source raised are added all the same.
                count = len(self._drawn)
                self._add_drawn()
            if count < self._batch_size:
                return
            # The manager may run in the same event loop.
            await asyncio.sleep(0)

    async def _draw_async(self, tasks: AsyncIterable[Task]) -> None:
        assert self._loop is not None
        try:
            async for task in tasks:
                if self._is_drained:
                    return
                if not self._drawn:
                    # While a slow source makes us wait, the tasks that it gave so far are added.
                    self._loop.call_soon(self._add_so_far)
                self._drawn.append(task)
                if len(self._drawn) >= self._batch_size:
                    self._add_drawn()
                if self._in_flight + len(self._drawn) >= self._max_waiting:
                    self._add_drawn()
                    await self._wait_for_room()
        finally:
            # Tasks that came before the source raised are added all the same.
            if not self._is_over:
                self._add_drawn()

    def _add_so_far(self) -> None:
        if not self._is_over:
            try:
                self._add_drawn()
            except Exception as fault:  # noqa: BLE001 - raised to whoever takes the results
                self._end_drawing(fault)

    def _add_drawn(self) -> None:
        batch, self._drawn = self._drawn, []
        if not batch:
            return
        for task in batch:
            check_is_task(task)
        self._in_flight += len(batch)
        self._unsettled += len(batch)
        if self._in_order:
            self._order.extend(task.id for task in batch)
        try:
            self._awaited.add(batch, self._settle)
        except BaseException:
            self._in_flight -= len(batch)
            self._unsettled -= len(batch)
            for _ in batch if self._in_order else ():
                self._order.pop()
            raise

    async def _wait_for_room(self) -> None:
        # For a whole batch, or batches would shrink to single tasks.
        while self._in_flight + self._batch_size > self._max_waiting:
            self._has_room.clear()
            await self._has_room.wait()

    # ------------------------------------------------------------------ taking results

    def _settle(self, task_id: TaskId, outcome: Outcome) -> None:
        """Pass a result from the manager's event loop to this flow's."""
        if not self._is_over and self._loop is not None:
            call_in(self._loop, self._take_in, task_id, outcome)

    def _run_ended(self, fault: MusterError) -> None:
        if not self._is_over and self._loop is not None:
            call_in(self._loop, self._end_drawing, fault)

    def _take_in(self, task_id: TaskId, outcome: Outcome) -> None:
        self._unsettled -= 1
        result: TaskResult | None = None
        if isinstance(outcome, MusterError):
            self._in_flight -= 1
            self._end_drawing(outcome)
        else:
            result = outcome
        if self._in_order:
            self._early.setdefault(task_id, []).append(result)
            while self._order and self._order[0] in self._early:
                self._take_early(self._order.popleft())
        elif result is not None:
            self._ready.append(result)
        if self._ready or not self._unsettled:
            self._arrived.set()

    def _take_early(self, task_id: TaskId) -> None:
        early = self._early[task_id]
        result = early.pop()
        if not early:
            del self._early[task_id]
        if result is not None:
            self._ready.append(result)

    # ------------------------------------------------------------------ forgetting

    def _note_yielded(self, task_id: TaskId) -> None:
        if self._forget is not None:
            self._to_forget.append(task_id)
            if len(self._to_forget) >= self._batch_size:
                self._forget_yielded()

    def _forget_yielded(self) -> None:
        task_ids, self._to_forget = self._to_forget, []
        if self._forget is None or not task_ids:
            return
        try:
            self._forget(task_ids)
        except (IllegalTransition, UnknownTask):
            self._not_forgotten.extend(task_ids)
        self._yielded_since += len(task_ids)
        # Not each time, since it takes long for many.
        if self._yielded_since >= len(self._not_forgotten):
            self._forget_again()

    def _forget_again(self) -> None:
        """Forget the tasks that could not be forgotten because others depended on them."""
        assert self._forget is not None or not self._not_forgotten
        self._yielded_since = 0
        kept: deque[TaskId] = deque(maxlen=self._max_waiting)
        # The latest first: a task depends only on earlier ones.
        while self._forget is not None and self._not_forgotten:
            task_id = self._not_forgotten.pop()
            try:
                self._forget((task_id,))
            except IllegalTransition:
                kept.appendleft(task_id)
            except UnknownTask:
                # It has been forgotten by other means.
                continue
        self._not_forgotten = kept
