"""The managers of a store in JetStream know each other by the bucket of its lease."""

from __future__ import annotations

import asyncio
import os
import secrets
import time

import pytest
from muster.agents.kernel.board.rows import Rows
from muster.agents.standby.standby import Standby
from muster.agents.store.jet_stream import JetStreamStore
from muster.agents.store.managers import ManagerEntry, is_asked_to_hand_over
from muster.agents.store.places import managers_at

from ..nats_server import NatsServer

pytestmark = pytest.mark.nats


@pytest.fixture
def url(nats_server: NatsServer) -> str:
    return f"{nats_server.url}/managers-{secrets.token_hex(8)}"


def test_without_managers_there_are_none(url) -> None:
    managers = managers_at(url)
    assert managers.read() == []
    assert managers.find_handover_request() is None
    managers.withdraw()


def test_those_that_lead_and_those_that_stand_by_are_named(url) -> None:
    store = JetStreamStore(url, name="first")
    waiting = managers_at(url)
    waiting.announce(ManagerEntry("elsewhere", 4711, leads=False, since=5.0, page="http://page/"))
    leader, standby = store.managers.read()
    assert (leader.pid, leader.leads) == (os.getpid(), True)
    assert standby == ManagerEntry("elsewhere", 4711, leads=False, since=5.0, page="http://page/")
    assert waiting.read() == [leader, standby]
    waiting.withdraw()
    assert store.managers.read() == [leader]
    store.close()


def test_a_request_for_a_handover_reaches_the_manager_that_leads_and_no_later_one(url) -> None:
    first, waiting = JetStreamStore(url, name="first"), managers_at(url)
    waiting.announce(ManagerEntry("elsewhere", 4711, leads=False))
    assert not is_asked_to_hand_over(first.managers)
    # Before the leader looks for the first time, and before it has named itself.
    waiting.request_handover(waiting.read()[0])
    first.managers.announce(ManagerEntry.of_this_process(leads=True, since=time.time() + 1.0))
    assert is_asked_to_hand_over(first.managers)
    first.close()
    second = JetStreamStore(url, name="second")
    assert not is_asked_to_hand_over(second.managers)
    waiting.forget_handover_request()
    assert waiting.find_handover_request() is None
    waiting.withdraw()
    second.close()


def test_a_standby_leads_once_the_store_is_free(url) -> None:
    first = JetStreamStore(url, name="first")
    first.write(Rows(b"first"))

    async def stand_by() -> None:
        with Standby(url) as standby:
            opening = asyncio.create_task(standby.open_store())
            await asyncio.sleep(0)
            assert standby.find_leader() is not None
            assert not opening.done()
            first.close()
            store = await asyncio.wait_for(opening, 60.0)
            assert store.load() == Rows(b"first")
            assert [each.leads for each in standby.managers()] == [True]
            store.close()

    asyncio.run(stand_by())


@pytest.mark.slow
def test_an_entry_ends_with_its_process(url) -> None:
    waiting, other = managers_at(url), managers_at(url)
    waiting.announce(ManagerEntry("elsewhere", 4711, leads=False))
    assert len(other.read()) == 1
    time.sleep(3.0)
    assert len(other.read()) == 1
    assert waiting._opened is not None
    waiting._opened[0].close()
    ends_at = time.monotonic() + 60.0
    while other.read():
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    other.withdraw()
