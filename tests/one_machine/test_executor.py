"""`Muster` and clients as executors of the standard library."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future, as_completed, wait

import pytest
from muster.agents import Muster
from muster.agents.submission.executor import TaskExecutor
from muster.messages import TaskFailed, TaskResult


async def test_whatever_takes_an_executor_takes_this_one() -> None:
    async with Muster(threads=2) as muster:
        executor = muster.executor()
        assert isinstance(executor, Executor)
        assert await asyncio.get_running_loop().run_in_executor(executor, pow, 2, 5) == 32
        futures = [executor.submit(pow, 2, each) for each in range(5)]
        done = await asyncio.to_thread(lambda: {each.result() for each in as_completed(futures)})
        assert done == {1, 2, 4, 8, 16}


def test_map_and_shutdown_do_as_those_of_the_standard_library() -> None:
    with Muster(threads=2) as muster:
        with muster.executor() as executor:
            assert list(executor.map(pow, [2, 3], [2, 2], timeout=60, chunksize=7)) == [4, 9]
            with pytest.raises(ZeroDivisionError):
                executor.submit(divmod, 1, 0).result(60)
        with pytest.raises(RuntimeError, match="was shut down"):
            executor.submit(pow, 2, 3)
        # What made it goes on.
        assert muster.with_options(timeout=60.0).executor().submit(pow, 2, 3).result(60) == 8


def test_an_executor_of_a_client_gives_outputs_and_raises_failures() -> None:
    results: list[Future[TaskResult]] = []

    def submit(*_: object) -> Future[TaskResult]:
        results.append(Future())
        return results[-1]

    executor = TaskExecutor(submit, TaskResult.unwrap)
    good, bad, late = (executor.submit(pow, 2, 3) for _ in range(3))
    results[0].set_result(TaskResult(task_id=1, worker="Ada", success=True, output=8))
    results[1].set_result(TaskResult(task_id=2, worker="Ada", success=False, error_message="no"))
    assert good.result(0) == 8
    with pytest.raises(TaskFailed, match="no"):
        bad.result(0)
    executor.shutdown(cancel_futures=True)
    assert late.cancelled()
    assert not wait([good, bad], 0).not_done
    # The task goes on, and whoever waited does not.
    results[2].set_result(TaskResult(task_id=3, worker="Ada", success=True, output=8))
