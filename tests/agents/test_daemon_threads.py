"""Threads that no program waits for."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait

import pytest
from muster.agents.runtime.daemon_threads import DaemonThreads

DEADLINE_S = 60.0

STUCK = """
import asyncio, time
from muster.agents import Handlers, TaskManager, WorkerAgent, rehearse
from muster.messages import Task

{make}

async def main():
    worker = WorkerAgent("Ada", 5, slots=2, executor={executor})
    worker.task("stuck")(stuck)
    worker.task("quick")(quick)
    tasks = [Task(task_id=1, type="stuck", timeout=0.2), Task(task_id=2, type="quick")]
    manager = TaskManager(tasks, 1, quiet=True)
    report = await rehearse(manager, [worker])
    print([task.status.value for task in report.tasks], flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""

HANDLERS = """
def stuck(task):
    time.sleep(3600)

def quick(task):
    return "done"
"""


def until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


@pytest.mark.processes
@pytest.mark.parametrize(
    "executor",
    [
        "None",
        pytest.param("lambda: ProcessPool(2)", marks=pytest.mark.slow),
        pytest.param("lambda: ProcessPoolExecutor(2)", marks=pytest.mark.slow),
    ],
)
def test_a_program_whose_run_has_ended_exits_although_a_handler_never_returns(
    tmp_path: object, executor: str
) -> None:
    script = tmp_path / "program.py"  # type: ignore[operator]
    imports = (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from muster.agents.execution.process_pool import ProcessPool\n"
    )
    script.write_text(STUCK.format(make=imports + HANDLERS, executor=executor))
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert done.stdout == "['failed', 'completed']\n", done.stderr
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_as_many_functions_run_at_once_as_there_are_threads() -> None:
    threads = DaemonThreads(3, "t")
    together = threading.Barrier(3, timeout=DEADLINE_S)
    futures = [threads.submit(together.wait) for _ in range(6)]
    wait(futures, timeout=DEADLINE_S)
    assert sorted(future.result() for future in futures) == [0, 0, 1, 1, 2, 2]
    threads.shutdown()


def test_a_thread_that_has_nothing_to_do_is_used_again() -> None:
    threads = DaemonThreads(5, "t")
    names = set()
    for _ in range(5):
        names.add(threads.submit(lambda: threading.current_thread().name).result(DEADLINE_S))
        until(lambda: threads._shared.unfinished == 0)
    assert names == {"t_0"}
    threads.shutdown()


@pytest.mark.parametrize("fault", [KeyError("k"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_a_function_raises_comes_home_and_the_thread_goes_on(fault: BaseException) -> None:
    threads = DaemonThreads(1)

    def fail() -> None:
        raise fault

    assert threads.submit(fail).exception(DEADLINE_S) is fault
    assert threads.submit(lambda: 7).result(DEADLINE_S) == 7
    threads.shutdown()


def test_shutting_down_waits_cancels_what_has_not_begun_and_takes_nothing_more() -> None:
    threads = DaemonThreads(1)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(DEADLINE_S)
        return "done"

    first, second = threads.submit(work), threads.submit(work)
    assert begun.wait(DEADLINE_S)
    threads.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(work)
    go_on.set()
    threads.shutdown()
    assert first.result() == "done"
    assert not any(thread.is_alive() for thread in threads._threads)


def test_one_that_is_forgotten_leaves_no_threads() -> None:
    threads = DaemonThreads(2, "forgotten")
    threads.submit(int).result(DEADLINE_S)
    (thread,) = threads._threads
    del threads
    gc.collect()
    until(lambda: not thread.is_alive())


def test_what_was_cancelled_before_it_began_never_runs() -> None:
    threads = DaemonThreads(1)
    go_on = threading.Event()
    threads.submit(go_on.wait, DEADLINE_S)
    ran: list[int] = []
    later = threads.submit(ran.append, 1)
    assert later.cancel()
    go_on.set()
    threads.submit(int).result(DEADLINE_S)
    assert ran == []
    threads.shutdown()


def test_no_threads_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="max_workers is 0"):
        DaemonThreads(0)
