"""Sizes as people write them."""

from __future__ import annotations

import pytest
from muster.agents.bench.measuring import make_payloads
from muster.agents.bench.sizes import read_size, show_size
from muster.messages import InvalidInput


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1MB", 1_000_000),
        ("1 mb", 1_000_000),
        (" 64KiB ", 65_536),
        ("1.5kB", 1_500),
        ("2GiB", 2 * 1024**3),
        ("1GB", 1_000_000_000),
        ("3MiB", 3 * 1024**2),
        ("100", 100),
        ("7B", 7),
    ],
)
def test_a_size_is_read(text: str, size_bytes: int) -> None:
    assert read_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["1XB", "", "MB", "-1MB", "1,000", "one MB", "1MB 2MB", "1e3", "٣MB"]
)
def test_what_is_no_size_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(InvalidInput, match="B, kB, MB, GB, KiB, MiB, GiB, such as 1MB") as told:
        read_size(text)
    assert repr(text) in str(told.value)


@pytest.mark.parametrize("text", ["0", "0MB", "0.5B"])
def test_less_than_a_byte_is_no_payload(text: str) -> None:
    with pytest.raises(InvalidInput, match="must be 1B or more"):
        read_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(1, "1 B"), (999, "999 B"), (1_500, "1.5 kB"), (1_000_000, "1 MB"), (2_500_000_000, "2.5 GB")],
)
def test_a_size_is_shown(size_bytes: int, text: str) -> None:
    assert show_size(size_bytes) == text


def test_payloads_are_as_large_as_wanted_and_no_two_alike() -> None:
    payloads = make_payloads(1_000, 20)
    assert {len(payload) for payload in payloads} == {1_000}
    assert len(set(payloads)) == 20
    assert [len(payload) for payload in make_payloads(3, 2)] == [3, 3]
