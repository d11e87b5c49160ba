"""Full disks, files that may not grow, and folders without write permission."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from muster.agents import StateFileTaskManager
from muster.messages import StoreUnusable

JSON = ("", "tea.json")
SQLITE = ("sqlite:///", "tea.db")
KINDS = pytest.mark.parametrize(("prefix", "name"), [JSON, SQLITE], ids=["json", "sqlite"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 512 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as fault:
        pytest.skip(f"no file system can be mounted here: {fault}")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def add_until_refused(manager: StateFileTaskManager) -> tuple[list[str], str]:
    added: list[str] = []
    try:
        while True:
            added.append(manager.create_task("brew", {"leaves": "x" * 5_000}))
    except StoreUnusable as refusal:
        return added, str(refusal)


@KINDS
def test_on_a_full_disk_nothing_is_lost_and_it_goes_on_when_there_is_room(
    small_disk: Path, prefix: str, name: str
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    manager = StateFileTaskManager(f"{prefix}{small_disk}/{name}")
    added, told = add_until_refused(manager)
    assert len(added) > 5
    assert "free space" in told
    other = StateFileTaskManager(f"{prefix}{small_disk}/{name}")
    for each in (manager, other):
        assert [task["id"] for task in each.get_tasks()] == added
    # Of a JSON file each keeps the version open that it knows, which takes room.
    other.close()
    ballast.unlink()
    assert manager.get_next_task("ada")["id"] == added[0]
    assert manager.complete_task(added[0], "ada") is True
    manager.close()
    assert list(small_disk.glob("*.corrupt-*")) == []
    if name.endswith(".json"):
        assert len(json.loads((small_disk / name).read_bytes())["tasks"]) == len(added)


@KINDS
def test_a_disk_that_may_only_be_read_is_read(small_disk: Path, prefix: str, name: str) -> None:
    manager = StateFileTaskManager(f"{prefix}{small_disk}/{name}")
    task_id = manager.create_task("brew")
    manager.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    if name.endswith(".json"):
        # In SQLite even readers must make files.
        reader = StateFileTaskManager(f"{prefix}{small_disk}/{name}")
        assert reader.get_task(task_id)["status"] == "pending"
        manager = reader
    with pytest.raises(StoreUnusable):
        manager.create_task("brew")


LIMITED = """
import resource, sys
from muster.agents import StateFileTaskManager
from muster.messages import StoreUnusable
manager = StateFileTaskManager(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
count = 0
try:
    while True:
        manager.create_task("brew", {"leaves": "x" * 5_000})
        count += 1
except StoreUnusable:
    assert manager.get_status_summary()["total_tasks"] == count
    print(count)
"""


@pytest.mark.processes
@KINDS
def test_a_file_that_may_not_grow_is_left_as_it_was(tmp_path: Path, prefix: str, name: str) -> None:
    file = f"{prefix}{tmp_path}/{name}"
    limited = subprocess.run(
        [sys.executable, "-c", LIMITED, file], capture_output=True, text=True, check=False
    )
    assert limited.returncode == 0, limited.stderr
    count = int(limited.stdout)
    assert count >= 3
    with contextlib.closing(StateFileTaskManager(file)) as manager:
        assert manager.get_status_summary()["total_tasks"] == count


AS_NOBODY = """
import os, sys
from muster.agents import StateFileTaskManager
from muster.messages import StoreUnusable
import muster.agents.state_file.sqlite, filelock
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    manager = StateFileTaskManager(sys.argv[1])
    print(manager.get_status_summary()["total_tasks"])
    manager.create_task("brew")
except StoreUnusable as refusal:
    print(refusal)
"""


def folder_only_read(file: Path) -> None:
    file.parent.chmod(0o755)
    file.chmod(0o666)


def file_only_read(file: Path) -> None:
    file.parent.chmod(0o777)
    file.chmod(0o444)


def nothing_allowed(file: Path) -> None:
    file.parent.chmod(0o700)
    file.chmod(0o600)


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can")
@pytest.mark.parametrize("deny", [folder_only_read, file_only_read, nothing_allowed])
@KINDS
def test_who_may_not_write_is_told_and_changes_nothing(
    prefix: str, name: str, deny: Callable[[Path], None]
) -> None:
    # Not below pytest's own folder, which is root's alone.
    folder = Path(tempfile.mkdtemp(prefix="muster-denied-"))
    file = folder / name
    manager = StateFileTaskManager(f"{prefix}{file}")
    manager.create_task("brew")
    manager.close()
    deny(file)
    before = file.read_bytes()
    answer = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, f"{prefix}{file}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "can't be" in answer.stdout
    assert file.read_bytes() == before
    assert file.stat().st_uid == 0
    shutil.rmtree(folder)
