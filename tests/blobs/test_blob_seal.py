"""What blobs are called and how they are sealed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.security.blob_seal import BLOB_OVERHEAD_BYTES, BlobSeal, is_blob_name
from muster.agents.kernel.security.sealed_frame import KeyRing
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.messages import BlobCorrupt

KEY = bytes(range(32))
KEYS = pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "open"])


def test_names_and_seals_are_those_that_stores_have_kept() -> None:
    seal = BlobSeal(KEY)
    name = "b2d751c6ea67deff837ec8a37085d85ce8a2345b92740a54c6298fb6a441d951"
    copy = "1af31484bd4063a78e121c6994c2da21ab8dd7ac556e6db1bdec88a60d8e49e6"
    assert seal.name(b"tea") == name
    assert seal.name(b"tea", "Ada/1") == f"{copy}-33492fe2498f2e6b"
    assert seal.seal(name, b"tea").hex() == "71531d4abb85baab7f401f288ca02484948055"
    assert BlobSeal(None).name(b"tea", "Ada/1") == (
        "a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42-33492fe2498f2e6b"
    )


def test_a_sealed_copy_is_named_by_whose_it_is_and_opens_under_that_name_alone() -> None:
    seal = BlobSeal(bytes(32))
    name, other = seal.name(b"tea", "Ada/1"), seal.name(b"tea", "Ada/2")
    assert name != other
    assert name == seal.name(b"leaves", "Ada/1")
    assert seal.open(name, seal.seal(name, b"tea")) == b"tea"
    with pytest.raises(BlobCorrupt):
        seal.open(other, seal.seal(name, b"tea"))
    assert BlobSeal(None).name(b"tea", "Ada/1") != BlobSeal(None).name(b"leaves", "Ada/1")


@KEYS
@given(content=st.binary(max_size=300), copy_of=st.text(max_size=5))
def test_what_was_sealed_opens_under_its_name(
    key: bytes | None, content: bytes, copy_of: str
) -> None:
    seal = BlobSeal(key)
    name = seal.name(content, copy_of)
    assert is_blob_name(name)
    kept = seal.seal(name, content)
    assert len(kept) <= len(content) + BLOB_OVERHEAD_BYTES
    assert BlobSeal(key).open(name, kept) == content


@KEYS
def test_equal_contents_share_a_name_unless_they_are_copies_of_different_ones(
    key: bytes | None,
) -> None:
    seal = BlobSeal(key)
    assert seal.name(b"leaf") == seal.name(b"leaf")
    names = {seal.name(b"leaf"), seal.name(b"leaf", "a"), seal.name(b"leaf", "b"), seal.name(b"l")}
    assert len(names) == 4
    assert seal.seal(seal.name(b"leaf"), b"leaf") == seal.seal(seal.name(b"leaf"), b"leaf")


@KEYS
@given(where=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_bit_altered_is_found_out(key: bytes | None, where: int, bit: int) -> None:
    seal = BlobSeal(key)
    content = b"the morning's leaf " * 10
    name = seal.name(content)
    kept = bytearray(seal.seal(name, content))
    kept[where % len(kept)] ^= 1 << bit
    with pytest.raises(BlobCorrupt, match=name[:12]):
        seal.open(name, bytes(kept))


@KEYS
@pytest.mark.parametrize("kept", [b"", b"x", b"x" * 16, os.urandom(1000)])
def test_anything_else_is_found_out(key: bytes | None, kept: bytes) -> None:
    seal = BlobSeal(key)
    with pytest.raises(BlobCorrupt):
        seal.open(seal.name(b"leaf"), kept)


def test_a_blob_opens_under_no_other_name() -> None:
    seal = BlobSeal(KEY)
    kept = seal.seal(seal.name(b"leaf"), b"leaf")
    for other in (seal.name(b"leaf", "copy"), seal.name(b"bud")):
        with pytest.raises(BlobCorrupt):
            seal.open(other, kept)


def test_without_the_secret_neither_name_nor_content_tells_anything() -> None:
    content = b"the wages of the pickers"
    sealed, stranger = BlobSeal(KEY), BlobSeal(None)
    name = sealed.name(content)
    assert name != stranger.name(content)
    assert content not in sealed.seal(name, content)
    other = BlobSeal(bytes(32))
    assert other.name(content) != name
    with pytest.raises(BlobCorrupt):
        other.open(name, sealed.seal(name, content))


def test_each_workspace_has_its_own_key_which_is_that_of_no_frame() -> None:
    secret = WorkspaceSecret(KEY)
    keys = {KeyRing(secret, workspace).blob_key() for workspace in ("estate", "other")}
    assert len(keys) == 2
    assert KEY not in keys
    assert KeyRing(secret, "estate").blob_key() in keys
