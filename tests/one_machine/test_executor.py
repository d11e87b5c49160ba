"""The executors of `Muster` and of clients do what the standard library says an executor does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Client, Handlers, Muster
from muster.agents.client.blocking_client import BlockingClient
from muster.messages import TaskFailed

LIMIT_S = 120.0
handlers = Handlers()


@handlers.task
def power(base: int, exponent: int) -> int:
    return base**exponent


@handlers.task
def fail(reason: str) -> int:
    raise ValueError(reason)


@handlers.task
async def linger(gate: str) -> str:
    """Wait until the gate, a file, is there."""
    while not await asyncio.to_thread(Path(gate).exists):
        await asyncio.sleep(0.01)
    return "went on"


def fail_plainly(reason: str) -> int:
    raise ValueError(reason)


def linger_plainly(gate: str) -> str:
    while not Path(gate).exists():
        time.sleep(0.01)
    return "went on"


class Calls:
    """An executor that runs one call at a time, and the functions that it can call."""

    def __init__(
        self, executor: Executor, functions: tuple[Callable[..., Any], ...], folder: Path
    ) -> None:
        self.executor = executor
        self.gate = folder / f"gate of {id(self)}"
        self.power, self.fail, self.linger = functions

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.executor.submit(function, *arguments)


def raised(call: Callable[[], object]) -> str:
    """The class of what a call raises; a client tells a handler's exception by its text."""
    try:
        call()
    except FutureTimeout:
        return "TimeoutError"
    except TaskFailed as fault:
        return "ValueError" if "ValueError" in str(fault) else str(fault)
    except (CancelledError, Exception) as fault:  # noqa: BLE001 - whichever it is
        return type(fault).__name__
    return ""


def have_results(calls: Calls) -> object:
    future = calls.submit(calls.power, 2, 3)
    return future.result(LIMIT_S), future.done(), future.running(), future.cancel()


def fails(calls: Calls) -> object:
    future = calls.submit(calls.fail, "no")
    fault = future.exception(LIMIT_S)
    return "no" in str(fault), raised(future.result)


def is_late(calls: Calls) -> object:
    future = calls.submit(calls.linger, str(calls.gate))
    late = raised(lambda: future.result(0.001))
    calls.gate.touch()
    return late, future.result(LIMIT_S)


def come_as_they_complete(calls: Calls) -> object:
    futures = [calls.submit(calls.power, 2, each) for each in range(5)]
    return sorted(each.result() for each in as_completed(futures, LIMIT_S))


def are_waited_for(calls: Calls) -> object:
    bad, good = calls.submit(calls.fail, "no"), calls.submit(calls.power, 2, 2)
    has_failed = bad in wait([bad, good], LIMIT_S, FIRST_EXCEPTION).done
    has_first = bool(wait([bad, good], LIMIT_S, FIRST_COMPLETED).done)
    return has_failed, has_first, len(wait([bad, good], LIMIT_S).done)


def are_mapped_in_order(calls: Calls) -> object:
    executor = calls.executor
    late = raised(lambda: list(executor.map(calls.linger, [str(calls.gate)], timeout=0.001)))
    calls.gate.touch()
    values = executor.map(calls.power, [2, 3], [2, 2], timeout=LIMIT_S, chunksize=7)
    return list(values), late, raised(lambda: list(executor.map(calls.fail, ["no"])))


def is_cancelled_while_it_waits(calls: Calls) -> object:
    first = calls.submit(calls.linger, str(calls.gate))
    second = calls.submit(calls.power, 2, 2)
    told: list[bool] = []
    second.add_done_callback(lambda done: told.append(done.cancelled()))
    is_cancelled = second.cancel()
    calls.gate.touch()
    return is_cancelled, second.done(), told, raised(second.result), first.result(LIMIT_S)


def ends(calls: Calls) -> object:
    with calls.executor:
        done = calls.submit(calls.linger, str(calls.gate))
        threading.Timer(0.1, calls.gate.touch).start()
    again = raised(lambda: calls.submit(calls.power, 2, 3))
    return done.done(), done.result(0), again


