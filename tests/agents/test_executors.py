"""Where plain handlers run: threads of the worker's own, or an executor of the user's."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryNetwork,
    TaskContext,
    TaskManager,
    TaskStatus,
    WorkerAgent,
    rehearse,
)
from muster.messages import InvalidInput, Task, TaskAssignment


def process_id(task: Task) -> int:
    return os.getpid()


def with_context(task: Task, context: TaskContext) -> None: ...


def run(task_type: str, handlers: Handlers, count: int = 3, slots: int = 2, **options: Any) -> Any:
    async def story() -> Any:
        tasks = [Task(id=n, description="d", type=task_type) for n in range(1, count + 1)]
        worker = WorkerAgent("Ada", 5, slots=slots, handlers=handlers, **options)
        return await rehearse(TaskManager(tasks, 1, quiet=True), [worker])

    return asyncio.run(story())


@pytest.mark.processes
def test_a_process_pool_runs_the_tasks_in_other_processes() -> None:
    handlers = Handlers()
    handlers.task("pid")(process_id)
    with ProcessPoolExecutor(2) as pool:
        report = run("pid", handlers, executor=pool)
    outputs = [task.output for task in report.tasks]
    assert all(isinstance(output, int) and output != os.getpid() for output in outputs)


def test_a_handler_that_takes_a_context_is_refused_where_it_could_get_none() -> None:
    handlers = Handlers()
    handlers.task("context")(with_context)
    with ProcessPoolExecutor(1) as pool:
        with pytest.raises(InvalidInput, match="'context' takes a context"):
            WorkerAgent("Ada", 5, handlers=handlers, executor=pool)
        worker = WorkerAgent("Ada", 5, executor=pool)
        with pytest.raises(InvalidInput, match="'late' takes a context"):
            worker.task("late")(with_context)


def test_it_is_refused_at_the_start_if_only_then_is_known_where_it_would_run() -> None:
    async def story() -> None:
        worker = WorkerAgent("Ada", 5, executor=lambda: ProcessPoolExecutor(1))
        worker.task("context")(with_context)
        network = MemoryNetwork()
        with pytest.raises(InvalidInput, match="'context' takes a context"):
            await worker.serve_over(network.join("Ada", worker.receive))

    asyncio.run(story())


def test_coroutines_get_their_context_wherever_the_others_run() -> None:
    handlers = Handlers()

    @handlers.task("attempt")
    async def attempt(task: Task, context: TaskContext) -> int:
        return context.attempt

    with ProcessPoolExecutor(1) as pool:
        report = run("attempt", handlers, executor=pool)
    assert [task.output for task in report.tasks] == [1, 1, 1]


def test_a_thread_pool_of_the_users_own_is_used() -> None:
    handlers = Handlers()

    @handlers.task("name")
    def name(task: Task, context: TaskContext) -> str:
        return threading.current_thread().name

    with ThreadPoolExecutor(1, "mine") as pool:
        report = run("name", handlers, executor=pool)
    assert {task.output for task in report.tasks} == {"mine_0"}


def test_plain_functions_run_in_as_many_threads_as_there_are_slots() -> None:
    handlers = Handlers()
    together = threading.Barrier(2, timeout=60)

    @handlers.task("meet")
    def meet(task: Task) -> str:
        if task.id in (1, 2):
            together.wait()
        return "met"

    report = run("meet", handlers)
    assert [task.output for task in report.tasks] == ["met", "met", "met"]


# ------------------------------------------------------------------------------- what goes wrong


class Awkward(Exception):
    """Can be pickled, and not be made again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def raise_or_return(task: Task) -> Any:
    match task.id:
        case 1:
            raise Awkward("this", "that")
        case 2:
            return {"lock": threading.Lock()}
        case 3:
            raise KeyError("leaf")
        case 4:
            sys.exit(3)
        case 5:
            raise BrokenProcessPool("of the handler's own")
        case _:
            return [1, {"two": b"2"}]


@pytest.mark.processes
def test_what_cannot_come_home_fails_its_task_and_leaves_the_pool_whole() -> None:
    handlers = Handlers()
    handlers.task("any")(raise_or_return)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        report = run("any", handlers, count=6, executor=pool)
    told = [task.error_message for task in report.tasks]
    assert told[0] == "Awkward: this and that"
    assert "EncodeError: output.lock: " in told[1]
    assert told[2:5] == [
        "KeyError: 'leaf'",
        "SystemExit: 3",
        "BrokenProcessPool: of the handler's own",
    ]
    assert report.tasks[5].output == [1, {"two": b"2"}]


def die_first(task: Task) -> int:
    if task.id == 1:
        os._exit(9)
    return os.getpid()


@pytest.mark.slow
@pytest.mark.processes
def test_a_pool_that_broke_fails_its_task_and_is_made_anew() -> None:
    handlers = Handlers()
    handlers.task("die")(die_first)
    made: list[ProcessPoolExecutor] = []

    def make() -> ProcessPoolExecutor:
        made.append(ProcessPoolExecutor(1, get_context("spawn")))
        return made[-1]

    report = run("die", handlers, executor=make, slots=1)
    first, *others = report.tasks
    assert first.error_message.startswith("BrokenProcessPool: ")
    assert [task.status for task in others] == [TaskStatus.COMPLETED] * 2
    assert len(made) == 2


