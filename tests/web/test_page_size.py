"""A long page is read as far as a second or two allow, and what is read of it is its beginning."""

from __future__ import annotations

from html import unescape

import pytest
from muster.agents.web import page_size
from muster.agents.web.fetching import FetchedPage
from muster.agents.web.page_reading import describe
from muster.agents.web.page_size import (
    MAX_ATTRIBUTES,
    MAX_ELEMENTS,
    MAX_TEXT_CHARACTERS_READ,
    shorten_page,
)

FIVE_MB = 5_000_000


def repeated(piece: str) -> str:
    return f"<html><body>{piece * (FIVE_MB // len(piece))}</body></html>"


SHAPES = {
    "paragraphs": repeated("<p>The leaf was weighed in the morning and judged by Ada.</p>"),
    "cells": repeated("<table><tr><td>7</td><td>tea leaf</td></tr></table>"),
    "links": repeated("<a href='/p/1'>a page of the estate</a> "),
    "breaks": repeated("leaf weighed<br>"),
    "empty elements": repeated("<b></b>"),
    "one text": repeated("word "),
    "nested": f"<html><body>{'<div>' * (FIVE_MB // 11)}x{'</div>' * (FIVE_MB // 11)}</body></html>",
    "unclosed": "<html><body>" + "<div><p>x" * (FIVE_MB // 9),
    "broken": "<<>><" * (FIVE_MB // 5),
    "attributes": f"<p {'a=b ' * (FIVE_MB // 4)}>x</p>",
}


@pytest.mark.parametrize("page", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_read_of_five_megabytes_is_bounded(page: str) -> None:
    shortened, _ = shorten_page(page)
    assert shortened.count("<") <= 3 * MAX_ELEMENTS
    text = unescape("".join(piece.partition(">")[2] for piece in shortened.split("<")))
    assert len(text) <= 2 * MAX_TEXT_CHARACTERS_READ


# Each is an attribute, and how many there are of it; joined in the tests, since it takes a while.
CROWDED = {
    "a long page": ("a%d=b", FIVE_MB // 10),
    "a page of usual length": ("a%d=b", 36_000),
    "names with brackets": ("a%d<=b", 36_000),
    "odd names": ('a%d:"<é=b', 36_000),
    "values with brackets": ("a%d='>'", 36_000),
}


@pytest.mark.parametrize(
    ("hidden", "shape"),
    [
        *(("", shape) for shape in CROWDED),
        ("<script>if (x<b && c=='</script>", "names with brackets"),
        ("<textarea><script>", "values with brackets"),
    ],
)
def test_of_an_element_with_very_many_attributes_a_few_are_read(hidden: str, shape: str) -> None:
    attribute, count = CROWDED[shape]
    attributes = " ".join(attribute % number for number in range(count))
    shortened, _ = shorten_page(f"<body><p>tea</p>{hidden}</textarea><p {attributes}>leaf</p>")
    assert len(shortened) < 40 * MAX_ATTRIBUTES
    assert "tea</p>" in shortened


def test_a_page_of_usual_length_stays_as_it_is() -> None:
    page = "<p>tea" * 1_000
    assert shorten_page(page) == (page, False)


def test_a_page_that_is_long_for_its_scripts_loses_none_of_its_text() -> None:
    padding = f"<script>{'x' * FIVE_MB}</script><!-- {'y' * 1_000} -->"
    page = f"<html><body>{padding}<p>The end of it.</p></body></html>"
    shortened, is_cut = shorten_page(page)
    assert "The end of it." in shortened
    assert len(shortened) < 200
    assert not is_cut


def test_what_is_read_is_the_beginning_and_the_page_says_that_it_is_shortened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_size, "READ_WHOLE_CHARACTERS", 1_000)
    monkeypatch.setattr(page_size, "MAX_ELEMENTS", 20)
    pieces = (f"<p>Leaf {number} was weighed and judged by Ada.</p>" for number in range(100))
    html = f"<html><body><article>{''.join(pieces)}</article></body></html>"
    told = describe("http://a/", FetchedPage("http://a/", "text/html", "en", html), backend="any")
    assert told.is_shortened
    assert told.text.splitlines()[0].startswith("Leaf 0 was")
    assert "Leaf 15 was" in told.text
    assert "Leaf 30 was" not in told.text
