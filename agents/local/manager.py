"""`LocalTaskManager`: runs async functions of this process as tasks, on a board of its own.

It is its own only worker, with one slot for each task that may run at once. The worker joins when
`run_tasks` begins, and leaves when it ends.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError
from typing_extensions import Self

from ...messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    Task,
    TaskId,
    TaskProgress,
    TaskResult,
    TaskStatus,
    UnknownTask,
    WorkerProfile,
)
from ...messages.wording import summarize
from ..execution.attempt_outcome import as_ordinary, is_from_signal
from ..execution.contained_tasks import contain_attempts, is_in_attempt
from ..execution.current_submitter import enter_submitter, exit_submitter
from ..execution.handler_requests import fields_of, request_in
from ..kernel.board.board import Board
from ..kernel.model.config import Rules
from ..kernel.model.events import (
    AssigningBegun,
    CancelRequested,
    Event,
    PriorityChanged,
    ProgressReported,
    ResultReceived,
    TasksAdded,
    TasksForgotten,
    WorkerJoined,
    WorkerLeft,
)
from ..kernel.model.instructions import Instruction, SendAssignment, SendCancel
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..runtime.clock import Clock
from ..runtime.error_text import describe_fault
from ..runtime.error_traceback import format_traceback
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from .callbacks import EventCallback, EventCallbacks
from .checks import check_count, check_progress, check_state
from .function_calls import FunctionCalls
from .run import LocalRun
from .task import LocalTask, TaskFunction, call_task_function, check_task_function

STOPPING_S = 5.0
"""How long a run that ends waits for its tasks, and then for its callbacks, in seconds."""

_WORKER = "local"
# A task without a type would be simulated work, with a time limit.
_TASK_TYPE = "coroutine"

_EVENT_TYPES: Mapping[OccurrenceKind, str] = {
    OccurrenceKind.TASK_ASSIGNED: "started",
    OccurrenceKind.TASK_COMPLETED: "completed",
    OccurrenceKind.TASK_FAILED: "failed",
    OccurrenceKind.TASK_CANCELLED: "cancelled",
}


class LocalTaskManager(FunctionCalls):
    """Runs async functions as tasks in this process, concurrently and by priority.

    All methods may be called from any thread, before, during and after a run. The tasks run in the
    loop of `run_tasks`.

    Args:
        max_concurrent_tasks: how many tasks run at once, 1 or more.
        max_finished_tasks: how many completed, failed and cancelled tasks are kept, 0 or more; the
            oldest ones are forgotten.

    Raises:
        InvalidInput: an argument is out of range.
    """

    def __init__(self, max_concurrent_tasks: int = 5, *, max_finished_tasks: int = 100_000) -> None:
        check_count("max_concurrent_tasks", max_concurrent_tasks, at_least=1)
        check_count("max_finished_tasks", max_finished_tasks, at_least=0)
        self._max_concurrent_tasks = max_concurrent_tasks
        self._max_finished_tasks = max_finished_tasks
        self._callbacks = EventCallbacks()
        # Any thread may use the following attributes, but only under the lock.
        self._lock = threading.Lock()
        self._board = Board(Rules(unmatched_after_s=None, ends_when_done=False))
        self._tasks: dict[TaskId, LocalTask] = {}
        self._finished: deque[TaskId] = deque()
        self._forgotten = dict.fromkeys(TaskStatus, 0)
        # Bounded by the tasks: at most four actions for each.
        self._actions: deque[Callable[[], None]] = deque()
        self._run: LocalRun | None = None
        self._clock = Clock.current()
        self._runs = 0
        self._stops = 0
        self._background: asyncio.Future[None] | None = None
        # Used only in the loop; bounded by the slots.
        self._running: dict[TaskId, asyncio.Task[object]] = {}

    # ------------------------------------------------------------------ tasks

    def create_task(self, name: str, coroutine: TaskFunction, priority: int = 0) -> str:
        """Create a task, which runs as soon as a slot is free.

        Args:
            name: its name, for people; not blank, 10,000 characters at most.
            coroutine: the async function; it is called with the `LocalTask`.
            priority: its priority, usually 0 to 100; the highest goes first. Tasks of equal
                priority run in the order of their creation.

        Returns:
            The new task's id.

        Raises:
            InvalidInput: `coroutine` is not an async function, or can't be called with only a task.
            InvalidTask: the name is blank or too long, or the priority is not a 32-bit integer.
        """
        check_task_function(coroutine)
        task_id = str(uuid.uuid4())
        try:
            task = Task(id=task_id, description=name, type=_TASK_TYPE, priority=priority)
        except ValidationError as fault:
            reason = summarize(fault).replace("description: ", "name: ")
            raise InvalidTask(f"the task is invalid: {reason}") from None
        with self._lock:
            instructions = self._board.handle(TasksAdded((task,)), self._now())
            record = self._board.tasks[task_id]
            self._tasks[task_id] = LocalTask(coroutine, record, self.update_progress)
            self._queue_actions(instructions)
        return task_id

    def get_task(self, task_id: str) -> LocalTask | None:
        """The task with this id; None if there is none or it was forgotten."""
        return self._tasks.get(task_id)

    def list_tasks(self, state: TaskStatus | None = None) -> list[LocalTask]:
        """All tasks, or the tasks in one state, in the order of their creation.

        Args:
            state: the state, such as `TaskState.RUNNING`; None for all.

        Raises:
            UnknownName: `state` is not a state.
        """
        check_state(state)
        with self._lock:
            return [task for task in self._tasks.values() if state is None or task.state is state]

    def cancel_task(self, task_id: str) -> bool:
        """Cancel a pending or running task; `CancelledError` is raised in a running one.

        Returns:
            Whether it was cancelled; False if it is unknown or already settled.
        """
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.state.is_final:
                return False
            was_pending = task.state is TaskStatus.PENDING
            self._handle(CancelRequested(task_id))
            if was_pending:
                self._note_finished(task_id)
            return True

    def set_priority(self, task_id: str, priority: int) -> bool:
        """Change the priority of a pending task.

        Returns:
            Whether it was changed; False if the task is unknown or no longer pending.

        Raises:
            InvalidTask: the priority is not a 32-bit integer.
        """
        with self._lock:
            try:
                self._handle(PriorityChanged(task_id, priority))
            except (UnknownTask, IllegalTransition):
                return False
            return True

    def update_progress(self, task_id: str, progress: float) -> None:
        """Set the progress of a running task; it does nothing for other tasks.

        Args:
            task_id: the id of the task.
            progress: the progress, 0.0 to 100.0 percent.

        Raises:
            InvalidInput: the progress is not a number from 0 to 100.
            UnknownTask: no task has this id.
        """
        check_progress(progress)
        message = TaskProgress(task_id=task_id, worker=_WORKER, percent=progress)
        with self._lock:
            if task_id not in self._tasks:
                raise UnknownTask(f"no task has the id {task_id!r}, or it was forgotten")
            if self._run is not None:
                self._handle(ProgressReported(self._run.worker_id, message))

    def add_event_callback(self, callback: EventCallback) -> None:
        """Call a function with each task that starts, completes, fails or is cancelled.

        Args:
            callback: takes the task and "started", "completed", "failed" or "cancelled", one event
                at a time. An async function runs in the loop of `run_tasks`, a plain one in its own
                thread. If it raises or takes longer than 10 s, that is logged, and disturbs neither
                tasks nor other callbacks.

        Raises:
            InvalidInput: it is not callable.
        """
        self._callbacks.add(callback)

    def get_stats(self) -> dict[str, int]:
        """Count the tasks in total and by state, including forgotten ones."""
        with self._lock:
            counts = {
                status: count + self._forgotten[status]
                for status, count in self._board.counts.items()
            }
        return {
            "total": sum(counts.values()),
            "pending": counts[TaskStatus.PENDING],
            "running": counts[TaskStatus.RUNNING],
            "completed": counts[TaskStatus.COMPLETED],
            "failed": counts[TaskStatus.FAILED],
            "cancelled": counts[TaskStatus.CANCELLED],
        }

    # ------------------------------------------------------------------ running

    def run_tasks(self) -> Coroutine[object, object, None]:
        """Run tasks until `stop` is called; await it, or make it a task of the loop.

        A `stop` after this call ends the run, even before the loop has started it. When the run
        ends, running tasks are cancelled. Pending tasks stay for the next `run_tasks`.

        Raises:
            InvalidInput: it is already running.
        """
        return self._run_until_stopped(self._stops)

    def stop(self) -> None:
        """Cancel all running tasks and end `run_tasks`; pending tasks stay."""
        with self._lock:
            self._stops += 1
            self._leave("the manager was stopped")

    async def __aenter__(self) -> Self:
        """Run tasks in the background until the block ends; see `run_tasks`."""
        self._background = asyncio.ensure_future(self.run_tasks())
        enter_submitter(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and wait for the end; see `stop`."""
        exit_submitter(self)
        self.stop()
        background, self._background = self._background, None
        if background is not None:
            await background

    async def _run_until_stopped(self, stops_before: int) -> None:
        with self._lock:
            if self._run is not None:
                raise InvalidInput(
                    "run_tasks is already running; a manager runs in one loop at a time"
                )
            if self._stops != stops_before:
                return
            self._runs += 1
            run = self._run = LocalRun(f"{_WORKER}/{self._runs}")
            if run.clock != self._clock and self._board.can_move_to_another_clock:
                self._board.move_to_another_clock(run.clock.now())
            # As many slots as one likes, which a worker of the network could not have.
            slots = self._max_concurrent_tasks
            profile = WorkerProfile.model_construct(name=_WORKER, slots=slots)
            self._handle(WorkerJoined(run.worker_id, profile, session=run.worker_id))
            self._handle(AssigningBegun())
        watch = LoopWatch.begin(self._name_of)
        try:
            await run.ended.wait()
        finally:
            watch.end(self._name_of)
            with self._lock:
                self._leave("run_tasks was cancelled")
            try:
                self._run_actions(run)
                await self._wait_for_end()
            finally:
                with self._lock:
                    self._run = None

    def _name_of(self, running: asyncio.Task[object]) -> str | None:
        is_ours = any(each is running for each in tuple(self._running.values()))
        return f"the local task {running.get_name()!r}" if is_ours else None

    def _leave(self, reason: str) -> None:
        run = self._run
        if run is None or run.has_left:
            return
        run.has_left = True
        for task_id, _ in tuple(self._board.workers[_WORKER].running):
            self._handle(CancelRequested(task_id, reason))
        self._handle(WorkerLeft(run.worker_id))
        run.call_soon(run.ended.set)

    async def _wait_for_end(self) -> None:
        try:
            if self._running:
                await asyncio.wait(self._running.values(), timeout=STOPPING_S)
            for task_id in self._running:
                log.warning(
                    "a task ignores its cancellation",
                    task=self._tasks[task_id].name,
                    waited_s=STOPPING_S,
                )
        finally:
            await self._callbacks.settle(STOPPING_S)

    async def _attempt(self, task: LocalTask) -> object:
        is_in_attempt.set(True)
        try:
            return await call_task_function(task)
        except SystemExit as fault:
            # It would end the loop and all other tasks.
            raise RuntimeError(f"the task called sys.exit({fault.code!r})") from fault
        except KeyboardInterrupt as fault:
            if is_from_signal(fault):
                raise
            raise as_ordinary(fault) from fault

    def _start(self, task: LocalTask) -> None:
        contain_attempts(asyncio.get_running_loop())
        running = asyncio.get_running_loop().create_task(self._attempt(task), name=task.name)
        self._running[task.id] = running
        running.add_done_callback(partial(self._end, task))

    def _interrupt(self, task_id: TaskId) -> None:
        running = self._running.get(task_id)
        if running is not None:
            running.cancel()

    def _end(self, task: LocalTask, ended: asyncio.Task[object]) -> None:
        """Report to the board how a task's coroutine ended; called in all cases."""
        del self._running[task.id]
        with self._lock:
            run, worker = self._run, self._board.workers[_WORKER]
            if ended.cancelled() and task.state is TaskStatus.RUNNING:
                self._handle(CancelRequested(task.id, "its coroutine was cancelled by other code"))
            lease, started_at = (task.id, 1), self._board.tasks[task.id].attempts[0].started_at
            if run is not None and (lease in worker.running or lease in worker.stopping):
                took_s = max(self._now() - started_at, 0.0)
                ending = _describe_end(ended)
                outcome = TaskResult(task.id, _WORKER, execution_time=took_s, **ending)
                self._handle(ResultReceived(run.worker_id, outcome))
            self._note_finished(task.id)

    # ------------------------------------------------------------------ the board, under the lock

    def _now(self) -> float:
        clock = Clock.current() if self._run is None else self._run.clock
        return clock.now()

    def _handle(self, event: Event) -> None:
        """Pass an event to the board, and queue the actions that it instructs."""
        self._queue_actions(self._board.handle(event, self._now()))

    def _queue_actions(self, instructions: Iterable[Instruction]) -> None:
        for each in instructions:
            match each:
                case SendAssignment(_, task):
                    self._actions.append(partial(self._start, self._tasks[task.id]))
                case SendCancel(_, task_id, _, _):
                    self._actions.append(partial(self._interrupt, task_id))
                case Occurrence(what=what, task_id=task_id) if what in _EVENT_TYPES:
                    assert task_id is not None
                    task, event_type = self._tasks[task_id], _EVENT_TYPES[what]
                    self._actions.append(partial(self._callbacks.publish, task, event_type))
                case _:
                    pass
        run = self._run
        if self._actions and run is not None and not run.is_woken:
            run.is_woken = True
            run.call_soon(partial(self._run_actions, run))

    def _run_actions(self, run: LocalRun) -> None:
        with self._lock:
            run.is_woken = False
            actions, self._actions = self._actions, deque()
        for action in actions:
            action()

    def _note_finished(self, task_id: TaskId) -> None:
        self._finished.append(task_id)
        while len(self._finished) > self._max_finished_tasks:
            oldest = self._finished.popleft()
            self._forgotten[self._board.tasks[oldest].status] += 1
            self._board.handle(TasksForgotten((oldest,)), self._now())
            del self._tasks[oldest]


def _describe_end(ended: asyncio.Task[object]) -> dict[str, Any]:
    """The fields of a task's result that tell how its coroutine ended."""
    fault = None if ended.cancelled() else ended.exception()
    if fault is None:
        output = None if ended.cancelled() else ended.result()
        return {"success": not ended.cancelled(), "output": output}
    request = request_in(fault)
    if request is not None:
        return fields_of(request)
    error, traceback = describe_fault(fault), format_traceback(fault)
    return {"success": False, "error_message": error, "error_traceback": traceback}
