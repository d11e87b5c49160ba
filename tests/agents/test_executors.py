"""Where plain handlers run: threads of the worker's own, or an executor of the user's."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from muster.agents import Handlers, TaskContext, TaskManager, WorkerAgent, rehearse
from muster.messages import InvalidInput, Task


def process_id(task: Task) -> int:
    return os.getpid()


def with_context(task: Task, context: TaskContext) -> None: ...


def run(task_type: str, handlers: Handlers, **options: Any) -> Any:
    async def story() -> Any:
        tasks = [Task(id=n, description="d", type=task_type) for n in (1, 2, 3)]
        worker = WorkerAgent("Ada", 5, slots=2, handlers=handlers, **options)
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


@pytest.mark.processes
def test_a_handler_that_takes_a_context_cannot_go_to_a_process_pool() -> None:
    handlers = Handlers()
    handlers.task("context")(with_context)
    with ProcessPoolExecutor(1) as pool:
        report = run("context", handlers, executor=pool)
    assert "takes a context, which can't leave this process" in report.tasks[0].error_message


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
    together = threading.Barrier(2, timeout=10)

    @handlers.task("meet")
    def meet(task: Task) -> str:
        if task.id in (1, 2):
            together.wait()
        return "met"

    report = run("meet", handlers)
    assert [task.output for task in report.tasks] == ["met", "met", "met"]


def test_two_handlers_for_one_type_are_refused() -> None:
    handlers = Handlers()
    handlers.task("pid")(process_id)
    with pytest.raises(InvalidInput, match="a handler for tasks of type 'pid' already"):
        handlers.task("pid")(process_id)


def test_a_handler_that_takes_no_task_is_refused() -> None:
    with pytest.raises(InvalidInput, match="takes no argument; it must take the task"):
        Handlers().task("nothing")(lambda: None)
