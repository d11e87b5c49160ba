"""SQLite stores with killed managers, full disks, and readers during writes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster.agents.kernel.board.rows import Rows, TaskRow, WorkerRow
from muster.agents.store.sqlite import SqliteStore, read_store
from muster.messages import StoreUnusable, TaskStatus

from .conftest import task_row

TASKS_A_BATCH = 50
DEADLINE_S = 60

WRITE_FOR_EVER = """
import sys
from muster.agents.kernel.board.rows import Rows, TaskRow, WorkerRow
from muster.agents.store.sqlite import SqliteStore
from muster.messages import TaskStatus

store, tasks_a_batch = SqliteStore(sys.argv[1]), int(sys.argv[2])
batch = len(store.load().tasks) // tasks_a_batch
print("ready", flush=True)
while True:
    tasks = [
        TaskRow(number + 1, number, TaskStatus.PENDING, b"definition", b"%d " % batch * 40)
        for number in range(batch * tasks_a_batch, (batch + 1) * tasks_a_batch)
    ]
    if batch:
        tasks.append(TaskRow(1, 0, TaskStatus.IN_PROGRESS, None, b"%d " % batch * 40))
    state = b"%d" % batch
    store.write(Rows(state, tuple(tasks), (WorkerRow("Ada", state),)))
    print(batch, flush=True)
    batch += 1
"""
"""Each batch adds tasks, and changes the first task, the run and a worker."""


def kill_a_writer(path: Path, after_batches: int, after_s: float) -> int:
    """Kill a process in the midst of writing; the last batch whose write returned, or -1."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, path, str(TASKS_A_BATCH)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        last = -1
        for _ in range(after_batches):
            last = int(writer.stdout.readline())
        # At any moment of what it does: not to wait for something.
        threading.Event().wait(after_s)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            # The last line may be cut off.
            last = int(line) if line.endswith("\n") else last
    return last


def check_whole(rows: Rows, at_least_batch: int) -> None:
    """Every batch up to one is there, wholly, and none but perhaps the next, wholly too."""
    assert rows.run is not None
    batch = int(rows.run)
    assert batch in {at_least_batch, at_least_batch + 1}
    assert rows.workers == (WorkerRow("Ada", rows.run),)
    assert len(rows.tasks) == (batch + 1) * TASKS_A_BATCH
    for number, row in enumerate(rows.tasks):
        is_changed = number == 0 and batch > 0
        wrote = batch if is_changed else number // TASKS_A_BATCH
        status = TaskStatus.IN_PROGRESS if is_changed else TaskStatus.PENDING
        expected = TaskRow(number + 1, number, status, b"definition", b"%d " % wrote * 40)
        assert row == expected


@pytest.mark.processes
def test_what_was_written_outlives_a_kill(tmp_path) -> None:
    path = tmp_path / "run.db"
    last = kill_a_writer(path, after_batches=20, after_s=0.0)
    check_whole(read_store(path), last)
    store = SqliteStore(path)
    check_whole(store.load(), last)
    store.close()
    assert not Path(f"{path}-wal").exists()


@pytest.mark.slow
@pytest.mark.processes
def test_what_was_written_outlives_kill_after_kill_at_any_moment(tmp_path) -> None:
    path = tmp_path / "run.db"
    for attempt in range(8):
        last = kill_a_writer(path, after_batches=1 + attempt * 5, after_s=attempt * 0.0037)
        check_whole(read_store(path), last)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032])
def test_a_manager_killed_while_it_makes_its_store_is_in_nobodys_way(tmp_path, after_s) -> None:
    path = tmp_path / "run.db"
    making = """
import sys
from muster.agents.store.sqlite import SqliteStore
print("ready", flush=True)
SqliteStore(sys.argv[1])
sys.stdin.read()
"""
    command = [sys.executable, "-c", making, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"ready\n"
        threading.Event().wait(after_s)
        maker.kill()
    store = SqliteStore(path)
    assert store.load() == Rows()
    store.write(Rows(b"run"))
    store.close()
    assert read_store(path) == Rows(b"run")


def test_readers_see_whole_batches_while_a_manager_writes(tmp_path) -> None:
    path = tmp_path / "run.db"
    store = SqliteStore(path)
    store.write(Rows(b"0", tuple(task_row(number + 1, number, b"0") for number in range(30))))
    seen: list[set[bytes | None]] = [set(), set()]

    def read(states: set[bytes | None]) -> None:
        while len(states) < 5:
            rows = read_store(path)
            assert {row.state for row in rows.tasks} == {rows.run}
            states.add(rows.run)

    readers = [threading.Thread(target=read, args=(states,), daemon=True) for states in seen]
    for reader in readers:
        reader.start()
    batch = 0
    deadline = time.monotonic() + DEADLINE_S
    while any(reader.is_alive() for reader in readers):
        assert time.monotonic() < deadline
        batch += 1
        state = b"%d" % batch
        changed = (task_row(number + 1, number, state, definition=None) for number in range(30))
        store.write(Rows(state, tuple(changed)))
    assert [len(states) for states in seen] == [5, 5]
    store.close()
    assert read_store(path).run == b"%d" % batch


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        pytest.skip(f"no file system can be mounted here: {fault}")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return ballast
    raise AssertionError


def test_on_a_full_disk_nothing_is_lost_and_writing_goes_on_when_there_is_room(small_disk) -> None:
    path = small_disk / "run.db"
    store = SqliteStore(path)
    kept = Rows(b"run", tuple(task_row(number + 1, number) for number in range(100)))
    store.write(kept)
    ballast = fill(small_disk)
    large = Rows(b"changed", (task_row(1, 0, bytes(100_000)), task_row(101, 100)))
    for _ in range(3):
        with pytest.raises(StoreUnusable, match=r"can't be written: .*earlier writes are kept"):
            store.write(large)
        assert store.load() == kept
        assert read_store(path) == kept
    ballast.unlink()
    store.write(large)
    changed = Rows(b"changed", (large.tasks[0], *kept.tasks[1:], large.tasks[1]))
    assert store.load() == changed
    store.close()
    assert read_store(path) == changed
    assert not Path(f"{path}-wal").exists()


def test_a_store_that_is_closed_on_a_full_disk_is_whole_when_it_is_opened_again(small_disk) -> None:
    path = small_disk / "run.db"
    store = SqliteStore(path)
    kept = Rows(b"run", tuple(task_row(number + 1, number, bytes(1000)) for number in range(100)))
    store.write(kept)
    ballast = fill(small_disk)
    store.close()
    assert read_store(path) == kept
    ballast.unlink()
    store = SqliteStore(path)
    assert store.load() == kept
    store.close()
    assert not Path(f"{path}-wal").exists()


def test_no_store_is_made_on_a_full_disk_and_nothing_stays_of_it(small_disk) -> None:
    ballast = fill(small_disk)
    path = small_disk / "run.db"
    with pytest.raises(StoreUnusable, match=r"can't be (created|locked)"):
        SqliteStore(path)
    assert {each.name for each in small_disk.iterdir()} <= {"ballast", "run.db.lock"}
    ballast.unlink()
    SqliteStore(path).close()


def test_a_store_on_a_disk_that_may_only_be_read_is_read_and_not_opened(small_disk) -> None:
    path = small_disk / "run.db"
    store = SqliteStore(path)
    store.write(Rows(b"run"))
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert read_store(path) == Rows(b"run")
    with pytest.raises(StoreUnusable, match=r"can't be locked .*Read-only"):
        SqliteStore(path)
