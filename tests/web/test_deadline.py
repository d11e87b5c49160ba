"""Waiting with a timeout, and cancellations at the wrong moment."""

from __future__ import annotations

import asyncio
import gc

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.runtime.timeouts import within


async def after(seconds: float, told: list[str]) -> str:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        told.append("cancelled")
        raise
    return "done"


def test_work_that_is_done_in_time_gives_its_result() -> None:
    assert run_in_virtual_time(within(2.0, after(1.0, []))) == "done"


def test_work_that_takes_longer_is_cancelled() -> None:
    told: list[str] = []
    with pytest.raises(asyncio.TimeoutError):
        run_in_virtual_time(within(1.0, after(2.0, told)))
    assert told == ["cancelled"]


def test_a_cancel_in_the_moment_in_which_the_work_is_done_is_not_lost() -> None:
    async def cancel_as_it_ends() -> bool:
        ended = asyncio.get_running_loop().create_future()

        async def work() -> None:
            await ended

        waiting = asyncio.ensure_future(within(10.0, work()))
        await asyncio.sleep(1.0)
        ended.set_result(None)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert run_in_virtual_time(cancel_as_it_ends())


def test_work_that_fails_while_the_wait_is_cancelled_leaves_no_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError:
            raise EOFError from None

    async def story() -> None:
        waiting = asyncio.ensure_future(within(20.0, fail_when_cancelled()))
        await asyncio.sleep(1.0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        del waiting
        gc.collect()

    run_in_virtual_time(story())
    assert caplog.records == []
