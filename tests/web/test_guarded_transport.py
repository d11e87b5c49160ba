"""Requests go to the address that was checked, and to no other."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from muster.agents.web.addresses import AddressRules
from muster.agents.web.guarded_transport import GuardedTransport, resolve_by_system
from muster.messages import AddressRefused, PageUnavailable

PUBLIC = "93.184.215.14"


class Seen(httpx.AsyncBaseTransport):
    """Takes requests in place of the network."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.requests: list[httpx.Request] = []
        self.dead = dead

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.dead:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(200)


def answering(*answers: Sequence[str]) -> object:
    rest = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return rest.pop(0) if len(rest) > 1 else rest[0]

    return resolve


async def send(url: str, seen: Seen, *answers: Sequence[str], allow: Sequence[str] = ()) -> None:
    transport = GuardedTransport(AddressRules(allow), answering(*answers), seen)
    await transport.handle_async_request(httpx.Request("GET", url))


async def test_the_request_goes_to_the_checked_address_under_the_hosts_name() -> None:
    seen = Seen()
    await send("https://tea.example:8443/leaf?a=1", seen, [PUBLIC])
    request = seen.requests[0]
    assert str(request.url) == f"https://{PUBLIC}:8443/leaf?a=1"
    assert request.headers["Host"] == "tea.example:8443"
    assert request.extensions["sni_hostname"] == "tea.example"


async def test_a_name_server_that_changes_its_mind_is_not_asked_twice() -> None:
    seen = Seen()
    await send("http://rebind.example/", seen, [PUBLIC], ["127.0.0.1"])
    assert [request.url.host for request in seen.requests] == [PUBLIC]


async def test_one_forbidden_address_among_several_refuses_them_all() -> None:
    seen = Seen()
    with pytest.raises(AddressRefused, match=r"'mixed.example' is at 10.0.0.5, which is an addr"):
        await send("http://mixed.example/", seen, [PUBLIC, "10.0.0.5"])
    assert seen.requests == []


async def test_the_next_address_is_tried_when_the_first_is_dead() -> None:
    seen = Seen(dead=["2606:2800::1"])
    await send("http://tea.example/", seen, ["2606:2800::1", PUBLIC])
    assert [request.url.host for request in seen.requests] == ["2606:2800::1", PUBLIC]


async def test_a_host_whose_addresses_are_all_dead_cannot_be_reached() -> None:
    with pytest.raises(PageUnavailable, match=r"'tea.example' can't be reached: nobody there"):
        await send("http://tea.example/", Seen(dead=[PUBLIC]), [PUBLIC])


async def test_a_host_without_an_address_cannot_be_had() -> None:
    with pytest.raises(PageUnavailable, match="has no address"):
        await send("http://tea.example/", Seen(), [])


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "localhost"])
async def test_spellings_of_this_machine_are_refused_by_the_systems_resolver(host: str) -> None:
    transport = GuardedTransport(AddressRules(), resolve_by_system, Seen())
    with pytest.raises(AddressRefused, match="this machine itself"):
        await transport.handle_async_request(httpx.Request("GET", f"http://{host}/"))


async def test_a_host_that_does_not_exist_cannot_be_found() -> None:
    with pytest.raises(PageUnavailable, match=r"the host 'nowhere.invalid' can't be resolved"):
        await resolve_by_system("nowhere.invalid", 80)
