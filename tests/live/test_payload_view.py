"""Data and outputs are told as JSON, but not if that would take long."""

from __future__ import annotations

import time
from typing import Any

import pytest
from muster.agents.live.json_views import MAX_CHARACTERS, view_payload


@pytest.mark.parametrize("value", [None, 7, "leaf", [1, [2, {"kg": 3.5}]], "x" * 200_000])
def test_what_is_short_is_told(value: Any) -> None:
    assert view_payload(value) == value


def test_bytes_are_told_as_base64() -> None:
    assert view_payload(b"leaf") == {"$base64": "bGVhZg=="}


@pytest.mark.parametrize(
    "value",
    [
        *("x" * (MAX_CHARACTERS + 1), b"x" * 10**8, list(range(10**6))),
        {n: n for n in range(10**6)},
        [[["x" * 1000] * 100] * 100] * 100,
    ],
    ids=["text", "bytes", "list", "dict", "the same many times"],
)
def test_what_is_long_is_not_told_and_takes_no_time(value: Any) -> None:
    began = time.process_time()
    told = view_payload(value)
    assert time.process_time() - began < 0.5
    assert told == "(more than 256 KiB as JSON, which is not shown here)"
