"""What is told of a page: its text and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.web.fetching import Fetcher
from muster.agents.web.outline import Outline
from muster.agents.web.page_reading import EmbeddedScraper
from muster.agents.web.response_body import decode_page
from muster.messages import PageUnavailable

MakeFetcher = Callable[..., Fetcher]


async def test_a_page_is_told_with_its_author_date_text_links_and_language(
    site: Any, make_fetcher: MakeFetcher, article: str
) -> None:
    url = site.serve("/flush/autumn", article)
    page = await EmbeddedScraper(make_fetcher()).scrape(url)
    assert page.title == "The autumn flush"
    assert page.author == "Asha Perera"
    assert page.date == "2026-03-04"
    assert page.language == "en-GB"
    assert page.links == [f"{site.address}/", f"{site.address}/flush/spring"]
    assert page.backend == "embedded"
    assert "It has to lie on the trough" in page.text
    assert "Copyright" not in page.text
    assert "Home" not in page.text
    assert not page.is_shortened


async def test_plain_text_is_taken_as_it_is(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/notes", "Two leaves.\nAnd a bud.\n", kind="text/plain")
    page = await EmbeddedScraper(make_fetcher()).scrape(url)
    assert page.text == "Two leaves.\nAnd a bud."
    assert (page.title, page.author, page.date, page.links, page.language) == (
        None,
        None,
        None,
        [],
        None,
    )


async def test_a_long_text_is_shortened_and_says_so(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/long", "leaf " * 50_000, kind="text/plain")
    page = await EmbeddedScraper(make_fetcher()).scrape(url)
    assert len(page.text) == 200_000
    assert page.is_shortened


async def test_a_page_without_text_is_a_failure(site: Any, make_fetcher: MakeFetcher) -> None:
    url = site.serve("/empty", "<html><body><script>draw()</script></body></html>")
    with pytest.raises(PageUnavailable, match="has no main text"):
        await EmbeddedScraper(make_fetcher()).scrape(url)


# -------------------------------------------------------------------------- links and language


def test_links_are_absolute_once_each_and_only_of_the_web() -> None:
    outline = Outline(
        '<a href="a">1</a><a href="a#part">2</a><a href="HTTPS://x.example/b">3</a>'
        '<a href="javascript:x()">4</a><a href="tel:1">5</a><a>6</a><a href="http://[x">7</a>',
        "http://tea.example/flush/",
    )
    assert outline.links == ["http://tea.example/flush/a", "https://x.example/b"]


def test_links_follow_the_base_that_the_page_names_and_are_bounded() -> None:
    links = "".join(f'<a href="{number}">x</a>' for number in range(600))
    outline = Outline(f'<base href="/other/">{links}', "http://tea.example/flush/")
    assert outline.links[0] == "http://tea.example/other/0"
    assert len(outline.links) == 500


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<html lang='si'>", "si"),
        ("<meta http-equiv='Content-Language' content='de-AT, en'>", "de-AT"),
        ("<html lang=''>", None),
        ("<html lang='<script>'>", None),
        ("<p>none</p>", None),
    ],
)
def test_the_language_is_what_the_page_names(html: str, language: str | None) -> None:
    assert Outline(html, "http://tea.example/").language == language


@pytest.mark.parametrize("piece", ["<a href='x'", "<!--", "</", "<a ", "&#", "<![CDATA[", "<div>"])
def test_broken_markup_is_read_in_good_time(piece: str) -> None:
    assert len(Outline(piece * 20_000, "http://tea.example/").links) <= 1


# ------------------------------------------------------------------------------------ charsets


@pytest.mark.parametrize(
    ("body", "told", "text"),
    [
        ("flush é".encode(), "utf-8", "flush é"),
        ("flush é".encode(), None, "flush é"),
        ("flush é".encode("latin-1"), None, "flush é"),
        ("flush é".encode("latin-1"), "iso-8859-1", "flush é"),
        (b"\x93flush\x94", "ISO-8859-1", "“flush”"),
        ("<meta charset='shift_jis'>茶".encode("shift_jis"), None, "<meta charset='shift_jis'>茶"),
        ("茶".encode("utf-16"), "utf-8", "茶"),
        ("\ufeff茶".encode(), None, "茶"),
        (b"flush \xff", "utf-8", "flush \ufffd"),
        ("flush é".encode(), "no-such-charset", "flush é"),
        (b"flush", "zip", "flush"),
        (b"flush", "idna", "flush"),
    ],
)
def test_a_pages_bytes_become_text(body: bytes, told: str | None, text: str) -> None:
    assert decode_page(body, told) == text
