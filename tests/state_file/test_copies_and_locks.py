"""Copies of corrupt files, writers that overwrite in place, and lock files that are removed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import StateFileTaskManager
from muster.messages import StoreBusy, StoreCorrupt, StoreUnusable

CORRUPT = b'{"workflow_type": "tea", "metadata": {}, "tasks": {"a": {"type'
DEADLINE_S = 180


def copy_of(state_file: Path, content: bytes = CORRUPT) -> Path:
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Path(f"{state_file}.corrupt-{digest}")


@pytest.fixture
def corrupt(state_file: Path) -> Path:
    state_file.parent.mkdir()
    state_file.write_bytes(CORRUPT)
    return state_file


def copies(state_file: Path) -> list[Path]:
    return sorted(state_file.parent.glob("*.corrupt-*"))


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077], ids=oct)
def test_all_files_of_a_new_state_file_have_the_mode_that_the_umask_gives(
    make_either: Any, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        make_either(survives_power_loss=False).create_task("brew")
    finally:
        os.umask(before)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) in {2, 4}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o666 & ~umask}


# ------------------------------------------------------------------ copies


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666], ids=oct)
def test_a_copy_is_for_its_owner_alone(make: Any, corrupt: Path, umask: int, mode: int) -> None:
    corrupt.chmod(mode)
    before = os.umask(umask)
    try:
        with pytest.raises(StoreCorrupt) as refused:
            make()
    finally:
        os.umask(before)
    (copy,) = copies(corrupt)
    assert refused.value.copy == str(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert copy.read_bytes() == CORRUPT


def put_link(copy: Path, other: Path) -> None:
    other.write_bytes(b"precious")
    copy.symlink_to(other)


def put_dangling_link(copy: Path, other: Path) -> None:
    copy.symlink_to(other)


def put_hard_link(copy: Path, other: Path) -> None:
    other.write_bytes(b"precious")
    os.link(other, copy)


def put_folder(copy: Path, other: Path) -> None:
    copy.mkdir()


def put_pipe(copy: Path, other: Path) -> None:
    os.mkfifo(copy)


def put_other_content(copy: Path, other: Path) -> None:
    copy.write_bytes(b"x" * len(CORRUPT))


@pytest.mark.parametrize(
    "put",
    [put_link, put_dangling_link, put_hard_link, put_folder, put_pipe, put_other_content],
)
def test_what_stands_in_a_copys_place_is_neither_followed_nor_changed(
    make: Any, corrupt: Path, tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    copy, other = copy_of(corrupt), tmp_path / "other"
    put(copy, other)
    before = copy.lstat()
    for _ in range(3):
        with pytest.raises(StoreCorrupt) as refused:
            make()
    assert copy.lstat()[:7] == before[:7]
    if put in {put_link, put_hard_link}:
        assert other.read_bytes() == b"precious"
    else:
        assert not other.exists()
    kept = Path(str(refused.value.copy))
    assert kept != copy
    assert kept.read_bytes() == CORRUPT
    assert sorted([copy, kept]) == copies(corrupt)


def test_what_a_killed_process_has_written_of_a_copy_is_completed(make: Any, corrupt: Path) -> None:
    copy_of(corrupt).write_bytes(CORRUPT[:10])
    with pytest.raises(StoreCorrupt):
        make()
    assert [each.read_bytes() for each in copies(corrupt)] == [CORRUPT]


def test_each_content_has_one_copy_whoever_comes_upon_it(make: Any, corrupt: Path) -> None:
    contents = [CORRUPT, CORRUPT[:-1], b"[]", CORRUPT]
    for content in contents:
        corrupt.write_bytes(content)
        for _ in range(3):
            with pytest.raises(StoreCorrupt):
                make()
    assert {each.read_bytes() for each in copies(corrupt)} == set(contents)
    assert len(copies(corrupt)) == 3


COME_UPON = """
import sys
from muster.agents import StateFileTaskManager
from muster.messages import StoreCorrupt
for _ in range(5):
    try:
        StateFileTaskManager(sys.argv[1], lock_timeout=180)
    except StoreCorrupt as fault:
        assert fault.copy is not None
    else:
        raise SystemExit("it was not refused")
