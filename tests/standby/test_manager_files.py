"""The managers of a SQLite store name themselves in files beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from muster.agents.store.manager_files import ManagerFiles
from muster.agents.store.managers import (
    ManagerEntry,
    in_order,
    is_asked_to_hand_over,
    managers_of,
    standbys_in,
)
from muster.agents.store.memory import MemoryStore
from muster.agents.store.sqlite import SqliteStore

ANNOUNCING = """
import sys, time
from pathlib import Path
from muster.agents.store.manager_files import ManagerFiles
from muster.agents.store.managers import ManagerEntry

files = ManagerFiles(Path(sys.argv[1]))
files.announce(ManagerEntry.of_this_process(leads=False, since=1.0))
print("announced", flush=True)
time.sleep(600)
"""


def test_a_manager_is_named_until_it_withdraws(tmp_path: Path) -> None:
    files = ManagerFiles(tmp_path / "run.db")
    entry = ManagerEntry.of_this_process(leads=False, since=5.0, page="http://alpha:8080/")
    files.announce(entry)
    assert ManagerFiles(tmp_path / "run.db").read() == [entry]
    files.withdraw()
    assert files.read() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
@pytest.mark.processes
def test_a_manager_that_was_killed_is_not_named_any_more(tmp_path: Path) -> None:
    store = tmp_path / "run.db"
    command = [sys.executable, "-c", ANNOUNCING, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"announced\n"
        assert [each.pid for each in ManagerFiles(store).read()] == [process.pid]
        process.send_signal(signal.SIGKILL)
    assert ManagerFiles(store).read() == []


def test_who_has_the_store_leads_even_if_it_does_not_name_itself(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "run.db")
    try:
        standby = ManagerFiles(store.path)
        standby.announce(ManagerEntry("beta", 7, leads=False, since=3.0))
        assert [(each.pid, each.leads) for each in store.managers.read()] == [
            (os.getpid(), True),
            (7, False),
        ]
        standby.withdraw()
    finally:
        store.close()


def test_a_manager_that_says_it_leads_but_has_no_store_is_not_named(tmp_path: Path) -> None:
    files = ManagerFiles(tmp_path / "run.db")
    files.announce(ManagerEntry.of_this_process(leads=True, since=1.0))
    assert files.read() == []
    files.withdraw()


def test_a_request_for_a_handover_reaches_the_manager_that_leads_and_no_later_one(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "run.db")
    leading, waiting = store.managers, ManagerFiles(store.path)
    try:
        assert not is_asked_to_hand_over(leading)
        waiting.announce(ManagerEntry("beta", 7, leads=False, since=3.0))
        (leader, standby) = leading.read()
        # Before the leader looks for the first time.
        waiting.request_handover(leader)
        assert is_asked_to_hand_over(leading)
        # The request is not lost while no standby is found.
        waiting.withdraw()
        assert not is_asked_to_hand_over(leading)
        waiting.announce(standby)
        assert is_asked_to_hand_over(leading)
        # The same process leads again.
        leading.announce(ManagerEntry.of_this_process(leads=True, since=9.0))
        assert not is_asked_to_hand_over(leading)
        waiting.forget_handover_request()
        assert waiting.find_handover_request() is None
    finally:
        waiting.withdraw()
        leading.withdraw()
        store.close()
    assert not (tmp_path / "run.db.managers").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"host": 1}', b"\xff", b'{"host": "a", "page": 3}']
)
def test_a_file_that_is_no_entry_is_left_out(tmp_path: Path, content: bytes) -> None:
    files = ManagerFiles(tmp_path / "run.db")
    files.announce(ManagerEntry.of_this_process(leads=False, since=1.0))
    (tmp_path / "run.db.managers" / "1-2.json").write_bytes(content)
    assert [each.pid for each in files.read()] == [os.getpid()]
    files.withdraw()


def test_the_one_that_leads_comes_first_and_then_the_longest_waiting() -> None:
    entries = [
        ManagerEntry("a", 1, leads=False, since=9.0),
        ManagerEntry("a", 2, leads=False, since=2.0),
        ManagerEntry("a", 3, leads=True, since=5.0),
    ]
    assert [each.pid for each in in_order(entries)] == [3, 2, 1]
    assert [each.pid for each in standbys_in(in_order(entries))] == [2, 1]


def test_an_entry_comes_back_as_it_was_told() -> None:
    entry = ManagerEntry("alpha", 4711, leads=True, since=1.5, page="http://alpha:8080/")
    assert ManagerEntry.from_payload(entry.to_payload()) == entry
    assert entry.describe() == "process 4711 on alpha, page http://alpha:8080/"
    assert ManagerEntry("", None, leads=True).describe() == "a manager"


def test_a_store_in_memory_knows_no_managers() -> None:
    assert managers_of(MemoryStore()) is None
    assert managers_of(None) is None
