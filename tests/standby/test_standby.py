"""A standby waits until its store is free, and opens it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from muster.agents import Standby, TaskManager
from muster.agents.store.sqlite import SqliteStore
from muster.messages import InvalidInput, StoreUnusable, Task


def test_a_standby_opens_a_store_that_is_free_and_leads(tmp_path: Path) -> None:
    with Standby(tmp_path / "run.db") as standby:
        assert standby.find_leader() is None
        store = asyncio.run(standby.open_store())
        leader = standby.find_leader()
        assert leader is not None
        assert (leader.pid, leader.leads) == (os.getpid(), True)
        assert standby.find_other_leader() is None, "it would say that another leads"
        store.close()
    assert standby.managers() == []


def test_a_standby_waits_while_another_manager_has_the_store(tmp_path: Path) -> None:
    async def wait_for_it() -> None:
        first = SqliteStore(tmp_path / "run.db")
        with Standby(tmp_path / "run.db") as standby:
            opening = asyncio.ensure_future(standby.open_store())
            await asyncio.sleep(0.3)
            assert not opening.done()
            first.close()
            (await asyncio.wait_for(opening, 60)).close()

    asyncio.run(wait_for_it())


def test_a_store_that_can_not_be_opened_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_text("this is a letter, and no store")
    with Standby(tmp_path / "run.db") as standby, pytest.raises(StoreUnusable):
        asyncio.run(standby.open_store())


def test_a_run_without_a_store_can_not_be_handed_over() -> None:
    manager = TaskManager(quiet=True, port=0)
    assert manager.managers() == []
    with pytest.raises(InvalidInput, match=r"no manager stands by; start one with .*--standby"):
        manager.hand_over()


def test_a_run_without_a_standby_can_not_be_handed_over(tmp_path: Path) -> None:
    task = Task(id=1, description="wait")
    manager = TaskManager([task], quiet=True, port=0, store=tmp_path / "run.db")
    try:
        assert [each.pid for each in manager.managers()] == [os.getpid()]
        with pytest.raises(InvalidInput, match="no manager stands by"):
            manager.hand_over()
    finally:
        manager.close()


def test_a_manager_that_has_handed_over_leaves_the_store_to_another_standby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.agents.standby.standby.GIVE_WAY_S", 3_600.0)

    async def hand_over_and_back() -> None:
        with Standby(tmp_path / "run.db") as former, Standby(tmp_path / "run.db") as other:
            former.give_way()
            waiting = asyncio.ensure_future(former.open_store())
            # However slow the others are.
            await asyncio.sleep(0.3)
            assert not waiting.done()
            taken = await other.open_store()
            ends_at = time.monotonic() + 60
            while former._gives_way_until and time.monotonic() < ends_at:
                await asyncio.sleep(0.01)
            taken.close()
            # Once another has led, it takes its turn at once.
            (await asyncio.wait_for(waiting, 60)).close()

    asyncio.run(hand_over_and_back())