def ends_at_once(calls: Calls) -> object:
    calls.submit(calls.linger, str(calls.gate))
    waiting = calls.submit(calls.power, 2, 2)
    waiting.add_done_callback(lambda _: calls.gate.touch())
    calls.executor.shutdown(cancel_futures=True)
    return waiting.cancelled(), raised(waiting.result)


MANAGER = """
import asyncio, importlib, sys
from muster.agents import TaskManager, WorkerAgent
from muster.agents.security.ticket import write_ticket_file

async def main(folder, module, ticket):
    sys.path.insert(0, folder)
    handlers = importlib.import_module(module).handlers
    manager = TaskManager(port=0, quiet=True)
    await manager.start()
    worker = WorkerAgent("Ada", 5, slots=1, handlers=handlers, ticket=manager.ticket())
    await worker.start()
    write_ticket_file(ticket, manager.ticket())
    await asyncio.sleep(3600)

asyncio.run(main(*sys.argv[1:]))
"""

STORIES = [
    have_results,
    fails,
    is_late,
    come_as_they_complete,
    are_waited_for,
    are_mapped_in_order,
    is_cancelled_while_it_waits,
    ends,
    ends_at_once,
]


def expected(story: Callable[[Calls], object], folder: Path) -> object:
    with ThreadPoolExecutor(1) as executor:
        return story(Calls(executor, (pow, fail_plainly, linger_plainly), folder))


@pytest.mark.parametrize("story", STORIES)
def test_an_executor_of_a_machine_does_as_a_thread_pool(
    story: Callable[[Calls], object], tmp_path: Path
) -> None:
    with Muster(threads=1) as muster:
        calls = Calls(muster.executor(), (pow, fail_plainly, linger_plainly), tmp_path)
        assert story(calls) == expected(story, tmp_path)
        # What made the executor goes on.
        assert muster.executor().submit(pow, 2, 3).result(LIMIT_S) == 8


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockingClient]:
    ticket = tmp_path_factory.mktemp("manager") / "ticket"
    place = Path(__file__)
    program = subprocess.Popen(
        [sys.executable, "-c", MANAGER, str(place.parent), place.stem, str(ticket)]
    )
    try:
        assert wait_until(ticket.exists)
        with Client.connect(ticket, connect_timeout_s=LIMIT_S) as connected:
            yield connected
    finally:
        program.kill()
        program.wait()


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_an_executor_of_a_client_does_as_a_thread_pool(
    client: BlockingClient, story: Callable[[Calls], object], tmp_path: Path
) -> None:
    calls = Calls(client.executor(), (power, fail, linger), tmp_path)
    assert story(calls) == expected(story, tmp_path)


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_to_cancel_a_future_of_a_client_cancels_its_task_also_while_it_runs(
    client: BlockingClient, tmp_path: Path
) -> None:
    executor, gate = client.executor(), str(tmp_path / "never")
    running, waiting = executor.submit(linger, gate), executor.submit(power, 2, 2)
    assert wait_until(lambda: client.status(running.task_id) == "in_progress")
    executor.shutdown(wait=False, cancel_futures=True)
    assert running.cancelled()
    # Told at once, and so by the manager.
    assert wait_until(lambda: client.status(running.task_id) == "cancelled")
    assert client.status(waiting.task_id) == "cancelled"
    # The worker's only slot is free again.
    assert client.executor().submit(power, 2, 3).result(LIMIT_S) == 8
    assert client.call_nowait(power, 2, exponent=3).result(LIMIT_S) == 8


def wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


async def test_whatever_takes_an_executor_takes_this_one() -> None:
    async with Muster(threads=2) as muster:
        executor = muster.executor()
        assert isinstance(executor, Executor)
        assert await asyncio.get_running_loop().run_in_executor(executor, pow, 2, 5) == 32
