"""The page of a manager that stands by."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from muster.agents.live.standby_page import StandbyPage
from muster.agents.store.managers import ManagerEntry
from muster.messages import NatsUnusable

STANDBY = ManagerEntry("beta", 7, leads=False, since=2.0)


async def ask(page: StandbyPage, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{page.url}{path}")


def see(managers: list[ManagerEntry], *paths: str) -> list[httpx.Response]:
    async def story() -> list[httpx.Response]:
        async with StandbyPage(lambda: managers) as page:
            return [await ask(page, path) for path in paths]

    return asyncio.run(story())


def test_a_standby_is_alive_but_not_ready_and_names_the_leader() -> None:
    leader = ManagerEntry("alpha", 4711, leads=True, since=1.0, page="http://alpha:8080/")
    alive, ready, page, api = see([leader, STANDBY], "healthz", "readyz", "", "api/tasks")
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["leader"] == leader.to_payload()
    assert '<a href="http://alpha:8080/">' in page.text
    assert [page.status_code, api.status_code] == [503, 503]


@pytest.mark.parametrize(
    ("managers", "told"),
    [
        ([STANDBY], "No manager is known to lead the run"),
        ([ManagerEntry("<b>", 1, leads=True), STANDBY], "process 1 on &lt;b&gt; leads the run"),
        ([ManagerEntry("a", 1, leads=True, page="javascript:x()")], "process 1 on a"),
    ],
)
def test_the_page_of_a_standby_says_who_leads(managers: list[ManagerEntry], told: str) -> None:
    (page,) = see(managers, "")
    assert told in page.text
    assert "href" not in page.text


def test_a_standby_is_alive_while_the_server_of_its_store_is_away() -> None:
    def fail() -> list[ManagerEntry]:
        raise NatsUnusable("gone", may_pass=True)

    async def story() -> list[httpx.Response]:
        async with StandbyPage(fail) as page:
            return [await ask(page, path) for path in ("healthz", "readyz", "")]

    alive, ready, page = asyncio.run(story())
    assert [alive.status_code, ready.status_code, page.status_code] == [200, 503, 503]
    assert ready.json()["leader"] is None
    assert "No manager is known to lead" in page.text