@pytest.mark.slow
@pytest.mark.processes
def test_a_worker_whose_pool_broke_for_good_leaves_the_work_to_others() -> None:
    async def story(pool: ProcessPoolExecutor) -> Any:
        handlers = Handlers()
        handlers.task("die")(die_first)
        tasks = [Task(id=n, description="d", type="die") for n in range(1, 9)]
        workers = [
            WorkerAgent("Ada", 5, handlers=handlers, executor=pool),
            WorkerAgent("Ben", 5, handlers=Handlers()),
        ]
        workers[1].task("die")(lambda task: "done by Ben")
        manager = TaskManager(tasks, ["Ada", "Ben"], policy="in_order", quiet=True)
        return await rehearse(manager, workers)

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        report = asyncio.run(story(pool))
    first, *others = report.tasks
    assert (first.worker, first.status) == ("Ada", TaskStatus.FAILED)
    assert first.error_message.startswith("BrokenProcessPool: ")
    assert {(task.worker, task.output) for task in others} == {("Ben", "done by Ben")}


class GivesUp(Executor):
    """Cancels what it is given, by itself."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_work_that_the_executor_gives_up_has_failed() -> None:
    handlers = Handlers()
    handlers.task("pid")(process_id)
    report = run("pid", handlers, executor=GivesUp())
    assert {task.error_message for task in report.tasks} == {
        "CancelledError: the executor dropped the call, or it was cancelled elsewhere"
    }


def test_an_executor_that_cannot_be_made_ends_the_worker_at_its_start() -> None:
    def make() -> Executor:
        raise ConnectionError("no such cluster")

    async def story() -> None:
        worker = WorkerAgent("Ada", 5, executor=make)
        worker.task("pid")(process_id)
        with pytest.raises(ConnectionError, match="no such cluster"):
            await worker.serve_over(MemoryNetwork().join("Ada", worker.receive))

    asyncio.run(story())


def test_another_executor_may_take_the_place_of_one_that_was_shut_down() -> None:
    class Careful(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> Any:
            try:
                return await super().handle_task(data)
            except RuntimeError:
                self.executor = None
                return await super().handle_task(data)

    async def story(pool: Executor) -> Any:
        tasks = [Task(id=n, description="d", type="pid") for n in (1, 2, 3)]
        worker = Careful("Ada", 5, executor=pool)
        worker.task("pid")(process_id)
        return await rehearse(TaskManager(tasks, 1, quiet=True), [worker])

    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    report = asyncio.run(story(pool))
    assert [task.output for task in report.tasks] == [os.getpid()] * 3


@pytest.mark.parametrize("executor", ["threads", 4])
def test_what_is_no_executor_and_makes_none_is_refused(executor: Any) -> None:
    with pytest.raises(InvalidInput, match=r"must be a concurrent\.futures\.Executor"):
        WorkerAgent("Ada", 5, executor=executor)


# ----------------------------------------------------------------------------------------- cancel


def test_after_a_cancel_the_slot_is_free_when_the_function_has_ended() -> None:
    running: list[int] = []
    most: list[int] = []
    go_on = threading.Event()
    handlers = Handlers()

    @handlers.task("run")
    def work(task: Task) -> None:
        running.append(task.id)
        most.append(len(running))
        if task.id == 1:
            go_on.wait(60)
        running.remove(task.id)

    async def story() -> Any:
        tasks = [Task(id=n, description="d", type="run") for n in (1, 2)]
        manager = TaskManager(tasks, 1, quiet=True)
        # There would be a thread for the second.
        with ThreadPoolExecutor(2) as pool:
            worker = WorkerAgent("Ada", 5, handlers=handlers, executor=pool)
            rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
            while not running:
                await asyncio.sleep(0.01)
            manager.cancel_task(1)
            await asyncio.sleep(0.2)
            second = manager.get_task_status(2)
            go_on.set()
            await rehearsing
        return second, manager.get_all_task_status()

    second, states = asyncio.run(story())
    assert second == "Pending"
    assert states == {1: "Cancelled", 2: "Completed"}
    assert most == [1, 1]


def test_what_waits_in_the_executor_is_cancelled_before_it_begins() -> None:
    begun: list[int] = []
    go_on = threading.Event()
    handlers = Handlers()

    @handlers.task("run")
    def work(task: Task) -> None:
        begun.append(task.id)
        go_on.wait(60)

    async def story() -> Any:
        tasks = [Task(id=n, description="d", type="run") for n in (1, 2)]
        manager = TaskManager(tasks, 1, quiet=True)
        with ThreadPoolExecutor(1) as pool:
            worker = WorkerAgent("Ada", 5, slots=2, handlers=handlers, executor=pool)
            rehearsing = asyncio.ensure_future(rehearse(manager, [worker]))
            while manager.get_task_status(2) != "In Progress" or not begun:
                await asyncio.sleep(0.01)
            manager.cancel_task(2)
            # Its slot is free at once.
            while len(worker._shell.running) > 1:
                await asyncio.sleep(0.01)
            go_on.set()
            await rehearsing
        return manager.get_all_task_status()

    assert asyncio.run(story()) == {1: "Completed", 2: "Cancelled"}
    assert begun == [1]


# --------------------------------------------------------------------------------- registration


def test_two_handlers_for_one_type_are_refused() -> None:
    handlers = Handlers()
    handlers.task("pid")(process_id)
    with pytest.raises(InvalidInput, match="a handler for tasks of type 'pid' already"):
        handlers.task("pid")(process_id)
