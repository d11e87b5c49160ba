"""Users that share a state file: it keeps its owner, group and mode whoever changes it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents import StateFileTaskManager
from muster.agents.state_file.rewrite import copy_into

ADA, BEN, EVE = 61001, 61002, 61003
GROUP, OTHER_GROUP = 62000, 62001
ROOT = 0
DEADLINE_S = 180

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be several users"
    ),
]

CHANGE = """
import os, sys
user, group, file, count = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[4:]
# First, for the user may not be allowed to read it.
from muster.agents import StateFileTaskManager
from muster.messages import StoreUnusable
import muster.agents.state_file.sqlite, filelock
os.umask(int(sys.argv[3], 8))
if user:
    os.setgroups([group])
    os.setgid(group)
    os.setuid(user)
try:
    manager = StateFileTaskManager(file, lock_timeout=180, survives_power_loss=False)
    for number in range(int(count)):
        task_id = manager.create_task("brew", {"by": user})
        assert manager.get_next_task(f"agent-{user}")
except StoreUnusable as fault:
    print(fault)
    raise SystemExit(3)
"""


def change(
    file: str, user: int, group: int = GROUP, umask: int = 0o007, count: int = 1
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHANGE, str(user), str(group), oct(umask), file, str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of a group, in which new files are the group's."""
    # Not below pytest's own folder, which is root's alone.
    folder = Path(tempfile.mkdtemp(prefix="muster-shared-"))
    os.chown(folder, ADA, GROUP)
    folder.chmod(0o2770)
    yield folder
    shutil.rmtree(folder)


