"""Pages are fetched within limits, politely, and only from where they may be."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from muster.agents import run_in_virtual_time
from muster.agents.web import FetchLimits
from muster.agents.web.fetching import Fetcher
from muster.messages import AddressRefused, InvalidInput, PageUnavailable, RobotsForbid

MakeFetcher = Callable[..., Fetcher]


async def test_a_page_comes_as_text_with_its_place(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/leaf", "<p>flush é</p>", Content_Language="en")
    page = await make_fetcher().fetch(url + "#part")
    assert (page.url, page.media_type, page.language) == (url, "text/html", "en")
    assert page.text == "<p>flush é</p>"


# ------------------------------------------------------------------------------ where it may go


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "must start with http:// or https://"),
        ("ftp://tea.example/x", "must start with http:// or https://"),
        ("tea.example", "must start with http:// or https://"),
        ("javascript:alert(1)", "must start with http:// or https://"),
        ("http://", "has no host"),
        ("http://[::1", "is not a URL"),
        ("http://tea.example:99999/", "it must be 1 to 65,535"),
        ("https://ruwan:secret@tea.example/", "contains a user or password"),
        ("http://tea.example/" + "a" * 8_000, "has more than 8,000 characters"),
    ],
)
async def test_what_is_no_web_address_is_refused(
    url: str, why: str, make_fetcher: MakeFetcher
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await make_fetcher().fetch(url)
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_this_machine_is_refused_unless_it_is_allowed(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.serve("/leaf", "<p>flush</p>")
    with pytest.raises(AddressRefused, match="this machine itself"):
        await make_fetcher(allow=()).fetch(url)
    assert site.asked == []
    assert (await make_fetcher().fetch(url)).text == "<p>flush</p>"


async def test_a_redirect_is_followed_to_where_it_may(site: Any, make_fetcher: MakeFetcher) -> None:
    site.serve("/there", "<p>moved</p>")
    url = site.redirect("/here", "there")
    assert (await make_fetcher().fetch(url)).url == f"{site.address}/there"


async def test_a_redirect_to_a_forbidden_address_is_refused(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.redirect("/here", "http://169.254.169.254/latest/meta-data/")
    with pytest.raises(AddressRefused, match="a cloud's metadata service"):
        await make_fetcher().fetch(url)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://a:b@127.0.0.1/"])
async def test_a_redirect_to_no_web_address_is_refused(
    target: str, site: Any, make_fetcher: MakeFetcher
) -> None:
    with pytest.raises(PageUnavailable, match="has an invalid redirect"):
        await make_fetcher().fetch(site.redirect("/here", target))


async def test_redirects_in_a_circle_end(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.redirect("/round", "/round")
    with pytest.raises(PageUnavailable, match="redirects more than 3 times"):
        await make_fetcher(max_redirects=3).fetch(url)
    assert site.asked.count("/round") == 4


# ------------------------------------------------------------------------------------- limits


async def test_a_page_larger_than_the_limit_is_refused(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.serve("/large", b"x" * 1_001)
    with pytest.raises(PageUnavailable, match="has more than 1,000 bytes"):
        await make_fetcher(max_bytes=1_000).fetch(url)
    assert len((await make_fetcher(max_bytes=1_001).fetch(url)).text) == 1_001


@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
    ],
    ids=["gzip", "x-gzip", "deflate", "deflate without header"],
)
async def test_packed_pages_are_unpacked_up_to_the_limit(
    packing: str, pack: Callable[[bytes], bytes], site: Any, make_fetcher: MakeFetcher
) -> None:
    small = site.serve("/small", pack(b"flush" * 200), Content_Encoding=packing)
    bomb = site.serve("/bomb", pack(bytes(5_000_000)), Content_Encoding=packing)
    fetcher = make_fetcher(max_bytes=100_000)
    assert (await fetcher.fetch(small)).text == "flush" * 200
    with pytest.raises(PageUnavailable, match="has more than 100,000 bytes"):
        await fetcher.fetch(bomb)


@pytest.mark.parametrize(
    ("packing", "body", "why"),
    [
        ("br", b"whatever", "sent the encoding 'br'; only gzip, deflate"),
        ("gzip", b"not gzip at all", "sent invalid gzip"),
        ("gzip", gzip.compress(b"flush" * 99, mtime=0)[:-9], "sent incomplete gzip"),
    ],
)
async def test_what_cannot_be_unpacked_is_refused(
    packing: str, body: bytes, why: str, site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.serve("/odd", body, Content_Encoding=packing)
    with pytest.raises(PageUnavailable, match=why):
        await make_fetcher().fetch(url)


async def test_a_page_that_trickles_is_given_up_in_time(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.05)

    site.answers["/slow"] = trickle
    with pytest.raises(PageUnavailable, match=r"took more than 1 s, the limit for a page"):
        await make_fetcher(timeout_s=1.0).fetch(site.address + "/slow")


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "answered 404 Not Found"), (500, "answered 500"), (304, "answered 304")],
)
async def test_an_answer_that_is_no_page_tells_its_status(
    status: int, why: str, site: Any, make_fetcher: MakeFetcher
) -> None:
    with pytest.raises(PageUnavailable, match=why):
        await make_fetcher().fetch(site.serve("/odd", "", status))


async def test_a_busy_site_tells_when_to_come_back(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/busy", "", 429, Retry_After="120")
    with pytest.raises(PageUnavailable, match="Retry-After: 120"):
        await make_fetcher().fetch(url)


async def test_what_is_no_page_is_refused_by_its_type(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/paper", b"%PDF-1.7", kind="application/pdf")
    with pytest.raises(PageUnavailable, match="has the type application/pdf"):
        await make_fetcher().fetch(url)


async def test_a_port_where_nobody_listens_cannot_be_reached(make_fetcher: MakeFetcher) -> None:
    with pytest.raises(RobotsForbid, match=r"can't be loaded: '127.0.0.1' can't be reached"):
        await make_fetcher().fetch("http://127.0.0.1:9/")


@pytest.mark.parametrize("field", ["max_bytes", "timeout_s"])
def test_a_limit_that_leaves_no_room_is_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field} is 0; it must be above 0"):
        FetchLimits(**{field: 0})


@pytest.mark.parametrize("field", ["max_redirects", "pause_s", "longest_pause_s"])
def test_a_limit_below_zero_is_refused(field: str) -> None:
    assert getattr(FetchLimits(**{field: 0}), field) == 0
    with pytest.raises(InvalidInput, match=f"{field} is -1; it must be 0 or more"):
        FetchLimits(**{field: -1})


# --------------------------------------------------------------------------------- politeness


async def test_a_page_that_robots_txt_forbids_is_left_alone(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    site.serve("/robots.txt", "User-agent: *\nDisallow: /private/*\nAllow: /private/open\n")
    site.serve("/private/open", "<p>open</p>")
    fetcher = make_fetcher()
    with pytest.raises(RobotsForbid, match=r"forbids .*/private/leaf to 'ceylon-muster'"):
        await fetcher.fetch(f"{site.address}/private/leaf")
    assert (await fetcher.fetch(f"{site.address}/private/open")).text == "<p>open</p>"
    assert site.asked == ["/robots.txt", "/private/open"]


async def test_robots_txt_is_asked_for_again_behind_a_redirect(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    site.serve("/robots.txt", "User-agent: ceylon-muster\nDisallow: /there\n")
    with pytest.raises(RobotsForbid):
        await make_fetcher().fetch(site.redirect("/here", "/there"))


async def test_a_site_whose_robots_txt_is_broken_is_left_alone_until_it_is_mended(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    site.serve("/robots.txt", "", 503)
    url = site.serve("/leaf", "<p>flush</p>")
    fetcher = make_fetcher()
    with pytest.raises(RobotsForbid, match="can't be loaded: its status was 503"):
        await fetcher.fetch(url)
    site.serve("/robots.txt", "")
    assert (await fetcher.fetch(url)).text == "<p>flush</p>"


async def test_a_site_that_wants_long_pauses_is_left_alone(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    site.serve("/robots.txt", "User-agent: *\nCrawl-delay: 600\n")
    with pytest.raises(RobotsForbid, match="requires 600 s between requests; the limit is 30 s"):
        await make_fetcher().fetch(site.serve("/leaf", "<p>flush</p>"))


async def test_a_host_has_one_request_at_a_time(site: Any, make_fetcher: MakeFetcher) -> None:
    def slowly(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.01)
        request.send_response(200)
        request.send_header("Content-Length", "0")
        request.end_headers()

    paths = [f"/{number}" for number in range(8)]
    for path in paths:
        site.answers[path] = slowly
    fetcher = make_fetcher()
    await asyncio.gather(*(fetcher.fetch(site.address + path) for path in paths))
    assert site.most_at_once == 1
    assert site.asked == ["/robots.txt", *paths]


async def test_a_request_says_who_asks_and_keeps_no_cookies(
    site: Any, make_fetcher: MakeFetcher
) -> None:
    url = site.serve("/leaf", "<p>flush</p>", Set_Cookie="visitor=1")
    fetcher = make_fetcher()
    await fetcher.fetch(url)
    await fetcher.fetch(url)
    assert {each["User-Agent"] for each in site.headers} == {"ceylon-muster/0.1.0"}
    assert not any("Cookie" in each for each in site.headers)


def served_at(times: list[float], robots: str = "") -> httpx.MockTransport:
    """A transport that notes when it is asked for pages, in the time of the running loop."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/robots.txt":
            return httpx.Response(200, stream=httpx.ByteStream(robots.encode()))
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, stream=httpx.ByteStream(b"<p>flush</p>"))

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("robots", "pause_s"), [("", 2.0), ("User-agent: *\nCrawl-delay: 7\n", 7.0)]
)
def test_a_host_is_given_a_pause_between_requests_and_others_don_t_wait(
    robots: str, pause_s: float
) -> None:
    times: list[float] = []

    async def fetch_three_and_another() -> float:
        fetcher = Fetcher(FetchLimits(pause_s=2.0), transport=served_at(times, robots))
        loop = asyncio.get_running_loop()
        slow = [asyncio.ensure_future(fetcher.fetch(f"http://tea.example/{n}")) for n in range(3)]
        await asyncio.sleep(0)
        began = loop.time()
        await fetcher.fetch("http://other.example/")
        waited = loop.time() - began
        await asyncio.gather(*slow)
        return waited

    waited = run_in_virtual_time(fetch_three_and_another())
    assert waited == pytest.approx(0.0, abs=0.01)
    tea = sorted(times)
    assert tea[-1] - tea[0] == pytest.approx(2 * pause_s, abs=0.01)


def test_waiting_for_a_turn_does_not_count_against_the_page() -> None:
    times: list[float] = []

    async def fetch_many() -> None:
        limits = FetchLimits(pause_s=10.0, timeout_s=1.0)
        fetcher = Fetcher(limits, transport=served_at(times))
        await asyncio.gather(*(fetcher.fetch(f"http://tea.example/{n}") for n in range(5)))

    run_in_virtual_time(fetch_many())
    assert len(times) == 5
    assert times[-1] - times[0] == pytest.approx(40.0, abs=0.01)
