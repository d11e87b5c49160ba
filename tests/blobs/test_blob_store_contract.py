"""What every blob store must do."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from muster.agents.blobs import directory as directory_blobs
from muster.agents.blobs import fsspec_store as fsspec_blobs
from muster.agents.blobs import nats_store as nats_blobs
from muster.agents.blobs import store as blob_store
from muster.agents.blobs.store import BlobStore
from muster.messages import BlobMissing, BlobUnusable

from .conftest import Place, name_of

CONTENT = bytes(range(256)) * 400
NAME = name_of(CONTENT)


def test_every_store_follows_the_protocol(store: BlobStore) -> None:
    assert isinstance(store, BlobStore)
    assert store.url.split(":")[0] in {"file", "memory", "nats"}


def test_what_is_written_is_read_by_another_store_of_the_same_place(place: Place) -> None:
    place.open().write(NAME, CONTENT)
    assert place.open().read(NAME) == CONTENT


def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    store.write(NAME, b"")
    assert store.read(NAME) == b""


def test_a_copy_is_another_blob(store: BlobStore) -> None:
    store.write(NAME, CONTENT)
    store.write(f"{NAME}-{'0' * 16}", b"copy")
    assert store.read(NAME) == CONTENT


def test_what_is_not_there_is_missed_by_name(store: BlobStore) -> None:
    with pytest.raises(BlobMissing, match=NAME[:12]):
        store.read(NAME)


def test_what_is_deleted_is_gone_and_may_be_deleted_again(place: Place) -> None:
    store = place.open()
    store.write(NAME, CONTENT)
    store.delete(NAME)
    store.delete(NAME)
    assert place.names() == set()


def test_what_is_there_stays_when_it_is_written_again(place: Place) -> None:
    store = place.open()
    store.write(NAME, CONTENT)
    store.write(NAME, b"something else, which no hash allows")
    assert store.read(NAME) == CONTENT
    assert place.names() == {NAME}


def test_a_sweep_takes_what_is_old_and_what_was_left_half_written(place: Place) -> None:
    store, other = place.open(), name_of(b"other")
    for name in (NAME, other):
        store.write(name, CONTENT)
    unfinished = f"{name_of(b'third')}.{'0' * 16}.unfinished"
    place.put(unfinished, b"ha")
    place.put("somebody's notes", b"keep")
    for name in (NAME, unfinished, "somebody's notes"):
        place.age(name, 100_000)
    assert store.sweep(90_000) == 1
    assert place.names() == {other, "somebody's notes"}


def test_a_sweep_spares_what_it_is_told_to(place: Place) -> None:
    store = place.open()
    store.write(NAME, CONTENT)
    place.age(NAME, 100_000)
    assert store.sweep(90_000, spared={NAME}) == 0
    assert place.names() == {NAME}


def test_what_is_written_again_counts_as_new(place: Place) -> None:
    store = place.open()
    store.write(NAME, CONTENT)
    place.age(NAME, 100_000)
    store.write(NAME, CONTENT)
    assert store.sweep(90_000) == 0
    assert store.read(NAME) == CONTENT


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../" * 5 + "etc/passwd",
        "/etc/passwd",
        f"../{NAME}",
        f"{NAME}/../../x",
        f"{NAME}\n",
        f"{NAME}\0",
        NAME.upper(),
        NAME[:-1],
        NAME + "0",
        f"{NAME}-",
        f"{NAME}-{'g' * 16}",
        "file:///etc/passwd",
        "x" * 1_000_000,
    ],
)
def test_no_name_leads_elsewhere(store: BlobStore, name: str) -> None:
    for access in (store.read, store.delete, lambda name: store.write(name, b"")):
        with pytest.raises(BlobUnusable, match="is not the name of a blob") as raised:
            access(name)
        assert len(str(raised.value)) < 600


def test_more_than_may_be_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.open()
    place.put(NAME, b"x" * 101)
    for room in (blob_store, directory_blobs, fsspec_blobs, nats_blobs):
        monkeypatch.setattr(room, "MAX_BLOB_BYTES", 100)
    with pytest.raises(BlobUnusable, match="100 bytes"):
        store.read(NAME)


def test_many_threads_may_write_and_read_one_blob(place: Place) -> None:
    store = place.open()
    wrong: list[Any] = []

    def go() -> None:
        for _ in range(20):
            store.write(NAME, CONTENT)
            if store.read(NAME) != CONTENT:
                wrong.append("half")

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert place.names() == {NAME}
