"""Virtual time: exact, at once, and never stuck."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator

import pytest
from muster.agents.simulation.virtual_time import VirtualTimeLoop, run_in_virtual_time
from muster.messages import Deadlock


def clock() -> float:
    return asyncio.get_running_loop().time()


def test_time_begins_at_zero() -> None:
    async def scene() -> float:
        return clock()

    assert run_in_virtual_time(scene()) == 0.0


def test_a_sleep_ends_exactly_on_time() -> None:
    async def scene() -> float:
        await asyncio.sleep(450)
        return clock()

    assert run_in_virtual_time(scene()) == 450.0


def test_hours_pass_in_a_moment() -> None:
    async def scene() -> None:
        for _ in range(100):
            await asyncio.sleep(3600)

    started = time.monotonic()
    run_in_virtual_time(scene())
    assert time.monotonic() - started < 60


def test_a_timer_fires_at_its_own_time_however_late_it_is() -> None:
    async def scene() -> list[float]:
        loop = asyncio.get_running_loop()
        fired: list[float] = []
        for when in (0.1, 0.1 + 0.2, 0.3, 1e3 / 3, 1e9 / 3, 1e12 / 3):
            loop.call_at(when, lambda: fired.append(clock()))
        await asyncio.sleep(1e13)
        return fired

    assert run_in_virtual_time(scene()) == [0.1, 0.3, 0.1 + 0.2, 1e3 / 3, 1e9 / 3, 1e12 / 3]


def test_no_time_passes_while_something_is_ready() -> None:
    async def scene() -> float:
        asyncio.get_running_loop().call_later(0.001, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return clock()

    assert run_in_virtual_time(scene()) == 0.0


def test_a_cancelled_timer_moves_no_clock() -> None:
    async def scene() -> float:
        asyncio.get_running_loop().call_later(1, lambda: None).cancel()
        await asyncio.sleep(5)
        return clock()

    assert run_in_virtual_time(scene()) == 5.0


def test_a_timeout_strikes_on_time() -> None:
    async def scene() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        return clock()

    assert run_in_virtual_time(scene()) == 30.0


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def scene() -> list[float]:
        woken: list[float] = []

        async def sleeper(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(clock())

        await asyncio.gather(*map(sleeper, (3, 1, 2)))
        return woken

    assert run_in_virtual_time(scene()) == [1.0, 2.0, 3.0]


def test_the_clock_stands_still_while_a_thread_works() -> None:
    async def scene() -> tuple[int, float]:
        may_end = threading.Event()
        asyncio.get_running_loop().call_later(60, lambda: None)
        threading.Timer(0.05, may_end.set).start()
        answer = await asyncio.to_thread(lambda: 42 if may_end.wait(60) else 0)
        return answer, clock()

    assert run_in_virtual_time(scene()) == (42, 0.0)


def test_the_clock_runs_on_after_a_thread_failed() -> None:
    async def scene() -> float:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        await asyncio.sleep(5)
        return clock()

    assert run_in_virtual_time(scene()) == 5.0


def test_a_deadlock_is_told_and_names_who_waits() -> None:
    async def scene() -> None:
        await asyncio.sleep(2)
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"at 2 s of virtual time.*scene"):
        run_in_virtual_time(scene())


def test_an_error_comes_out_as_it_is() -> None:
    async def scene() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_virtual_time(scene())


def test_tasks_left_over_are_cancelled_and_may_clean_up() -> None:
    ended: list[float] = []

    async def leftover() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            ended.append(clock())

    async def scene() -> asyncio.Task[None]:
        task = asyncio.ensure_future(leftover())
        await asyncio.sleep(1)
        return task

    assert run_in_virtual_time(scene()).cancelled()
    assert ended == [2.0]


def test_what_a_leftover_starts_while_it_is_cancelled_is_cancelled_too() -> None:
    ended: list[int] = []
    started: set[asyncio.Task[None]] = set()

    async def leftover(generation: int) -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.append(generation)
            if generation < 3:
                started.add(asyncio.ensure_future(leftover(generation + 1)))
                # It has begun before its turn to be cancelled comes.
                await asyncio.sleep(1)

    async def scene() -> None:
        started.add(asyncio.ensure_future(leftover(1)))
        await asyncio.sleep(1)

    run_in_virtual_time(scene())
    assert ended == [1, 2, 3]
    assert all(task.cancelled() for task in started)


@pytest.mark.parametrize("refusals", [1, 1_000])
def test_a_leftover_that_never_ends_leaves_nothing_for_the_tests_that_follow(
    refusals: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []

    async def leftover() -> None:
        try:
            for _ in range(refusals + 1):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue
        finally:
            ended.append("leftover")

    async def scene() -> None:
        leftovers.append(asyncio.ensure_future(leftover()))
        await asyncio.sleep(1)

    leftovers: list[asyncio.Task[None]] = []
    with pytest.raises(Deadlock, match="leftover"):
        run_in_virtual_time(scene())
    assert ended == ["leftover"]
    leftovers.clear()
    gc.collect()
    assert caplog.text == ""


def test_a_leftover_that_fails_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def leftover() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    async def scene() -> object:
        task = asyncio.ensure_future(leftover())
        await asyncio.sleep(0)
        return task

    run_in_virtual_time(scene())
    assert "left at the end of virtual time failed" in caplog.text


def test_async_generators_are_closed() -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def scene() -> AsyncIterator[int]:
        generator = numbers()
        await generator.__anext__()
        return generator

    run_in_virtual_time(scene())
    assert closed == [True]


def test_the_loop_is_closed_in_the_end() -> None:
    async def scene() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    loop = run_in_virtual_time(scene())
    assert isinstance(loop, VirtualTimeLoop)
    assert loop.is_closed()
