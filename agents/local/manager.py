"""`LocalTaskManager`: coroutines of this process as tasks, on the same board as everything else.

The manager is its own one worker, whose slots are the tasks that may run at once. It joins when
`run_tasks` begins and leaves when that ends.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial

from pydantic import ValidationError

from ...messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    Task,
    TaskId,
    TaskProgress,
    TaskResult,
    TaskStatus,
    UnknownName,
    UnknownTask,
    WorkerProfile,
)
from ...messages.wording import show, summarize
from ..execution.attempt_outcome import as_ordinary, is_from_signal
from ..execution.contained_tasks import contain_attempts, is_in_attempt
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
from ..runtime.log import log
from ..runtime.loop_watch import LoopWatch
from .callbacks import EventCallback, EventCallbacks
from .run import LocalRun
from .task import LocalTask, TaskFunction, check_task_function

STOPPING_S = 5.0
"""How long a run that ends waits for its tasks, and then for its callbacks, in seconds."""

_WORKER = "local"
# A type, since a task without one is simulated work, and has a time limit.
_TASK_TYPE = "coroutine"

_EVENT_TYPES: Mapping[OccurrenceKind, str] = {
    OccurrenceKind.TASK_ASSIGNED: "started",
    OccurrenceKind.TASK_COMPLETED: "completed",
    OccurrenceKind.TASK_FAILED: "failed",
    OccurrenceKind.TASK_CANCELLED: "cancelled",
}


class LocalTaskManager:
    """Runs async functions as tasks in this process, so many at once, the most urgent first.

    All methods may be called from any thread, before, while and after it runs. The tasks
    themselves run in the loop of `run_tasks`.

    Args:
        max_concurrent_tasks: how many tasks run at once, 1 or more.
        max_finished_tasks: how many tasks that have completed, failed or been cancelled can still
            be asked for, 0 or more; of more than that the oldest are forgotten.

    Raises:
        InvalidInput: one of them is out of range.
    """

    def __init__(self, max_concurrent_tasks: int = 5, *, max_finished_tasks: int = 100_000) -> None:
        _check_count("max_concurrent_tasks", max_concurrent_tasks, at_least=1)
        _check_count("max_finished_tasks", max_finished_tasks, at_least=0)
        self._max_concurrent_tasks = max_concurrent_tasks
        self._max_finished_tasks = max_finished_tasks
        self._callbacks = EventCallbacks()
        # Everything below may be asked for by any thread, and is touched under the lock alone.
        self._lock = threading.Lock()
        self._board = Board(Rules(unmatched_after_s=None, ends_when_done=False))
        self._tasks: dict[TaskId, LocalTask] = {}
        self._finished: deque[TaskId] = deque()
        self._forgotten = dict.fromkeys(TaskStatus, 0)
        # Bounded by the tasks: four entries for each at most.
        self._to_do: deque[Callable[[], None]] = deque()
        self._run: LocalRun | None = None
        self._clock = Clock.current()
        self._runs = 0
        self._stops = 0
        # Touched in the loop alone; bounded by the slots.
        self._works: dict[TaskId, asyncio.Task[object]] = {}

    # ------------------------------------------------------------------ asked for

    def create_task(self, name: str, coroutine: TaskFunction, priority: int = 0) -> str:
        """Let an async function be run as soon as a place is free.

        Args:
            name: what the task is called, for people; not blank, 10,000 characters at most.
            coroutine: the async function; it is called with the `LocalTask`.
            priority: more urgent tasks have higher numbers; by custom 0 to 100. Equals run in the
                order of their creation.

        Returns:
            The new task's id.

        Raises:
            InvalidInput: `coroutine` is no async function, or can't be called with a task alone.
            InvalidTask: the name is blank or too long, or the priority is no 32-bit integer.
        """
        check_task_function(coroutine)
        task_id = str(uuid.uuid4())
        try:
            task = Task(id=task_id, description=name, type=_TASK_TYPE, priority=priority)
        except ValidationError as fault:
            told = summarize(fault).replace("description: ", "name: ")
            raise InvalidTask(f"no task can be made of this: {told}") from None
        with self._lock:
            said = self._board.handle(TasksAdded((task,)), self._now())
            record = self._board.tasks[task_id]
            self._tasks[task_id] = LocalTask(coroutine, record, self.update_progress)
            self._take_orders(said)
        return task_id

    def get_task(self, task_id: str) -> LocalTask | None:
        """The task of this id; None if there is none, or it is forgotten."""
        return self._tasks.get(task_id)

    def list_tasks(self, state: TaskStatus | None = None) -> list[LocalTask]:
        """All tasks, or those of one state, in the order of their creation.

        Args:
            state: such as `TaskState.RUNNING`; None for all.

        Raises:
            UnknownName: `state` is none.
        """
        _check_state(state)
        with self._lock:
            return [task for task in self._tasks.values() if state is None or task.state is state]

    def cancel_task(self, task_id: str) -> bool:
        """Cancel a task that waits or runs; in one that runs `CancelledError` is raised.

        Returns:
            Whether it was cancelled; False if it is unknown or settled already.
        """
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.state.is_final:
                return False
            was_pending = task.state is TaskStatus.PENDING
            self._tell(CancelRequested(task_id))
            if was_pending:
                self._note_finished(task_id)
            return True

    def set_priority(self, task_id: str, priority: int) -> bool:
        """Change the priority of a task that waits.

        Returns:
            Whether it was changed; False if the task is unknown or waits no more.

        Raises:
            InvalidTask: the priority is no 32-bit integer.
        """
        with self._lock:
            try:
                self._tell(PriorityChanged(task_id, priority))
            except (UnknownTask, IllegalTransition):
                return False
            return True

    def update_progress(self, task_id: str, progress: float) -> None:
        """Note how far a running task has come; of one that does not run nothing is noted.

        Args:
            task_id: which task.
            progress: 0.0 to 100.0.

        Raises:
            InvalidInput: it is no number from 0 to 100.
            UnknownTask: no task has this id.
        """
        _check_progress(progress)
        told = TaskProgress(task_id=task_id, worker=_WORKER, percent=progress)
        with self._lock:
            if task_id not in self._tasks:
                raise UnknownTask(f"no task has the id {task_id!r}, or it is forgotten")
            if self._run is not None:
                self._tell(ProgressReported(self._run.worker_id, told))

    def add_event_callback(self, callback: EventCallback) -> None:
        """Have a function called with each task that starts, completes, fails or is cancelled.

        Args:
            callback: takes the task and "started", "completed", "failed" or "cancelled", for one
                event after the other. An async one runs in the loop of `run_tasks`, a plain one in
                a thread of its own. One that raises, or takes longer than 10 s, is told of in the
                log, and disturbs neither tasks nor other callbacks.

        Raises:
            InvalidInput: it can't be called.
        """
        self._callbacks.add(callback)

    def get_stats(self) -> dict[str, int]:
        """How many tasks there are in all and of each state, with those that are forgotten."""
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
        """Run tasks until `stop` is called; to be awaited, or made a task of the loop.

        A `stop` counts from the moment of this call on, even before the loop has come to it. When
        it ends, running tasks are cancelled; waiting ones stay, and another `run_tasks` goes on.

        Raises:
            InvalidInput: it runs already.
        """
        return self._run_until_stopped(self._stops)

    def stop(self) -> None:
        """Cancel all running tasks and let `run_tasks` end; waiting tasks stay."""
        with self._lock:
            self._stops += 1
            self._leave("the manager was stopped")

    async def _run_until_stopped(self, stops_before: int) -> None:
        with self._lock:
            if self._run is not None:
                raise InvalidInput("run_tasks runs already; one manager runs in one loop at a time")
            if self._stops != stops_before:
                return
            self._runs += 1
            run = self._run = LocalRun(f"{_WORKER}/{self._runs}")
            if run.clock != self._clock and self._board.can_move_to_another_clock:
                self._board.move_to_another_clock(run.clock.now())
            # As many slots as one likes, which a worker of the network could not have.
            slots = self._max_concurrent_tasks
            profile = WorkerProfile.model_construct(name=_WORKER, slots=slots)
            self._tell(WorkerJoined(run.worker_id, profile, session=run.worker_id))
            self._tell(AssigningBegun())
        watch = LoopWatch.begin(self._name_of)
        try:
            await run.ended.wait()
        finally:
            watch.end(self._name_of)
            with self._lock:
                self._leave("run_tasks was cancelled")
            try:
                self._carry_out(run)
                await self._wind_down()
            finally:
                with self._lock:
                    self._run = None

    def _name_of(self, work: asyncio.Task[object]) -> str | None:
        is_ours = any(each is work for each in tuple(self._works.values()))
        return f"the local task {work.get_name()!r}" if is_ours else None

    def _leave(self, reason: str) -> None:
        run = self._run
        if run is None or run.has_left:
            return
        run.has_left = True
        for task_id, _ in tuple(self._board.workers[_WORKER].running):
            self._tell(CancelRequested(task_id, reason))
        self._tell(WorkerLeft(run.worker_id))
        run.call_soon(run.ended.set)

    async def _wind_down(self) -> None:
        try:
            if self._works:
                await asyncio.wait(self._works.values(), timeout=STOPPING_S)
            for task_id in self._works:
                log.warning(
                    "a task ignores that it was cancelled",
                    task=self._tasks[task_id].name,
                    waited_s=STOPPING_S,
                )
        finally:
            await self._callbacks.settle(STOPPING_S)

    async def _attempt(self, task: LocalTask) -> object:
        is_in_attempt.set(True)
        try:
            return await task.coroutine(task)
        except SystemExit as fault:
            # It would end the loop, and with it all other tasks.
            raise RuntimeError(f"the task called sys.exit({fault.code!r})") from fault
        except KeyboardInterrupt as fault:
            if is_from_signal(fault):
                raise
            raise as_ordinary(fault) from fault

    def _start(self, task: LocalTask) -> None:
        contain_attempts(asyncio.get_running_loop())
        work = asyncio.get_running_loop().create_task(self._attempt(task), name=task.name)
        self._works[task.id] = work
        work.add_done_callback(partial(self._end, task))

    def _interrupt(self, task_id: TaskId) -> None:
        work = self._works.get(task_id)
        if work is not None:
            work.cancel()

    def _end(self, task: LocalTask, work: asyncio.Task[object]) -> None:
        """Tell the board how a task's coroutine ended; whatever ends it, this is called."""
        del self._works[task.id]
        fault = None if work.cancelled() else work.exception()
        with self._lock:
            run, worker = self._run, self._board.workers[_WORKER]
            if work.cancelled() and task.state is TaskStatus.RUNNING:
                self._tell(CancelRequested(task.id, "its coroutine was cancelled from elsewhere"))
            lease, started_at = (task.id, 1), self._board.tasks[task.id].attempts[0].started_at
            if run is not None and (lease in worker.running or lease in worker.stopping):
                outcome = TaskResult(
                    task_id=task.id,
                    worker=_WORKER,
                    success=not work.cancelled() and fault is None,
                    execution_time=max(self._now() - started_at, 0.0),
                    error_message=None if fault is None else describe_fault(fault),
                    output=None if work.cancelled() or fault is not None else work.result(),
                )
                self._tell(ResultReceived(run.worker_id, outcome))
            self._note_finished(task.id)

    # ------------------------------------------------------------------ the board, under the lock

    def _now(self) -> float:
        clock = Clock.current() if self._run is None else self._run.clock
        return clock.now()

    def _tell(self, event: Event) -> None:
        """Tell the board what happened, and have done what it says."""
        self._take_orders(self._board.handle(event, self._now()))

    def _take_orders(self, said: Iterable[Instruction]) -> None:
        for each in said:
            match each:
                case SendAssignment(_, task):
                    self._to_do.append(partial(self._start, self._tasks[task.id]))
                case SendCancel(_, task_id, _, _):
                    self._to_do.append(partial(self._interrupt, task_id))
                case Occurrence(what=what, task_id=task_id) if what in _EVENT_TYPES:
                    assert task_id is not None
                    task, event_type = self._tasks[task_id], _EVENT_TYPES[what]
                    self._to_do.append(partial(self._callbacks.tell, task, event_type))
                case _:
                    pass
        run = self._run
        if self._to_do and run is not None and not run.is_woken:
            run.is_woken = True
            run.call_soon(partial(self._carry_out, run))

    def _carry_out(self, run: LocalRun) -> None:
        with self._lock:
            run.is_woken = False
            orders, self._to_do = self._to_do, deque()
        for order in orders:
            order()

    def _note_finished(self, task_id: TaskId) -> None:
        self._finished.append(task_id)
        while len(self._finished) > self._max_finished_tasks:
            oldest = self._finished.popleft()
            self._forgotten[self._board.tasks[oldest].status] += 1
            self._board.handle(TasksForgotten((oldest,)), self._now())
            del self._tasks[oldest]


def _check_count(name: str, count: object, *, at_least: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < at_least:
        raise InvalidInput(f"{name} is {show(count)}; it must be an integer of {at_least} or more")


def _check_state(state: object) -> None:
    # A state may be given as text from elsewhere, and no task would ever be in it.
    if state is not None and not isinstance(state, TaskStatus):
        raise UnknownName("task state", state, TaskStatus.__members__)


def _check_progress(progress: object) -> None:
    match progress:
        case bool():
            is_fine = False
        case int() | float():
            is_fine = 0 <= progress <= 100  # noqa: PLR2004 - percent
        case _:
            is_fine = False
    if not is_fine:
        raise InvalidInput(f"progress is {show(progress)}; it is a number from 0 to 100")