"""


@pytest.mark.processes
def test_processes_that_come_upon_it_together_keep_one_copy(corrupt: Path) -> None:
    command = [sys.executable, "-c", COME_UPON, str(corrupt)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(DEADLINE_S) for process in processes] == [0, 0, 0]
    assert [each.read_bytes() for each in copies(corrupt)] == [CORRUPT]


@pytest.mark.parametrize("kind", ["folder_in_its_place", "link_in_its_place"])
def test_the_file_itself_may_be_replaced_by_something_else(
    make: Any, state_file: Path, tmp_path: Path, kind: str
) -> None:
    manager = make()
    manager.create_task("brew")
    state_file.unlink()
    if kind == "folder_in_its_place":
        state_file.mkdir()
        told = "is a folder"
    else:
        state_file.symlink_to(tmp_path / "nowhere")
        told = "no longer exists"
    for call in (lambda: manager.create_task("brew"), manager.get_status_summary):
        with pytest.raises(StoreUnusable, match=told):
            call()
    assert not (tmp_path / "nowhere").exists()


def test_a_link_that_leads_nowhere_yet_leads_to_the_new_file(
    make: Any, tmp_path: Path, state_file: Path
) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(state_file)
    make(link).create_task("brew")
    assert link.is_symlink()
    assert len(json.loads(state_file.read_bytes())["tasks"]) == 1


# ------------------------------------------------------------------ who writes in place

WRITE_IN_PLACE = """
import fcntl, json, os, sys, time
file, enough = sys.argv[1:]
lock = os.open(file + ".lock", os.O_RDWR | os.O_CREAT, 0o666)
rounds = 0
while rounds <= 3 or not os.path.exists(enough):
    fcntl.flock(lock, fcntl.LOCK_EX)
    with open(file, "r+", encoding="utf-8") as state:
        document = json.load(state)
        rounds += 1
        document["metadata"]["rounds"] = rounds
        document["padding"] = "x" * (1000 + 997 * rounds % 5000)
        text = json.dumps(document, indent=1)
        state.seek(0)
        state.truncate()
        for start in range(0, len(text), 700):
            state.write(text[start:start + 700])
            state.flush()
            time.sleep(0.0005)
    fcntl.flock(lock, fcntl.LOCK_UN)
    time.sleep(0.001)
print(rounds)
"""


@pytest.mark.processes
@pytest.mark.parametrize("writes_too", [False, True])
def test_who_writes_in_place_under_the_lock_makes_nobody_cry_corruption(
    make: Any, state_file: Path, tmp_path: Path, writes_too: bool
) -> None:
    manager = make(lock_timeout=DEADLINE_S)
    ids = [manager.create_task("brew", {"cup": number}) for number in range(20)]
    enough = tmp_path / "enough"
    command = [sys.executable, "-c", WRITE_IN_PLACE, str(state_file), str(enough)]
    readings = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while writer.poll() is None:
            summary = manager.get_status_summary()
            assert summary["total_tasks"] == 20
            # Readings of what the other has written.
            readings += "rounds" in manager.workflow_metadata
            if writes_too and ids:
                assert manager.get_next_task("ada")["id"] == ids[0]
                assert manager.complete_task(ids.pop(0), "ada") is True
            elif readings > 100:
                enough.touch()
        rounds = int(writer.stdout.read())
    assert rounds > 3
    assert copies(state_file) == []
    assert manager.workflow_metadata["rounds"] == rounds
    done = manager.get_status_summary()["status_counts"]["completed"]
    assert done == (20 - len(ids) if writes_too else 0)


def test_a_reader_waits_for_a_writer_no_longer_than_the_timeout(make: Any, corrupt: Path) -> None:
    with open(f"{corrupt}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy):
            make(lock_timeout=0.05)
    assert copies(corrupt) == []
    with pytest.raises(StoreCorrupt):
        make(lock_timeout=0.05)


def test_a_reader_takes_what_stands_there_when_the_writer_has_finished(
    make: Any, state_file: Path
) -> None:
    manager = make(lock_timeout=180)
    task_id = manager.create_task("brew")
    whole = state_file.read_bytes()
    seen: list[Any] = []
    with open(f"{state_file}.lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state_file.write_bytes(whole[: len(whole) // 2])
        reader = threading.Thread(target=lambda: seen.append(manager.get_task(task_id)))
        reader.start()
        reader.join(0.2)
        assert seen == []
        state_file.write_bytes(whole)
    reader.join(DEADLINE_S)
    assert seen[0]["id"] == task_id
    assert copies(state_file) == []


# ------------------------------------------------------------------ the lock's file


def delete_lock(lock: Path) -> None:
    lock.unlink()


def replace_lock(lock: Path) -> None:
    new = lock.with_suffix(".new-lock")
    new.touch()
    new.replace(lock)


def put_folder_in_its_place(lock: Path) -> None:
    lock.unlink()
    lock.mkdir()


REMOVALS = [delete_lock, replace_lock, put_folder_in_its_place]


@pytest.mark.parametrize("remove", REMOVALS)
def test_a_lock_removed_while_it_is_held_lets_nobody_undo_what_another_does(
    make: Any, state_file: Path, remove: Callable[[Path], None]
) -> None:
    manager, other = make(), make(lock_timeout=0.05)
    manager.create_task("brew")
    lock = Path(f"{state_file}.lock")

    def change() -> None:
        with manager._changing():
            manager._tasks.add("late", {"type": "brew", "status": "pending"})
            remove(lock)
            with pytest.raises(StoreUnusable, match=r"is locked by|can't be locked"):
                other.create_task("pour")

    with pytest.raises(StoreBusy, match="was deleted or replaced while it was locked"):
        change()
    if remove is put_folder_in_its_place:
        with pytest.raises(StoreUnusable, match="can't be locked"):
            manager.create_task("brew")
        lock.rmdir()
    assert manager.get_status_summary()["total_tasks"] == 1
    assert other.create_task("pour")
    assert manager.create_task("brew")
    assert other.get_status_summary()["total_tasks"] == 3
    assert not Path(f"{state_file}.new").exists()


def test_who_waits_for_a_lock_that_is_removed_gets_the_new_one(make: Any, state_file: Path) -> None:
    manager, waiting = make(), make(lock_timeout=180)
    lock = Path(f"{state_file}.lock")
    done: list[str] = []
    with open(lock, "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=lambda: done.append(waiting.create_task("brew")))
        thread.start()
        thread.join(0.1)
        assert done == []
        replace_lock(lock)
        with open(lock, "r+") as new:
            fcntl.flock(new, fcntl.LOCK_EX)
            fcntl.flock(held, fcntl.LOCK_UN)
            thread.join(0.2)
            # It has the old one now, which guards nothing.
            assert done == []
    thread.join(DEADLINE_S)
    assert manager.get_task(done[0])["status"] == "pending"


ADD_TASKS = """
import sys, time
from muster.agents import StateFileTaskManager
from muster.messages import StoreBusy
manager = StateFileTaskManager(sys.argv[1], lock_timeout=180, survives_power_loss=False)
for number in range(int(sys.argv[2])):
    while True:
        try:
            manager.create_task("brew", {"number": number})
            break
        except StoreBusy:
            pass
