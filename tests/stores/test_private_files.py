"""Files with the content of a run are readable by their owner only, unless the owner chose more."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from muster.agents import TaskManager, Ticket
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.command.diagram import output_diagram
from muster.agents.report.file import REPORT_ENDINGS, write_report
from muster.agents.runtime.private_file import take_after
from muster.agents.security.secret_sources import fresh_secret, write_secret_file
from muster.agents.security.ticket import write_ticket_file
from muster.agents.trace.file import TraceFile


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def write_trace(path: Path) -> None:
    with closing(TraceFile(path)):
        pass


def write_a_report(path: Path) -> None:
    write_report(TaskManager(port=0, quiet=True).report(), path, "sequenceDiagram")


def write_ticket(path: Path) -> None:
    write_ticket_file(path, Ticket("w", "p", "127.0.0.1", 1))


def write_secret(path: Path) -> None:
    write_secret_file(path, fresh_secret())


def write_diagram(path: Path) -> None:
    output_diagram("sequenceDiagram\n", path)


Write = Callable[[Path], None]

WRITERS = [
    pytest.param(write_trace, "trace.jsonl", id="trace"),
    *(pytest.param(write_a_report, f"report{ending}", id=ending) for ending in REPORT_ENDINGS),
    pytest.param(write_diagram, "diagram.md", id="diagram"),
]
WRITERS_OF_SECRETS = [
    pytest.param(write_ticket, "ticket", id="ticket"),
    pytest.param(write_secret, "secret", id="secret"),
]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("write", "name"), [*WRITERS, *WRITERS_OF_SECRETS[:1]])
def test_a_new_file_is_for_its_owner_alone(
    tmp_path: Path, umask: int, write: Write, name: str
) -> None:
    path = tmp_path / name
    write(path)
    assert path.stat().st_size > 0 or write is write_trace
    if umask == 0o777 and write is write_ticket:
        # As much as `tempfile` gives.
        assert not mode_of(path) & 0o177
    else:
        assert mode_of(path) == 0o600


@pytest.mark.parametrize(("write", "name"), WRITERS_OF_SECRETS)
def test_a_file_with_a_secret_is_never_for_others(tmp_path: Path, write: Write, name: str) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / name)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / name) == 0o600


def test_a_blob_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DirectoryBlobs(tmp_path / "blobs", create=True).write("0" * 64, b"large")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "blobs") == 0o700
    assert mode_of(tmp_path / "blobs" / ("0" * 64)) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o664])
@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_a_file_that_is_there_keeps_the_mode_that_its_owner_chose(
    tmp_path: Path, write: Write, name: str, mode: int
) -> None:
    path = tmp_path / name
    path.write_bytes(b"what was before")
    path.chmod(mode)
    write(path)
    assert mode_of(path) == mode
    assert b"what was before" not in path.read_bytes()


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_a_link_that_its_owner_put_there_leads_where_it_says(
    tmp_path: Path, write: Write, name: str
) -> None:
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    write(tmp_path / name)
    assert (tmp_path / name).is_symlink()
    assert (tmp_path / "elsewhere").is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_who_replaces_a_file_leaves_it_to_its_owner(tmp_path: Path) -> None:
    former, new = tmp_path / "former", tmp_path / "new"
    former.touch()
    os.chown(former, 1234, 2345)
    former.chmod(0o664)
    with new.open("wb") as file:
        assert take_after(file.fileno(), former.stat()) is True
    found = new.stat()
    assert (found.st_uid, found.st_gid, mode_of(new)) == (1234, 2345, 0o664)
