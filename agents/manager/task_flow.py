"""Tasks without end through a manager: added batch by batch, as many at a time as is wanted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from itertools import islice
from typing import TypeAlias

from ...messages import (
    IllegalTransition,
    InvalidInput,
    RunEnded,
    Task,
    TaskId,
    TaskResult,
    UnknownTask,
)
from .awaited_results import AwaitedResults, call_in

TaskSource: TypeAlias = Iterable[Task] | AsyncIterable[Task]
"""Where tasks come from; it is asked for more only when there is room for them."""


class TaskFlow:
    """Draws tasks from a source, adds them to a manager, and gives their results.

    What is drawn, unsettled, or settled and not taken yet, is never more than `max_waiting`.

    Args:
        awaited: of the manager that does the tasks.
        tasks: where they come from.
        batch_size: how many are added at once, 1 or more; at most half of `max_waiting`, so that
            the workers have something to do while the next batch is made.
        max_waiting: how many there may be at a time, 1 or more.
        in_order: whether results come in the order of the tasks, and not as they are recorded.
        forget: makes the manager forget tasks whose results were taken; None keeps them.

    Raises:
        InvalidInput: an argument is out of range, or what is given holds no tasks.
    """

    def __init__(
        self,
        awaited: AwaitedResults,
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
            raise InvalidInput("one task was given where many are taken; submit it by `submit`")
        self._awaited = awaited
        self._tasks = tasks
        self._max_waiting = max_waiting
        self._batch_size = min(batch_size, max(max_waiting // 2, 1))
        self._in_order = in_order
        self._forget = forget
        self._loop: asyncio.AbstractEventLoop | None = None
        # What follows is bounded by `max_waiting` together.
        self._drawn: list[Task] = []
        self._unsettled = 0
        self._ready: deque[TaskResult] = deque()
        self._order: deque[TaskId] = deque()
        self._early: dict[TaskId, TaskResult | None] = {}
        self._to_forget: list[TaskId] = []
        self._left_over: deque[TaskId] = deque(maxlen=max_waiting)
        self._taken_since = 0
        # Drawn tasks aside, those that are not taken.
        self._in_hand = 0
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_drained = False
        self._is_over = False
        self._fault: Exception | None = None

    async def results(self) -> AsyncGenerator[TaskResult, None]:
        """The results; what went wrong with the source comes after those of what it gave."""
        self._loop = asyncio.get_running_loop()
        self._awaited.listen(self._hear_of_the_end)
        feeding = self._loop.create_task(self._feed())
        try:
            while self._ready or self._unsettled or not self._is_drained:
                while self._ready:
                    result = self._take()
                    yield result
                    self._note_taken(result.task_id)
                if self._unsettled or not self._is_drained:
                    self._arrived.clear()
                    await self._arrived.wait()
            if self._fault is not None:
                raise self._fault
        finally:
            # Also when whoever takes the results goes on no more. What was added goes on.
            self._is_over = True
            feeding.cancel()
            self._awaited.unlisten(self._hear_of_the_end)
            self._forget_taken()
            self._forget_left_over()

    def _take(self) -> TaskResult:
        result = self._ready.popleft()
        self._in_hand -= 1
        if self._in_hand + self._batch_size <= self._max_waiting:
            self._has_room.set()
        return result

    # ------------------------------------------------------------------ coming in

    async def _feed(self) -> None:
        try:
            if isinstance(self._tasks, AsyncIterable):
                await self._draw_as_they_come(self._tasks)
            else:
                await self._draw_by_the_batch(self._tasks)
        except Exception as fault:  # noqa: BLE001 - a source of the user's may raise anything
            self._end_drawing(fault)
        else:
            self._end_drawing()

    def _end_drawing(self, fault: Exception | None = None) -> None:
        self._fault = self._fault or fault
        self._is_drained = True
        self._arrived.set()

    async def _draw_by_the_batch(self, tasks: Iterable[Task]) -> None:
        left = iter(tasks)
        while not self._is_drained:
            await self._wait_for_room()
            try:
                self._drawn.extend(islice(left, self._batch_size))
            finally:
                # Those that came before the source broke are added all the same.
                count = len(self._drawn)
                self._add_drawn()
            if count < self._batch_size:
                return
            # The manager may live in this very loop.
            await asyncio.sleep(0)

    async def _draw_as_they_come(self, tasks: AsyncIterable[Task]) -> None:
        assert self._loop is not None
        try:
            async for task in tasks:
                if self._is_drained:
                    return
                if not self._drawn:
                    # A source that lets us wait gets what it gave so far added meanwhile.
                    self._loop.call_soon(self._add_what_came)
                self._drawn.append(task)
                if len(self._drawn) >= self._batch_size:
                    self._add_drawn()
                if self._in_hand + len(self._drawn) >= self._max_waiting:
                    self._add_drawn()
                    await self._wait_for_room()
        finally:
            # Those that came before the source broke are added all the same.
            if not self._is_over:
                self._add_drawn()

    def _add_what_came(self) -> None:
        if not self._is_over:
            try:
                self._add_drawn()
            except Exception as fault:  # noqa: BLE001 - told to whoever takes the results
                self._end_drawing(fault)

    def _add_drawn(self) -> None:
        batch, self._drawn = self._drawn, []
        if not batch:
            return
        self._in_hand += len(batch)
        self._unsettled += len(batch)
        if self._in_order:
            self._order.extend(task.id for task in batch)
        try:
            self._awaited.add(batch, self._settle)
        except BaseException:
            self._in_hand -= len(batch)
            self._unsettled -= len(batch)
            for _ in batch if self._in_order else ():
                self._order.pop()
            raise

    async def _wait_for_room(self) -> None:
        # For a whole batch, or batches would shrink to single tasks.
        while self._in_hand + self._batch_size > self._max_waiting:
            self._has_room.clear()
            await self._has_room.wait()

    # ------------------------------------------------------------------ going out

    def _settle(self, task_id: TaskId, outcome: TaskResult | RunEnded) -> None:
        """Take a task's result, in the manager's loop, over to the loop that this flow lives in."""
        if not self._is_over and self._loop is not None:
            call_in(self._loop, self._take_in, task_id, outcome)

    def _hear_of_the_end(self, fault: RunEnded) -> None:
        if not self._is_over and self._loop is not None:
            call_in(self._loop, self._end_drawing, fault)

    def _take_in(self, task_id: TaskId, outcome: TaskResult | RunEnded) -> None:
        self._unsettled -= 1
        result: TaskResult | None = None
        if isinstance(outcome, RunEnded):
            self._in_hand -= 1
            self._end_drawing(outcome)
        else:
            result = outcome
        if self._in_order:
            self._early[task_id] = result
            while self._order and self._order[0] in self._early:
                result = self._early.pop(self._order.popleft())
                if result is not None:
                    self._ready.append(result)
        elif result is not None:
            self._ready.append(result)
        if self._ready or not self._unsettled:
            self._arrived.set()

    # ------------------------------------------------------------------ forgetting

    def _note_taken(self, task_id: TaskId) -> None:
        if self._forget is not None:
            self._to_forget.append(task_id)
            if len(self._to_forget) >= self._batch_size:
                self._forget_taken()

    def _forget_taken(self) -> None:
        task_ids, self._to_forget = self._to_forget, []
        if self._forget is None or not task_ids:
            return
        try:
            self._forget(task_ids)
        except (IllegalTransition, UnknownTask):
            self._left_over.extend(task_ids)
        self._taken_since += len(task_ids)
        # Not each time, or it would be long work for many.
        if self._taken_since >= len(self._left_over):
            self._forget_left_over()

    def _forget_left_over(self) -> None:
        """Forget what was named by tasks that were kept, and may be named no more."""
        assert self._forget is not None or not self._left_over
        self._taken_since = 0
        kept: deque[TaskId] = deque(maxlen=self._max_waiting)
        # The latest first: what is named came before.
        while self._forget is not None and self._left_over:
            task_id = self._left_over.pop()
            try:
                self._forget((task_id,))
            except IllegalTransition:
                kept.appendleft(task_id)
            except UnknownTask:
                # Somebody else has made the manager forget it.
                continue
        self._left_over = kept