"""


@pytest.mark.slow
@pytest.mark.processes
def test_nothing_is_lost_while_somebody_removes_the_lock_again_and_again(
    make: Any, state_file: Path
) -> None:
    manager = make()
    count, processes = 30, 3
    command = [sys.executable, "-c", ADD_TASKS, str(state_file), str(count)]
    adding = [subprocess.Popen(command) for _ in range(processes)]
    deadline = time.monotonic() + DEADLINE_S
    removals = 0
    while any(process.poll() is None for process in adding):
        assert time.monotonic() < deadline
        time.sleep(0.01)
        try:
            os.unlink(f"{state_file}.lock")
            removals += 1
        except FileNotFoundError:
            pass
    assert [process.returncode for process in adding] == [0] * processes
    assert removals > 3
    assert manager.get_status_summary()["total_tasks"] == count * processes


@pytest.mark.parametrize("kind", ["link", "dangling_link"])
def test_a_link_in_the_locks_place_is_not_followed(
    state_file: Path, tmp_path: Path, kind: str
) -> None:
    state_file.parent.mkdir()
    other = tmp_path / "other"
    if kind == "link":
        other.write_bytes(b"precious")
    Path(f"{state_file}.lock").symlink_to(other)
    with pytest.raises(StoreUnusable, match="can't be locked"):
        StateFileTaskManager(state_file)
    assert other.exists() is (kind == "link")
    if kind == "link":
        assert other.read_bytes() == b"precious"


# ------------------------------------------------------------------ in SQLite


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "states" / "tea.db"


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_sqlite_file_that_goes_while_it_is_used_takes_nothing_with_it_in_silence(
    make_sqlite: Any, sqlite_file: Path, tmp_path: Path, how: str
) -> None:
    manager = make_sqlite()
    manager.create_task("brew")
    for suffix in ("-wal", "-shm", ""):
        Path(f"{sqlite_file}{suffix}").rename(tmp_path / f"away.db{suffix}")
    if how == "deleted":
        for call in (lambda: manager.create_task("pour"), manager.get_status_summary):
            with pytest.raises(StoreUnusable, match="was deleted; nothing was changed"):
                call()
        assert not sqlite_file.exists()
    else:
        other = make_sqlite()
        other.create_task("pour")
        assert [task["type"] for task in manager.get_tasks()] == ["pour"]
        assert manager.create_task("wash")
        assert [task["type"] for task in other.get_tasks()] == ["pour", "wash"]


def test_a_sqlite_file_that_goes_within_a_change_makes_it_fail(
    make_sqlite: Any, sqlite_file: Path
) -> None:
    manager = make_sqlite()
    manager.create_task("brew")

    def change() -> None:
        with manager._changing():
            manager._tasks.replace_metadata({})
            sqlite_file.unlink()

    with pytest.raises(StoreUnusable, match="was deleted; nothing was changed"):
        change()


@pytest.mark.parametrize("gone", [("-wal",), ("-wal", "-shm")])
def test_what_sqlite_keeps_beside_its_file_may_go_and_nothing_is_lost(
    make_sqlite: Any, sqlite_file: Path, gone: tuple[str, ...]
) -> None:
    manager = make_sqlite()
    ids = [manager.create_task("brew") for _ in range(3)]
    for suffix in gone:
        Path(f"{sqlite_file}{suffix}").unlink()
    ids.append(manager.create_task("pour"))
    other = make_sqlite()
    ids.append(other.create_task("wash"))
    for each in (manager, other, make_sqlite()):
        assert [task["id"] for task in each.get_tasks()] == ids
