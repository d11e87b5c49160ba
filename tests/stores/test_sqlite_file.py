"""The file of a SQLite store: a refusal names the reason, and leaves the file unchanged."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.rows import Rows, WorkerRow
from muster.agents.store import sqlite_file
from muster.agents.store.file_lock import find_holder
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.agents.store.sqlite_file import APPLICATION_ID
from muster.messages import StoreUnusable

from .conftest import task_row

ROWS = Rows(
    b"run",
    tuple(task_row(number + 1, number, b"state %d" % number * 20) for number in range(200)),
    (WorkerRow("Ada", b"here"),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store that was closed in order."""
    path = tmp_path / "run.db"
    store = SqliteStore(path)
    store.write(ROWS)
    store.close()
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but for SQLite's own scratch file."""
    files = (each for each in folder.iterdir() if each.is_file())
    return {each.name: each.read_bytes() for each in files if not each.name.endswith("-shm")}


def refusals(path: Path) -> tuple[str, str]:
    """How the manager and the reader are refused; the folder must not change by it."""
    before = contents(path.parent)
    with pytest.raises(StoreUnusable) as of_manager:
        SqliteStore(path)
    with pytest.raises(StoreUnusable) as of_reader:
        read_store(path)
    assert contents(path.parent) == before
    return str(of_manager.value), str(of_reader.value)


def test_a_closed_store_is_one_file_and_its_lock(path) -> None:
    assert {each.name for each in path.parent.iterdir()} == {"run.db", "run.db.lock"}


