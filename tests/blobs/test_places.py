"""Directories and URLs for blobs: what is made, what is refused, and what is left of them."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from muster.agents import TaskManager
from muster.agents.blobs import offload
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.blobs.fsspec_store import FsspecBlobs
from muster.agents.blobs.places import OwnDirectory, open_place
from muster.agents.blobs.store import BlobStore
from muster.messages import BlobMissing, BlobUnusable, ExtraMissing, InvalidInput

from .conftest import name_of

NAME = name_of(b"x")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_directory_of_ours_is_for_this_user_alone_and_goes_when_closed(temporary: Path) -> None:
    store = OwnDirectory()
    (directory,) = temporary.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    store.write(NAME, b"x")
    assert stat.S_IMODE((directory / NAME).stat().st_mode) == 0o600
    store.close()
    assert list(temporary.iterdir()) == []


def test_a_directory_of_ours_keeps_what_others_put_there(tmp_path: Path) -> None:
    store = OwnDirectory(tmp_path / "blobs")
    store.write(NAME, b"x")
    (tmp_path / "blobs" / "notes").write_text("mine")
    store.close()
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == ["notes"]


def test_directories_of_dead_managers_go_and_those_of_live_ones_stay(temporary: Path) -> None:
    script = (
        "import os, sys, tempfile; from muster.agents.blobs.places import OwnDirectory\n"
        "tempfile.tempdir = sys.argv[1]; OwnDirectory().write(sys.argv[2], b'x'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(temporary), NAME], check=False)
    (dead,) = temporary.iterdir()
    live = OwnDirectory()
    (live_directory,) = set(temporary.iterdir()) - {dead}
    # The dead one is young still: its workers may be about to read.
    assert (dead / NAME).exists()
    for directory in (dead, live_directory):
        then = time.time() - 100_000
        os.utime(directory, (then, then))
    OwnDirectory().close()
    assert set(temporary.iterdir()) == {live_directory}
    live.close()


def test_a_worker_makes_no_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BlobUnusable, match="no directory"):
        open_place((tmp_path / "elsewhere").as_uri())
    assert list(tmp_path.iterdir()) == []


def test_a_file_url_is_a_directory_and_needs_no_extra(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    assert isinstance(open_place(folder.as_uri()), DirectoryBlobs)
    assert isinstance(open_place(folder), DirectoryBlobs)
    assert open_place(folder.as_uri()).url == folder.as_uri()


def test_another_url_is_one_of_fsspecs() -> None:
    store = open_place("memory://estate")
    assert isinstance(store, FsspecBlobs)
    assert isinstance(store, BlobStore)


@pytest.mark.parametrize("url", ["moonbase://crater", "://", "file://otherhost/etc"])
def test_a_url_that_nobody_serves_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(BlobUnusable, match=r"can't be opened|no directory|names a host"):
        open_place(url)


def test_a_chain_of_urls_is_refused() -> None:
    with pytest.raises(BlobUnusable, match="chain"):
        open_place("simplecache::memory://estate")
    with pytest.raises(InvalidInput, match="chain"):
        TaskManager(port=0, blobs="simplecache::memory://estate")


def test_what_is_secret_in_a_url_is_not_told() -> None:
    with pytest.raises(BlobUnusable) as raised:
        open_place("moonbase://ada:hunter2@crater/path?token=hunter2")
    assert "hunter2" not in str(raised.value)
    assert "crater" in str(raised.value)


def test_without_fsspec_a_url_is_refused_by_the_name_of_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ExtraMissing, match=r"ceylon-muster\[blobs\]"):
        TaskManager(port=0, blobs="s3://bucket/folder")
    with pytest.raises(BlobUnusable, match=r"ceylon-muster\[blobs\]"):
        open_place("s3://bucket/folder")


@pytest.mark.parametrize("threshold", [-1, -(2**70)])
def test_a_threshold_below_zero_is_refused(threshold: int) -> None:
    with pytest.raises(InvalidInput, match="blob_threshold_bytes"):
        TaskManager(port=0, blob_threshold_bytes=threshold)


def test_neither_links_nor_pipes_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store = DirectoryBlobs(tmp_path / "blobs", create=True)
    (tmp_path / "blobs" / NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(BlobUnusable):
        store.read(NAME)
    (tmp_path / "blobs" / NAME).unlink()
    os.mkfifo(tmp_path / "blobs" / NAME)
    with pytest.raises(BlobUnusable, match="no file"):
        store.read(NAME)


def test_a_directory_that_was_cleaned_away_is_made_again_by_its_manager(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path / "blobs", create=True)
    (tmp_path / "blobs").rmdir()
    store.write(NAME, b"x")
    assert store.read(NAME) == b"x"


def test_a_file_in_the_place_of_the_directory_is_told_of(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path / "blobs", create=True)
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("in the way")
    for access in (store.read, store.delete, lambda name: store.write(name, b"x")):
        with pytest.raises(BlobUnusable, match="blobs") as raised:
            access(NAME)
        assert not isinstance(raised.value, BlobMissing)
    with pytest.raises(BlobUnusable, match="can't be swept"):
        store.sweep(1.0)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DirectoryBlobs(tmp_path, create=True)
    write = os.write

    def write_some(file: int, content: bytes) -> int:
        if len(content) <= 500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, content[:100])

    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(BlobUnusable, match="No space left"):
        store.write(NAME, b"x" * 1000)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_hangs_is_waited_for_no_longer_than_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offload, "STORE_TIMEOUT_S", 0.05)
    goes_on = threading.Event()

    async def play() -> str:
        threads = offload.BlobThreads()
        with pytest.raises(BlobUnusable, match=r"did not answer within 0\.05 s"):
            await threads.run(goes_on.wait)
        goes_on.set()
        answer = await threads.run(lambda: "there")
        threads.close()
        return answer

    assert asyncio.run(play()) == "there"
