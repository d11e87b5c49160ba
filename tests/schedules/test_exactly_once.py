"""Each due time has its tasks once, however often the manager dies and its clock is set."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.model.schedules import scheduled_id
from muster.agents.runtime.clock import wall_now
from muster.agents.schedules.cron import Cron, find_zone
from muster.agents.schedules.terms import due_times_of
from muster.agents.simulation.crashing_store import ManagerKilled
from muster.agents.simulation.faults import Crash

from .conftest import Scheduler, play, set_wall_clock, until_wall

MARCH = 1_774_738_800.0
"""2026-03-28 23:00 UTC: the night in which clocks in Europe are set forward."""

OCTOBER = 1_792_882_800.0
"""2026-10-24 23:00 UTC: the night in which they are set back."""

a_step = st.one_of(
    st.tuples(st.just("run"), st.floats(0.0, 4_000.0)),
    st.tuples(st.just("kill"), st.floats(0.0, 8_000.0)),
    st.tuples(st.just("before the write"), st.floats(0.0, 2_000.0)),
    st.tuples(st.just("after the write"), st.floats(0.0, 2_000.0)),
    st.tuples(st.just("set the clock"), st.floats(-6_000.0, 8_000.0)),
    st.tuples(st.just("forget"), st.just(0.0)),
)

a_cadence = st.one_of(
    st.builds(
        lambda minute, hour: {"cron": f"{minute} {hour} * * *"},
        st.sampled_from(("*/5", "*", "7", "0,30", "10-20/3", "59")),
        st.sampled_from(("*", "*/2", "1-3", "2", "0")),
    ),
    st.builds(lambda every_s: {"every_s": every_s}, st.sampled_from((30.0, 61.7, 900.0, 0.7e3))),
)


@given(
    cadence=a_cadence,
    tz=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")),
    start=st.sampled_from((MARCH, OCTOBER)),
    missed=st.sampled_from(("all", "latest", "skip")),
    steps=st.lists(a_step, min_size=1, max_size=10),
)
def test_each_due_time_is_made_once_or_passed_over_once(
    cadence: dict[str, Any], tz: str, start: float, missed: str, steps: list[tuple[str, float]]
) -> None:
    async def story() -> None:
        scheduler = Scheduler(job={**cadence, "tz": tz, "missed": missed})
        scheduler.start()
        latest = wall_now()
        for step, seconds in steps:
            if scheduler.is_dead:
                await scheduler.kill()
                scheduler.start()
            match step:
                case "run":
                    await asyncio.sleep(seconds)
                case "kill":
                    await scheduler.kill()
                    await asyncio.sleep(seconds)
                case "before the write" | "after the write":
                    before = step.startswith("before")
                    scheduler.crash_at_next_write(
                        Crash.BEFORE_WRITE if before else Crash.AFTER_WRITE
                    )
                    await asyncio.sleep(seconds)
                case "set the clock":
                    set_wall_clock(wall_now() + seconds)
                    await asyncio.sleep(6.0)
                case _:
                    try:
                        scheduler.settle_and_forget()
                    except ManagerKilled:
                        await scheduler.kill()
            latest = max(latest, wall_now())
        # One that would have died at its next write dies now.
        await scheduler.kill()
        await until_wall(latest)
        scheduler.start()
        await asyncio.sleep(6.0)
        record = scheduler.record("job")
        next_due, due_times = due_times_of(record), []
        due = next_due(start)
        while due <= record.through:
            due_times.append(due)
            due = next_due(due)
        assert due > latest, "a due time was neither made nor passed over"
        made = {scheduled_id("job", each) for each in due_times}
        added = scheduler.memory.added
        assert set(added) <= made
        assert set(added.values()) <= {1}
        assert len(added) == record.made
        assert record.made + record.missed == len(due_times)
        if missed == "all":
            assert set(added) == made
        await scheduler.kill()

    play(story, at=start)


@given(
    fields=st.tuples(
        st.sampled_from(("*/5", "7", "0,30", "10-20/3", "*")),
        st.sampled_from(("*", "*/2", "1-3", "2", "0,23")),
        st.sampled_from(("*", "29", "L", "1-15/7")),
        st.sampled_from(("*", "3", "10")),
        st.sampled_from(("*", "SUN", "1-5", "7#L")),
    ),
    tz=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")),
    after=st.floats(MARCH - 90_000, MARCH + 90_000) | st.floats(OCTOBER - 90_000, OCTOBER + 90_000),
)
def test_a_due_time_does_not_depend_on_where_the_search_for_it_began(
    fields: tuple[str, ...], tz: str, after: float
) -> None:
    expression = " ".join(fields).replace("7#L", "7L")
    earlier = Cron(expression, find_zone(tz))
    due = earlier.next_due(after - 30_000.0)
    while due is not None and due <= after:
        due = earlier.next_due(due)
    assert due == Cron(expression, find_zone(tz)).next_due(after)


@pytest.mark.parametrize("gap_s", [-86_400.0, -400.0, 400.0, 86_400.0])
def test_a_clock_that_is_set_makes_nothing_twice_and_misses_nothing(gap_s: float) -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"cron": "*/5 * * * *"})
        scheduler.start()
        await asyncio.sleep(1_000.0)
        set_wall_clock(wall_now() + gap_s)
        await asyncio.sleep(max(-gap_s, 0.0) + 900.0)
        latest = OCTOBER + 1_900.0 + max(gap_s, 0.0)
        expected = [OCTOBER + 300.0 * n for n in range(1, int((latest - OCTOBER) // 300) + 1)]
        assert scheduler.memory.added == {scheduled_id("job", each): 1 for each in expected}
        await scheduler.kill()

    play(story, at=OCTOBER)


def test_no_more_than_a_thousand_due_times_are_caught_up_and_the_rest_is_told(caplog: Any) -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"every_s": 1.0})
        scheduler.start()
        await scheduler.kill()
        await asyncio.sleep(50_000.0)
        scheduler.start()
        await asyncio.sleep(0.5)
        record = scheduler.record("job")
        assert (record.made, record.through) == (1_000, OCTOBER + 50_000.0)
        assert record.missed >= 1_000
        assert set(scheduler.memory.added.values()) == {1}
        await scheduler.kill()

    play(story, at=OCTOBER)
    assert "missed due times" in caplog.text


def test_an_interval_keeps_its_phase_when_the_manager_is_restarted() -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"every_s": 70.0, "missed": "latest"})
        scheduler.start()
        await asyncio.sleep(100.0)
        await scheduler.kill()
        await asyncio.sleep(333.0)
        scheduler.start()
        await asyncio.sleep(100.0)
        # Of the five in the time without a manager, the latest is made.
        due = [OCTOBER + 70.0 * n for n in (1, 6, 7)]
        assert list(scheduler.memory.added) == [scheduled_id("job", each) for each in due]
        assert scheduler.record("job").missed == 4
        await scheduler.kill()

    play(story, at=OCTOBER)


@pytest.mark.parametrize("fraction", [0.0, 0.45, 0.99])
def test_no_due_time_before_the_declaration_is_made(fraction: float) -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"every_s": 0.1}, other={"every_s": 1.0})
        scheduler.start()
        await asyncio.sleep(0.005)
        made = len(scheduler.memory.added)
        await asyncio.sleep(2.0)
        # One of the short interval may have been due at this very moment.
        assert made <= 1
        assert scheduler.record("job").made in {20, 21}
        assert scheduler.record("other").made == 2
        await scheduler.kill()

    play(story, at=OCTOBER + fraction)


def test_due_times_of_another_cadence_count_from_its_declaration() -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"every_s": 100.0})
        scheduler.start()
        await asyncio.sleep(250.0)
        await scheduler.kill()
        scheduler.schedules = {"job": {"every_s": 60.0}}
        await asyncio.sleep(250.0)
        scheduler.start()
        await asyncio.sleep(70.0)
        due = [OCTOBER + each for each in (100.0, 200.0, 560.0)]
        assert list(scheduler.memory.added) == [scheduled_id("job", each) for each in due]
        await scheduler.kill()

    play(story, at=OCTOBER)