def test_the_file_bears_our_mark_and_its_version(path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (
            len(sqlite_file.MIGRATIONS),
        )
    assert path.read_bytes()[68:72] == b"Mstr"


def test_reading_a_closed_store_leaves_nothing_behind(path) -> None:
    before = contents(path.parent)
    assert read_store(path) == ROWS
    assert contents(path.parent) == before
    assert not Path(f"{path}-shm").exists()


def test_an_empty_file_becomes_a_store(tmp_path) -> None:
    path = tmp_path / "run.db"
    path.touch()
    store = SqliteStore(path)
    store.write(ROWS)
    store.close()
    assert read_store(path) == ROWS


def test_what_an_interrupted_making_left_behind_is_in_nobodys_way(tmp_path) -> None:
    path = tmp_path / "run.db"
    for suffix in (".new", ".new-wal", ".new-shm", ".new-journal"):
        Path(f"{path}{suffix}").write_bytes(b"half a store")
    SqliteStore(path).close()
    assert {each.name for each in tmp_path.iterdir()} == {"run.db", "run.db.lock"}


def test_a_path_with_signs_that_mean_something_in_addresses(tmp_path) -> None:
    path = tmp_path / "100% of it?mode=ro#here ☂.db"
    SqliteStore(path).close()
    assert read_store(path) == Rows()


def test_a_link_to_a_store_is_that_store(path, tmp_path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    store = SqliteStore(path)
    with pytest.raises(StoreUnusable, match="held by"):
        SqliteStore(link)
    store.close()
    assert read_store(link) == ROWS


def test_a_store_of_a_newer_version_is_left_alone(path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for refusal in refusals(path):
        newest = len(sqlite_file.MIGRATIONS)
        assert f"has version 99, and this Muster supports versions up to {newest}" in refusal
        assert "open it with the Muster that wrote it" in refusal


def test_a_store_of_a_newer_version_whose_manager_was_killed_is_left_alone(path) -> None:
    # With a -wal that whoever closes the file last would write into it.
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    with _killed_with_its_wal(connection, path) as copy:
        assert Path(f"{copy}-wal").stat().st_size > 0
        for refusal in refusals(copy):
            assert "has version 99" in refusal


@contextlib.contextmanager
def _killed_with_its_wal(connection: sqlite3.Connection, path: Path) -> Iterator[Path]:
    folder = path.parent / "copy"
    folder.mkdir()
    for suffix in ("", "-wal"):
        (folder / f"{path.name}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    connection.close()
    yield folder / path.name


def test_a_sqlite_file_of_others_is_left_alone(tmp_path) -> None:
    path = tmp_path / "photos.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photo (name TEXT)")
    for refusal in refusals(path):
        assert "is a SQLite file, but not a store of Muster; name another file" in refusal


@pytest.mark.parametrize("size", [1, 50, 100, 512, 5_000])
def test_a_file_that_is_not_of_sqlite_is_left_alone(tmp_path, size) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear Ada, " * size)
    for refusal in refusals(path):
        assert "file is not a database; name a store's file" in refusal


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_a_truncated_store_is_refused(path, share) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    for refusal in refusals(path):
        assert re.search("is damaged|malformed|not a database", refusal), refusal


def test_a_store_with_damaged_pages_is_refused(path) -> None:
    whole = bytearray(path.read_bytes())
    whole[4096:] = random.Random(7).randbytes(len(whole) - 4096)
    path.write_bytes(whole)
    for refusal in refusals(path):
        assert re.search("is damaged|malformed", refusal), refusal
        assert "restore it from a copy, or create a new one in another file" in refusal


def test_a_changed_byte_in_what_was_written_is_found(path) -> None:
    whole = path.read_bytes()
    at = whole.index(b"state 17")
    path.write_bytes(whole[:at] + b"S" + whole[at + 1 :])
    with pytest.raises(StoreUnusable, match="is damaged: a checksum does not match"):
        read_store(path)
    store = SqliteStore(path)
    with pytest.raises(StoreUnusable, match="is damaged: a checksum does not match"):
        store.load()
    store.close()


@pytest.mark.slow
@settings(max_examples=50)
@given(data=st.data())
def test_whatever_bytes_are_damaged_a_store_is_refused_or_loads_as_it_was(
    tmp_path_factory, data
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "run.db"
    store = SqliteStore(path)
    store.write(ROWS)
    store.close()
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1) | st.integers(0, 120))
        for offset in range(data.draw(st.integers(1, 300))):
            whole[(at + offset) % len(whole)] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with contextlib.suppress(StoreUnusable):
        assert read_store(path) == ROWS
    assert path.read_bytes() == whole
    with contextlib.suppress(StoreUnusable):
        store = SqliteStore(path)
        with contextlib.closing(store):
            assert store.load() == ROWS


def test_a_folder_is_not_a_store(tmp_path) -> None:
    folder = tmp_path / "run.db"
    folder.mkdir()
    for refusal in refusals(folder):
        assert "it is a folder; name a file" in refusal


def test_a_pipe_is_not_a_store(tmp_path) -> None:
    pipe = tmp_path / "run.db"
    os.mkfifo(pipe)
    for refusal in refusals(pipe):
        assert "it is not a file; name a file" in refusal


def test_there_must_be_a_folder(tmp_path) -> None:
    of_manager, of_reader = refusals_of_nothing(tmp_path / "missing" / "run.db")
    assert f"there is no folder {str(tmp_path / 'missing')!r}; create it first" in of_manager
    assert "there is no folder" in of_reader
    assert list(tmp_path.iterdir()) == []


def test_reading_needs_a_store_and_makes_none(tmp_path) -> None:
    with pytest.raises(StoreUnusable, match=r"there is no store .*; a manager that uses this"):
        read_store(tmp_path / "run.db")
    assert list(tmp_path.iterdir()) == []


def refusals_of_nothing(path: Path) -> tuple[str, str]:
    with pytest.raises(StoreUnusable) as of_manager:
        SqliteStore(path)
    with pytest.raises(StoreUnusable) as of_reader:
        read_store(path)
    return str(of_manager.value), str(of_reader.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc on this system")
def test_where_nobody_may_make_a_file_no_store_is_made() -> None:
    # Not even root may.
    of_manager, of_reader = refusals_of_nothing(Path("/proc/run.db"))
    assert "can't be locked" in of_manager
    assert "choose a folder" in of_manager
    assert "there is no store" in of_reader


def test_a_wal_whose_store_is_gone_is_not_written_into_a_new_one(path) -> None:
    store = SqliteStore(path)
    store.write(Rows(b"goes on"))
    wal = Path(f"{path}-wal").read_bytes()
    store.close()
    path.unlink()
    Path(f"{path}-wal").write_bytes(wal)
    for refusal in refusals(path):
        assert "does not exist, but its" in refusal
    path.touch()
    for refusal in refusals(path):
        assert "does not exist, but its" in refusal


HOLD = """
import sys
from muster.agents.kernel.board.rows import Rows
from muster.agents.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
store.write(Rows(b"held"))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_store_that_a_living_manager_holds_is_refused_until_it_is_dead(path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        before = contents(path.parent)
        with pytest.raises(StoreUnusable) as refusal:
            SqliteStore(path)
        assert contents(path.parent) == before
        assert f"is held by the manager of process {owner.pid}" in str(refusal.value)
        assert "wait until it ends, stop it, or give this manager another file" in str(
            refusal.value
        )
        assert read_store(path).run == b"held"
        assert find_holder(path) == (True, owner.pid, "")
        owner.kill()
    assert find_holder(path) == (False, None, "")
    assert read_store(path).run == b"held"
    store = SqliteStore(path)
    assert store.load() == ROWS._replace(run=b"held")
    store.close()


def test_nobody_holds_a_store_that_was_never_opened_here(tmp_path) -> None:
    assert find_holder(tmp_path / "run.db") == (False, None, "")
    assert list(tmp_path.iterdir()) == []


ADD_A_COLUMN = "ALTER TABLE run ADD COLUMN note TEXT"


def columns(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {str(row[1]) for row in connection.execute("PRAGMA table_info(run)")}


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_old_store_is_brought_to_the_newest_version(path, monkeypatch) -> None:
    newest = len(sqlite_file.MIGRATIONS) + 2
    mark = "UPDATE run SET note = 'was older'"
    monkeypatch.setattr(
        sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, (ADD_A_COLUMN,), (mark,))
    )
    store = SqliteStore(path)
    assert store.load() == ROWS
    store.close()
    assert version(path) == newest
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT note FROM run").fetchone() == ("was older",)


def test_an_old_store_is_read_as_if_it_were_new_and_stays_old(path, monkeypatch) -> None:
    mark = "UPDATE run SET note = 'new'"
    monkeypatch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, (ADD_A_COLUMN, mark)))
    before = contents(path.parent)

    def read_note(connection: sqlite3.Connection) -> object:
        return connection.execute("SELECT note FROM run").fetchone()

    assert sqlite_file.read_snapshot(path, read_note) == ("new",)
    assert read_store(path) == ROWS
    assert contents(path.parent) == before


def test_a_migration_that_fails_leaves_the_old_store_as_it_was(path, monkeypatch) -> None:
    before = path.read_bytes()
    broken = ((ADD_A_COLUMN,), ("UPDATE run SET note = 'new'", "INSERT INTO nowhere VALUES (1)"))
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_file, "MIGRATIONS", (*sqlite_file.MIGRATIONS, *broken))
        with pytest.raises(StoreUnusable, match="can't be opened: no such table: nowhere"):
            SqliteStore(path)
    assert path.read_bytes() == before
    assert version(path) == len(sqlite_file.MIGRATIONS)
    assert columns(path) == {"only", "state", "checksum"}
    store = SqliteStore(path)
    assert store.load() == ROWS
    store.close()
