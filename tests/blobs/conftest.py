"""Every kind of blob store, by the place where it keeps its blobs; and runs with large data."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.blobs.places import OwnDirectory
from muster.agents.blobs.store import BlobStore

from ..nats_server import NatsServer


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Place:
    """Where blobs are kept.

    Args:
        open: opens a store there.
        names: what is there, unfinished things too.
        put: puts something there under any name, past all stores.
        close: ends the connection to the place, if there is one.
        age: has something look as if it had been written so many seconds earlier.
    """

    open: Callable[[], BlobStore]
    names: Callable[[], set[str]]
    put: Callable[[str, bytes], None]
    age: Callable[[str, float], None]
    close: Callable[[], None] | None = None


def _files(folder: Path, open_store: Callable[[], BlobStore]) -> Place:
    def age(name: str, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(folder / name, (then, then))

    return Place(
        open_store,
        lambda: {path.name for path in folder.iterdir() if not path.name.endswith(".lock")},
        lambda name, content: (folder / name).write_bytes(content) and None,
        age,
    )


def in_directory(folder: Path) -> Place:
    return _files(folder, lambda: DirectoryBlobs(folder, create=True))


def in_own_directory(folder: Path) -> Place:
    return _files(folder, lambda: OwnDirectory(folder))


def in_fsspec_files(folder: Path) -> Place:
    from muster.agents.blobs.fsspec_store import FsspecBlobs

    return _files(folder, lambda: FsspecBlobs(folder.as_uri(), create=True))


def in_fsspec_memory(folder: Path) -> Place:
    del folder
    from fsspec.implementations.memory import MemoryFileSystem
    from muster.agents.blobs.fsspec_store import FsspecBlobs

    system, root = MemoryFileSystem(), f"/{uuid4().hex}"

    def age(name: str, seconds: float) -> None:
        then = datetime.now(timezone.utc) - timedelta(seconds=seconds)
        system.store[f"{root}/{name}"].modified = then

    return Place(
        lambda: FsspecBlobs(f"memory:/{root}", create=True),
        lambda: {path.rsplit("/", 1)[-1] for path in system.ls(root, detail=False)},
        lambda name, content: system.pipe_file(f"{root}/{name}", content),
        age,
    )


_SERVERS: list[NatsServer] = []
"""The server of this process, once a test needs it."""


def in_jet_stream(folder: Path) -> Place:
    del folder
    from muster.agents.blobs.nats_store import NatsBlobs

    made = NatsBlobs(f"{_SERVERS[0].url}/blobs-{uuid4().hex}", create=True)
    stream, bucket = made._stream, made._bucket

    def age(name: str, seconds: float) -> None:
        then = datetime.now(timezone.utc) - timedelta(seconds=seconds)

        async def go() -> None:
            info = await bucket._info(name)
            if info is not None:
                info.mtime = then.isoformat()
                content = json.dumps(info.as_dict()).encode()
                headers = {"Nats-Rollup": "sub"}
                await bucket._context.publish(bucket._subject(name), content, headers=headers)

        stream.run(go())

    def put(name: str, content: bytes) -> None:
        if name.endswith(".unfinished"):
            # What a writer that crashed has left; no name belongs to it.
            stream.run(bucket._context.publish(bucket._chunks(uuid4().hex), content))
        else:
            stream.run(bucket.put(name, content))

    def names() -> set[str]:
        return {info.name for info in stream.run(bucket._infos()) if not info.deleted}

    return Place(lambda: NatsBlobs(made.url), names, put, age, made.close)


@pytest.fixture(
    params=[
        in_directory,
        in_own_directory,
        in_fsspec_files,
        in_fsspec_memory,
        pytest.param(in_jet_stream, marks=pytest.mark.nats),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param is in_jet_stream:
        _SERVERS[:] = [request.getfixturevalue("nats_server")]
    folder = tmp_path / "blobs"
    folder.mkdir()
    place: Place = request.param(folder)
    opened: list[BlobStore] = []
    open_store = place.open

    def open_and_note() -> BlobStore:
        opened.append(open_store())
        return opened[-1]

    place.open = open_and_note
    yield place
    if place.close is not None:
        for store in opened:
            store.close()
        place.close()


@pytest.fixture
def store(place: Place) -> Iterator[BlobStore]:
    store = place.open()
    yield store
    store.close()
