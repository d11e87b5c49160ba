"""A blob is free when nobody holds it any more, and not before."""

from __future__ import annotations

from muster.agents.blobs.references import BlobHolders


def test_a_blob_is_free_with_its_last_holder() -> None:
    holders = BlobHolders()
    holders.hold(1, ["a", "b"])
    holders.hold("1", ["b"])
    holders.hold(1, ["c"])
    assert holders.release(1) == ["a", "c"]
    assert "b" in holders
    assert list(holders) == ["b"]
    assert holders.release("1") == ["b"]
    assert list(holders) == []


def test_who_holds_nothing_frees_nothing() -> None:
    holders = BlobHolders()
    holders.hold(1, ["a"])
    assert holders.release(2) == []
    assert holders.release(1) == ["a"]
    assert holders.release(1) == []


def test_holding_twice_is_holding_once() -> None:
    holders = BlobHolders()
    holders.hold(1, ["a", "a"])
    holders.hold(1, ["a"])
    assert holders.release(1) == ["a"]
    assert "a" not in holders
