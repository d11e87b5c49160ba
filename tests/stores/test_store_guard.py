"""Stores whose files are deleted or replaced while they are open, and other openers."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from muster.agents.kernel.board.rows import NOTHING, Rows
from muster.agents.store.file_lock import find_holder
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.messages import StoreLost, StoreUnusable

from .conftest import task_row

KEPT = Rows(b"kept", tuple(task_row(number + 1, number) for number in range(50)))
MORE = Rows(b"more")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.write(KEPT)
    yield store
    store.close()


def beside(path: Path, suffix: str) -> Path:
    return Path(f"{path}{suffix}")


def delete(*suffixes: str) -> Callable[[Path], None]:
    def do(path: Path) -> None:
        for suffix in suffixes:
            beside(path, suffix).unlink()

    return do


def rename_over(*suffixes: str) -> Callable[[Path], None]:
    """What a network drive, an editor or `mv` does."""

    def do(path: Path) -> None:
        for suffix in suffixes:
            beside(path, ".other").write_bytes(b"something else")
            beside(path, ".other").replace(beside(path, suffix))

    return do


def put_a_folder_there(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_a_dangling_link_there(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def remove_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def replace_by_another_store(path: Path) -> None:
    other = path.with_name("other.db")
    SqliteStore(other).close()
    other.replace(path)


LOSSES = [
    pytest.param(delete(""), id="database_deleted"),
    pytest.param(delete(".lock"), id="lock_deleted"),
    pytest.param(delete("-wal"), id="wal_deleted"),
    pytest.param(delete("-shm"), id="shm_deleted"),
    pytest.param(delete("", "-wal", "-shm"), id="database_and_what_sqlite_keeps_deleted"),
    pytest.param(delete("", "-wal", "-shm", ".lock"), id="all_deleted"),
    pytest.param(rename_over(""), id="database_replaced"),
    pytest.param(rename_over(".lock"), id="lock_replaced"),
    pytest.param(rename_over("", ".lock"), id="database_and_lock_replaced"),
    pytest.param(replace_by_another_store, id="another_store_in_its_place"),
    pytest.param(put_a_folder_there, id="a_folder_in_its_place"),
    pytest.param(put_a_dangling_link_there, id="a_dangling_link_in_its_place"),
    pytest.param(move_away, id="moved"),
    pytest.param(remove_the_folder, id="folder_removed"),
]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_loss_is_noticed_at_the_next_write_and_all_that_was_kept_is_saved(
    tmp_path: Path, lose: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "run.db"
    store = SqliteStore(path)
    store.write(KEPT)
    lose(path)
    for rows in (MORE, NOTHING, MORE):
        with pytest.raises(StoreLost, match=r"was (deleted|replaced) while in use") as lost:
            store.write(rows)
    store.close()
    saved = lost.value.copy
    assert saved is not None
    assert saved in str(lost.value)
    assert read_store(saved).tasks == KEPT.tasks
    # Where the store's place is empty, and nobody else can have taken it, the run goes on there.
    again = SqliteStore(saved)
    assert again.load().tasks == KEPT.tasks
    again.close()


@pytest.mark.parametrize("lose", LOSSES[:-1])
def test_what_is_found_in_the_place_is_left_alone(
    path: Path, lose: Callable[[Path], None], store: SqliteStore
) -> None:
    lose(path)
    found = path.read_bytes() if path.is_file() else None
    is_ours = find_holder(path).held
    with pytest.raises(StoreLost):
        store.write(MORE)
    store.close()
    if found is not None and not is_ours:
        assert path.read_bytes() == found
    if path.is_dir():
        assert list(path.iterdir()) == []


def cut_off(share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        log = beside(path, "-wal")
        os.truncate(log, int(log.stat().st_size * share))

    return cut


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
def test_a_log_that_was_cut_off_is_noticed_before_it_is_filled_again(
    path: Path, store: SqliteStore, share: float
) -> None:
    for _ in range(20):
        store.write(KEPT)
        store.write(MORE)
    cut_off(share)(path)
    for _ in range(2):
        with pytest.raises(StoreLost, match=r"run\.db-wal' was truncated while it was in use"):
            store.write(MORE)
    store.close()


def test_a_log_that_another_program_has_emptied_in_order_is_no_loss(
    path: Path, store: SqliteStore
) -> None:
    store.write(KEPT)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert beside(path, "-wal").stat().st_size == 0
    store.write(MORE)
    store.close()
    assert len(read_store(path).tasks) == len({row.task_id for row in (*KEPT.tasks, *MORE.tasks)})


def test_trying_to_write_notices_a_loss_too(path: Path, store: SqliteStore) -> None:
    store.write(NOTHING)
    beside(path, ".lock").unlink()
    with pytest.raises(StoreLost, match=r"run\.db\.lock' was deleted"):
        store.write(NOTHING)


def test_the_one_who_lost_its_store_takes_nothing_from_the_next(
    path: Path, store: SqliteStore
) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        beside(path, suffix).unlink()
    following = SqliteStore(path)
    following.write(MORE)
    with pytest.raises(StoreLost) as lost:
        store.write(KEPT)
    store.close()
    following.write(Rows(b"goes on"))
    assert beside(path, "-wal").exists()
    assert read_store(path).run == b"goes on"
    following.close()
    assert read_store(path) == Rows(b"goes on")
    assert read_store(str(lost.value.copy)).tasks == KEPT.tasks


# ------------------------------------------------------------------ one manager at a time

HOLD = """
import os, signal, sys
from muster.agents.kernel.board.rows import Rows
from muster.agents.store.sqlite import SqliteStore
child = 0
for line in sys.stdin:
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        child = 0
        print("killed", flush=True)
    else:
        child = os.fork()
        if not child:
            store = SqliteStore(line.rstrip("\\n"))
            store.write(Rows(b"held"))
            print("held", flush=True)
            signal.pause()
