"""Ctrl-C and SIGTERM end the program, and an exception that looks like them does not."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from muster.agents import WorkerAgent
from muster.agents.execution.attempt_outcome import is_from_signal
from muster.agents.execution.task_runner import TaskRunner
from muster.messages import Task, TaskAssignment, TaskResult

Handler = Callable[[int, Any], Any]


def interrupt(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def leave(number: int, frame: Any) -> NoReturn:
    deeper(128 + number)


def deeper(code: int) -> NoReturn:
    sys.exit(code)


@contextlib.contextmanager
def handling(number: int, handler: Handler | signal.Handlers | None) -> Iterator[None]:
    before = signal.signal(number, handler or signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def raised_by(function: Callable[[], Any]) -> BaseException:
    try:
        function()
    except BaseException as fault:  # noqa: BLE001 - it is what is asked for
        return fault
    raise AssertionError("nothing was raised")


def ask_for(number: int) -> Callable[[], None]:
    return functools.partial(signal.raise_signal, number)


def wait_for_signal() -> None:
    """It comes in the midst of a call, as from a terminal."""
    own = threading.get_ident()
    threading.Timer(0.05, signal.pthread_kill, (own, signal.SIGINT)).start()
    time.sleep(20)


def spin_until_signal() -> None:
    own = threading.get_ident()
    threading.Timer(0.05, signal.pthread_kill, (own, signal.SIGINT)).start()
    while True:
        pass


def reraise(raised: Callable[[], Any]) -> Callable[[], Any]:
    def caught() -> None:
        try:
            raised()
        except BaseException:  # noqa: BLE001
            raise ValueError("cleaning up failed")  # noqa: B904 - as careless code does

    return caught


@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [
        (signal.SIGINT, signal.default_int_handler, ask_for(signal.SIGINT)),
        (signal.SIGINT, signal.default_int_handler, wait_for_signal),
        (signal.SIGINT, signal.default_int_handler, spin_until_signal),
        (signal.SIGINT, signal.default_int_handler, reraise(ask_for(signal.SIGINT))),
        (signal.SIGINT, interrupt, ask_for(signal.SIGINT)),
        (signal.SIGINT, functools.partial(interrupt), ask_for(signal.SIGINT)),
        (signal.SIGTERM, leave, ask_for(signal.SIGTERM)),
        (signal.SIGTERM, leave, reraise(ask_for(signal.SIGTERM))),
    ],
)
def test_what_a_signal_raised_is_from_a_signal(
    number: int, handler: Handler, raised: Callable[[], Any]
) -> None:
    with handling(number, handler):
        assert is_from_signal(raised_by(raised))


async def of_a_future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, KeyboardInterrupt())
    await future


@pytest.mark.parametrize(
    "raised",
    [
        lambda: interrupt(2, None),
        lambda: sys.exit(3),
        lambda: deeper(3),
        reraise(lambda: deeper(3)),
        lambda: int("seven"),
        lambda: raise_it(KeyboardInterrupt()),
        lambda: asyncio.run(of_a_future()),
    ],
)
@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN, leave])
def test_what_code_raises_is_not(handler: Any, raised: Callable[[], Any]) -> None:
    with handling(signal.SIGINT, handler):
        assert not is_from_signal(raised_by(raised))


def raise_it(fault: BaseException) -> NoReturn:
    raise fault


def test_in_another_thread_nothing_comes_from_a_signal() -> None:
    told: list[bool] = []
    with handling(signal.SIGINT, signal.default_int_handler):
        fault = raised_by(ask_for(signal.SIGINT))
        assert is_from_signal(fault)
        thread = threading.Thread(target=lambda: told.append(is_from_signal(fault)))
        thread.start()
        thread.join()
    assert told == [False]


# ------------------------------------------------------------------------------- in a handler

PROGRAM = """
import asyncio, signal, sys, time
from muster.agents import WorkerAgent
from muster.messages import Task

# Whoever starts the tests may ignore SIGINT, as a shell does for a job in the background.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
worker = WorkerAgent("Ada", 5)

@worker.task("spin")
async def spin(task):
    async def inner():
        print("begun", flush=True)
        while True:
            time.sleep(0.01)
    return await ({how})

print(asyncio.run(worker.execute_task(Task(task_id=1, type="spin"))))
"""


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("how", ["inner()", "asyncio.wait_for(inner(), 3600)"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_program_whose_handler_blocks_the_loop(
    number: signal.Signals, how: str
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(how=how)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "begun\n"
        program.send_signal(number)
        # From Python 3.11 on the first Ctrl-C only asks the main task to end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(2)
        program.send_signal(number)
        assert program.wait(60) not in {0, None}
        assert program.stdout.read() == ""
    finally:
        program.kill()
        program.communicate()


def test_what_a_signal_raises_in_an_attempt_leaves_the_loop_and_the_task_unfinished() -> None:
    results: list[TaskResult] = []

    async def main() -> None:
        worker = WorkerAgent("Ada", 5)

        @worker.task("any")
        async def ask(task: Task) -> None:
            signal.raise_signal(signal.SIGINT)

        jobs = TaskRunner("Ada", 1, worker.perform, results.append, lambda _: None)
        jobs.take(TaskAssignment(task=Task(task_id=1, type="any"), worker="Ada"))
        await asyncio.sleep(5)

    with (
        handling(signal.SIGINT, signal.default_int_handler),
        contextlib.closing(asyncio.new_event_loop()) as loop,
    ):
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(main())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
    assert results == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin at once from 3.12 on")
def test_attempts_that_begin_at_once_end_as_well() -> None:
    results: list[TaskResult] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        worker = WorkerAgent("Ada", 5)

        @worker.task("any")
        async def fail(task: Task) -> None:
            sys.exit(3)

        jobs = TaskRunner("Ada", 1, worker.perform, results.append, lambda _: None)
        jobs.take(TaskAssignment(task=Task(task_id=1, type="any"), worker="Ada"))
        await asyncio.sleep(0.01)
        assert not jobs.running

    asyncio.run(main())
    assert [result.error_message for result in results] == ["SystemExit: 3"]
