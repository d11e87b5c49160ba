"""Blobs in an object store of JetStream: what a server may do to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from uuid import uuid4

import pytest
from muster.agents.blobs.nats_store import NatsBlobs
from muster.agents.blobs.places import check_place, open_place
from muster.messages import BlobUnusable, InvalidInput

from ..nats_server import NatsServer

pytestmark = pytest.mark.nats

CONTENT = bytes(range(256)) * 2000
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(nats_server: NatsServer) -> Iterator[NatsBlobs]:
    opened = open_place(f"{nats_server.url}/blobs-{uuid4().hex}", create=True)
    assert isinstance(opened, NatsBlobs)
    yield opened
    opened.close()


def in_stream(blobs: NatsBlobs) -> int:
    """How many messages the server keeps."""
    context = blobs._bucket._context
    return blobs._stream.run(context.stream_info(blobs._bucket._stream)).state.messages


def test_what_is_deleted_or_swept_leaves_nothing_at_the_server(blobs) -> None:
    for delete in (lambda: blobs.delete(NAME), lambda: blobs.sweep(-1.0)):
        blobs.write(NAME, CONTENT)
        assert in_stream(blobs) > 2
        delete()
        assert in_stream(blobs) == 0


def test_what_a_writer_left_half_written_is_swept(blobs) -> None:
    blobs.write(NAME, CONTENT)
    before = in_stream(blobs)
    bucket = blobs._bucket
    blobs._stream.run(bucket._context.publish(bucket._chunks(uuid4().hex), b"half"))
    assert blobs.sweep(3600.0) == 0
    assert in_stream(blobs) == before + 1
    assert blobs.sweep(-1.0, spared={NAME}) == 0
    assert in_stream(blobs) == before
    assert blobs.read(NAME) == CONTENT


@pytest.mark.parametrize("left", [b"", b"other"])
def test_a_damaged_blob_is_told_and_not_waited_for(blobs, left: bytes) -> None:
    blobs.write(NAME, CONTENT)
    bucket = blobs._bucket
    info = blobs._stream.run(bucket._info(NAME))
    assert info is not None
    chunks = bucket._chunks(info.nuid)
    blobs._stream.run(bucket._context.purge_stream(bucket._stream, subject=chunks))
    blobs._stream.run(bucket._context.publish(chunks, left * 1000))
    with pytest.raises(BlobUnusable, match="is damaged at the server"):
        blobs.read(NAME)


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_blob_is_read_that_is_written_again_meanwhile(blobs, monkeypatch, is_direct) -> None:
    bucket = blobs._bucket
    bucket._is_direct = is_direct
    blobs.write(NAME, CONTENT)
    find, found = bucket._info, 0

    async def find_and_write_again(name: str):
        nonlocal found
        info = await find(name)
        found += 1
        if found in {2, 3}:  # the first is for the size
            await bucket._objects.put(name, CONTENT)
        return info

    monkeypatch.setattr(bucket, "_info", find_and_write_again)
    assert blobs.read(NAME) == CONTENT
    assert found == 4


def test_a_full_bucket_is_told(nats_server: NatsServer) -> None:
    place = f"{nats_server.url}/blobs-{uuid4().hex}?max_bytes=100000"
    blobs = open_place(place, create=True)
    with pytest.raises(BlobUnusable, match=r"can't be written: .*no room left"):
        blobs.write(NAME, CONTENT)
    blobs.close()


def test_a_bucket_that_is_not_there_is_told(nats_server: NatsServer) -> None:
    with pytest.raises(BlobUnusable, match=r"there is no object store .*never-made"):
        open_place(f"{nats_server.url}/never-made")


def test_a_wrong_url_is_told_before_anything_is_opened() -> None:
    with pytest.raises(InvalidInput, match="two words"):
        check_place("nats://127.0.0.1:1/two words")
    with pytest.raises(BlobUnusable, match="two words"):
        open_place("nats://127.0.0.1:1/two words")
