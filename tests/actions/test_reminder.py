"""A reminder comes when its time has come, and counts down until then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import run_in_virtual_time
from muster.agents.actions import reminder_timer
from muster.messages import InvalidInput


def test_the_message_comes_when_the_time_has_passed(told: Any) -> None:
    async def main() -> tuple[str, float]:
        message = await reminder_timer(told, 60, "One minute is up!")
        return message, asyncio.get_running_loop().time()

    message, at = run_in_virtual_time(main())
    assert (message, at) == ("One minute is up!", pytest.approx(60))
    assert told.seen == sorted(told.seen)
    assert told.seen[0] == 0
    assert told.seen[-1] == 100
    assert 100 <= len(told.seen) <= 103


def test_a_reminder_at_once(told: Any) -> None:
    assert run_in_virtual_time(reminder_timer(told, 0, "now")) == "now"
    assert told.seen == [100.0]


def test_a_cancelled_reminder_is_silent(told: Any) -> None:
    async def main() -> None:
        work = asyncio.ensure_future(reminder_timer(told, 60, "late"))
        await asyncio.sleep(30)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    run_in_virtual_time(main())
    assert told.progress == pytest.approx(50, abs=1)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "60", True, None])
def test_a_duration_that_is_none_is_refused(told: Any, seconds: Any) -> None:
    with pytest.raises(InvalidInput, match="duration_seconds is"):
        run_in_virtual_time(reminder_timer(told, seconds, "never"))
