"""A blob is free when nobody holds it any more, and not before."""

from __future__ import annotations

from muster.agents.blobs.references import BlobReferences


def test_a_blob_is_free_with_its_last_holder() -> None:
    references = BlobReferences()
    references.hold(1, ["a", "b"])
    references.hold("1", ["b"])
    references.hold(1, ["c"])
    assert references.release(1) == ["a", "c"]
    assert "b" in references
    assert list(references) == ["b"]
    assert references.release("1") == ["b"]
    assert list(references) == []


def test_who_holds_nothing_frees_nothing() -> None:
    references = BlobReferences()
    references.hold(1, ["a"])
    assert references.release(2) == []
    assert references.release(1) == ["a"]
    assert references.release(1) == []


def test_holding_twice_is_holding_once() -> None:
    references = BlobReferences()
    references.hold(1, ["a", "a"])
    references.hold(1, ["a"])
    assert references.release(1) == ["a"]
    assert "a" not in references