"""
"""Is told a path, and has a child hold a store there; is told anything, and kills the child."""


def as_it_is(path: Path) -> Path:
    return path


def without_its_lock(path: Path) -> Path:
    beside(path, ".lock").unlink()
    return path


def with_another_lock(path: Path) -> Path:
    beside(path, ".new-lock").touch()
    beside(path, ".new-lock").replace(beside(path, ".lock"))
    return path


def by_a_link(path: Path) -> Path:
    link = path.with_name("link.db")
    link.symlink_to(path)
    return link


def by_a_link_to_its_folder(path: Path) -> Path:
    link = path.parent.parent / "other"
    link.symlink_to(path.parent)
    return link / path.name


def by_a_second_name(path: Path) -> Path:
    name = path.with_name("second.db")
    os.link(path, name)
    return name


def by_a_second_name_alone(path: Path) -> Path:
    name = by_a_second_name(path)
    path.unlink()
    return name


def by_a_roundabout_way(path: Path) -> Path:
    return path.parent / "." / ".." / path.parent.name / path.name


def by_a_relative_way(path: Path) -> Path:
    return Path(os.path.relpath(path))


def by_a_new_name(path: Path) -> Path:
    return path.rename(path.with_name("moved.db"))


WAYS = [
    as_it_is,
    without_its_lock,
    with_another_lock,
    by_a_link,
    by_a_link_to_its_folder,
    by_a_second_name,
    by_a_second_name_alone,
    by_a_roundabout_way,
    by_a_relative_way,
    by_a_new_name,
]


@pytest.fixture(scope="module")
def tell_holder() -> Iterator[Callable[[object], str]]:
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def tell(what: object) -> str:
            print(what, file=process.stdin, flush=True)
            assert process.stdout is not None
            return process.stdout.readline().rstrip()

        yield tell


@pytest.mark.processes
@pytest.mark.parametrize("way", WAYS)
def test_no_second_manager_comes_to_a_store_by_any_way(
    tmp_path: Path, tell_holder: Callable[[object], str], way: Callable[[Path], Path]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "run.db"
    assert tell_holder(path) == "held"
    try:
        other = way(path)
        with pytest.raises(StoreUnusable, match=r"is held by|names \(hard links\)"):
            SqliteStore(other)
        assert find_holder(other).held is True
    finally:
        assert tell_holder("kill it") == "killed"
    assert find_holder(other).held is False


@pytest.mark.parametrize("way", WAYS)
def test_no_second_store_is_opened_in_one_process_by_any_way(
    tmp_path: Path, way: Callable[[Path], Path]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "run.db"
    store = SqliteStore(path)
    store.write(KEPT)
    other = way(path)
    with pytest.raises(StoreUnusable, match=r"is held by|names \(hard links\)"):
        SqliteStore(other)
    assert find_holder(other).held is True
    with contextlib.suppress(StoreLost):
        store.write(NOTHING)
    store.close()
    assert find_holder(other).held is False


def test_a_link_that_leads_nowhere_yet_leads_to_the_new_store(tmp_path: Path, path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    store = SqliteStore(link)
    store.write(KEPT)
    store.close()
    assert link.is_symlink()
    assert read_store(path) == KEPT


@pytest.mark.parametrize("place", ["into_no_folder", "round_and_round"])
def test_a_link_that_can_lead_nowhere_is_refused(tmp_path: Path, place: str) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(link if place == "round_and_round" else tmp_path / "none" / "run.db")
    with pytest.raises(StoreUnusable):
        SqliteStore(link)
    assert [each.name for each in tmp_path.iterdir() if not each.is_symlink()] == []


@pytest.mark.parametrize("kind", ["folder", "link", "dangling_link", "pipe"])
def test_what_stands_in_the_locks_place_is_neither_followed_nor_changed(
    tmp_path: Path, path: Path, kind: str
) -> None:
    lock, other = beside(path, ".lock"), tmp_path / "other"
    if kind == "folder":
        lock.mkdir()
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.symlink_to(other)
    if kind == "link":
        other.write_bytes(b"precious")
    if kind == "pipe":
        # Not every Python can lock a pipe as it locks a file; in any case it stays a pipe.
        with contextlib.suppress(StoreUnusable):
            SqliteStore(path).close()
        assert lock.is_fifo()
        return
    with pytest.raises(StoreUnusable, match=r"can't be locked"):
        SqliteStore(path)
    assert not path.exists()
    assert other.exists() is (kind == "link")
    if kind == "link":
        assert other.read_bytes() == b"precious"


# ------------------------------------------------------------------ modes


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def test_all_files_of_a_new_store_are_for_its_owner_alone(path: Path, umask: int) -> None:
    store = SqliteStore(path)
    store.write(KEPT)
    names = ("run.db", "run.db-wal", "run.db-shm", "run.db.lock")
    assert modes(path.parent) == dict.fromkeys(names, 0o600)
    store.close()
    assert modes(path.parent) == {"run.db": 0o600, "run.db.lock": 0o600}


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_store_keeps_the_mode_that_its_owner_chose(path: Path, is_empty: bool) -> None:
    if is_empty:
        path.touch()
    else:
        SqliteStore(path).close()
    path.chmod(0o640)
    store = SqliteStore(path)
    store.write(KEPT)
    names = ("run.db", "run.db-wal", "run.db-shm", "run.db.lock")
    assert modes(path.parent) == dict.fromkeys(names, 0o640)
    store.close()


@pytest.mark.parametrize("suffix", [".new", ".new-journal"])
def test_a_link_in_the_place_of_an_unfinished_store_is_not_followed(
    tmp_path: Path, path: Path, suffix: str
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    beside(path, suffix).symlink_to(other)
    SqliteStore(path).close()
    assert other.read_bytes() == b"precious"
    assert not path.is_symlink()