def look(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def json_in(folder: Path) -> tuple[str, Path]:
    return str(folder / "tea.json"), folder / "tea.json"


def sqlite_in(folder: Path) -> tuple[str, Path]:
    return f"sqlite:///{folder}/tea.db", folder / "tea.db"


Kind = Callable[[Path], tuple[str, Path]]
KINDS = pytest.mark.parametrize("kind", [json_in, sqlite_in])


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("mode", [0o660, 0o664], ids=oct)
def test_the_file_stays_its_owners_whoever_changes_it(shared: Path, kind: Kind, mode: int) -> None:
    name, path = kind(shared)
    assert change(name, ADA).returncode == 0
    path.chmod(mode)
    expected = (ADA, GROUP, mode)
    for user in (BEN, ROOT, ADA):
        changed = change(name, user)
        assert changed.returncode == 0, changed.stdout + changed.stderr
        assert look(path) == expected
    manager = StateFileTaskManager(name)
    assert manager.get_status_summary()["total_tasks"] == 4
    manager.close()
    # And all can lock it.
    owner, group, lock_mode = look(Path(f"{path}.lock"))
    assert (group, lock_mode) == (GROUP, mode)
    assert owner == ADA
    assert sorted(each.name for each in shared.iterdir()) == sorted(
        [path.name, f"{path.name}.lock"]
    )


@pytest.mark.slow
@KINDS
def test_what_root_begins_in_a_users_folder_others_of_the_group_go_on_with(
    shared: Path, kind: Kind
) -> None:
    name, path = kind(shared)
    assert change(name, ROOT, umask=0o002).returncode == 0
    os.chown(path, ADA, GROUP)
    path.chmod(0o660)
    assert change(name, ROOT).returncode == 0
    for user in (BEN, ADA, ROOT):
        changed = change(name, user)
        assert changed.returncode == 0, changed.stdout + changed.stderr
        assert look(path) == (ADA, GROUP, 0o660)


@KINDS
def test_who_may_not_write_the_file_is_refused_and_changes_nothing(
    shared: Path, kind: Kind
) -> None:
    name, path = kind(shared)
    assert change(name, ADA).returncode == 0
    path.chmod(0o640)
    before = path.read_bytes()
    refused = change(name, BEN)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert path.read_bytes() == before
    assert look(path) == (ADA, GROUP, 0o640)


@pytest.mark.slow
def test_a_group_that_is_not_ones_own_keeps_the_file(shared: Path) -> None:
    path = shared / "tea.json"
    assert change(str(path), ADA).returncode == 0
    os.chown(path, ADA, OTHER_GROUP)
    path.chmod(0o666)
    Path(f"{path}.lock").chmod(0o666)
    for user in (BEN, ROOT):
        changed = change(str(path), user)
        assert changed.returncode == 0, changed.stdout + changed.stderr
        assert look(path) == (ADA, OTHER_GROUP, 0o666)


@pytest.mark.slow
def test_users_change_it_at_once_and_nothing_is_lost(shared: Path) -> None:
    path = shared / "tea.json"
    assert change(str(path), ADA).returncode == 0
    path.chmod(0o660)
    command = [sys.executable, "-c", CHANGE]
    running = [
        subprocess.Popen([*command, str(user), str(GROUP), "007", str(path), "20"])
        for user in (ADA, BEN, EVE, ROOT)
    ]
    manager = StateFileTaskManager(path, lock_timeout=180)
    while any(process.poll() is None for process in running):
        manager.get_status_summary()
    assert [process.returncode for process in running] == [0] * 4
    assert manager.get_status_summary()["total_tasks"] == 81
    assert look(path) == (ADA, GROUP, 0o660)
    assert list(shared.glob("*.corrupt-*")) == []


@pytest.mark.slow
def test_whoever_is_killed_while_it_copies_loses_nothing(shared: Path) -> None:
    path = shared / "tea.json"
    assert change(str(path), ADA).returncode == 0
    path.chmod(0o660)
    command = [sys.executable, "-c", CHANGE, str(BEN), str(GROUP), "007", str(path), "100000"]
    known = 0
    for attempt in range(6):
        killed = subprocess.Popen(command)
        deadline = time.monotonic() + DEADLINE_S
        manager = StateFileTaskManager(path)
        while manager.get_status_summary()["total_tasks"] <= known:
            assert time.monotonic() < deadline
        with contextlib.suppress(subprocess.TimeoutExpired):
            killed.wait(0.005 * attempt)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        total = StateFileTaskManager(path).get_status_summary()["total_tasks"]
        assert total > known
        known = total
        assert look(path) == (ADA, GROUP, 0o660)
    assert list(shared.glob("*.corrupt-*")) == []
    assert json.loads(path.read_bytes())


# ------------------------------------------------------------------ a copy that is broken off


@pytest.fixture
def half_copied(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a file into which so many bytes of its next version were copied."""

    def make(size: int) -> Path:
        path = tmp_path / "tea.json"
        manager = StateFileTaskManager(path)
        manager.create_task("brew")
        old = path.read_bytes()
        manager.create_task("pour")
        new = path.read_bytes()
        manager.close()
        Path(f"{path}.new").write_bytes(new)
        path.write_bytes(b"!" + new[1:size] + old[size:])
        return path

    return make


@pytest.mark.parametrize("size", [1, 2, 50, 200, 10_000])
@pytest.mark.parametrize("reads_first", [True, False])
def test_whoever_comes_next_finishes_a_copy_that_was_broken_off(
    half_copied: Callable[[int], Path], size: int, reads_first: bool
) -> None:
    path = half_copied(size)
    manager = StateFileTaskManager(path)
    if reads_first:
        assert [task["type"] for task in manager.get_tasks()] == ["brew", "pour"]
    assert manager.create_task("wash")
    assert [task["type"] for task in manager.get_tasks()] == ["brew", "pour", "wash"]
    assert sorted(each.name for each in path.parent.iterdir()) == ["tea.json", "tea.json.lock"]


def test_on_a_full_disk_nothing_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tea.json"
    path.write_bytes(b"as it was")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        copy_into(path, b"something much longer", syncs=True)
    assert path.read_bytes() == b"as it was"


@pytest.mark.parametrize("content", [b"x", b"longer than before", b"short"])
def test_a_copy_is_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tea.json"
    path.write_bytes(b"as it was")
    copy_into(path, content, syncs=False)
    assert path.read_bytes() == content


def test_a_new_file_is_as_the_umask_says(tmp_path: Path, make: Any) -> None:
    before = os.umask(0o027)
    try:
        make(tmp_path / "new.json").create_task("brew")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o640
