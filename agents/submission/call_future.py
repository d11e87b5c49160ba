"""`CallFuture`: the future of a call that is a task, which cancels the task if it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from typing_extensions import override

from ...messages import TaskId

_Value = TypeVar("_Value")


class CallFuture(Future[_Value]):
    """What a function returns that a worker calls: `future.result()`, or `await future`.

    To cancel it cancels the call; a process that runs it is killed.

    Args:
        task_id: the id of its task.
        cancel_task: cancels the task.
    """

    def __init__(self, task_id: TaskId, cancel_task: Callable[[TaskId], None]) -> None:
        super().__init__()
        self.task_id = task_id
        self._cancel_task = cancel_task

    @override
    def cancel(self) -> bool:
        """Cancel the call, unless it is done; returns whether it is cancelled now."""
        was_done = self.done()
        is_cancelled = super().cancel()
        if is_cancelled and not was_done:
            self._cancel_task(self.task_id)
        return is_cancelled

    def __await__(self) -> Generator[Any, None, _Value]:
        return asyncio.wrap_future(self).__await__()
