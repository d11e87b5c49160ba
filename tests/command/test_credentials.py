"""Secrets and tickets on the command line: given in every way, shown to nobody."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.command.console.credentials import take_ticket
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security.secret_sources import fresh_secret, write_secret_file
from muster.agents.security.ticket import Ticket, read_ticket
from muster.messages import InvalidInput

Start = Callable[..., Any]


def test_a_fresh_secret_is_printed(invoke: Callable[..., Any]) -> None:
    first, second = invoke("secret"), invoke("secret")
    assert (first.code, first.err) == (0, "")
    assert WorkspaceSecret.from_text(first.out) != WorkspaceSecret.from_text(second.out)


def test_a_fresh_secret_is_written_for_its_owner_alone(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    ended = invoke("secret", "--file", "s")
    assert (ended.code, ended.out) == (0, "")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    again = invoke("secret", "--file", "s")
    assert (again.code, "already exists and is not overwritten" in again.err) == (2, True)


def test_a_ticket_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = Ticket("w", "p", "127.0.0.1", 1, secret=fresh_secret())
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{ticket}\n"))
    assert read_ticket(take_ticket("-")) == ticket


@pytest.mark.parametrize(("text", "said"), [(" \n", "stdin is empty"), ("x", "contains no ticket")])
def test_stdin_without_a_ticket_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(InvalidInput, match=said):
        take_ticket("-")


def test_a_secret_file_and_insecure_exclude_each_other(
    invoke: Callable[..., Any], tasks_file: Callable[..., Path]
) -> None:
    tasks = tasks_file(1)
    ended = invoke(
        *("manager", "--tasks", tasks, "--workers", 1), *("--secret-file", "s", "--insecure")
    )
    assert (ended.code, "--secret-file and --insecure exclude" in ended.err) == (2, True)


# ----------------------------------------------------------------------------- over real Ceylon


def manager(tasks: Path, *more: object) -> tuple[object, ...]:
    return (
        *("manager", "--tasks", tasks, "--workers", 1, "--port", 0, "--ticket-file", "ticket"),
        *("--time-scale", "0.05", "--json"),
        *more,
    )


def worker(*more: object) -> tuple[object, ...]:
    return ("worker", "--name", "Ada", "--skill", 9, "--time-scale", "0.05", *more)


@pytest.fixture
def secrets(tmp_path: Path) -> tuple[WorkspaceSecret, WorkspaceSecret]:
    """Two secrets, in the files "right" and "wrong"."""
    made = (fresh_secret(), fresh_secret())
    for name, secret in zip(("right", "wrong"), made, strict=True):
        write_secret_file(tmp_path / name, secret)
    return made


@pytest.fixture
def managing(start: Start, tasks_file: Callable[..., Path], secrets: Any) -> Any:
    running = start(*manager(tasks_file(5), "--secret-file", "right"))
    running.wait_for("join with:")
    return running


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_a_worker_with_the_wrong_secret_ends_with_2_and_is_told_what_to_do(
    start: Start, managing: Any
) -> None:
    ended = start(*worker("--join", "ticket", "--secret-file", "wrong")).end()
    assert (ended.code, ended.out) == (2, "")
    assert "muster: worker 'Ada': wrong secret: the manager can't decrypt what" in ended.err
    assert "--secret-file, MUSTER_SECRET" in ended.err
    assert "Traceback" not in ended.err
    working = start(*worker("--join", "ticket", "--secret-file", "right"))
    report = json.loads(managing.end().out)
    assert (report["success_rate"], working.end().code) == (1.0, 0)
    assert report["dropped"]["wrong_secret"] >= 1


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_whoever_can_not_get_in_ends_with_2_and_is_told_why(start: Start, managing: Any) -> None:
    for arguments, said in (
        (("why", "1", "--join", "ticket", "--secret-file", "wrong"), "wrong secret: "),
        (worker("--join", "ticket", "--insecure"), "this workspace is sealed"),
        (worker("--join", "ticket"), "agent 'Ada' has no secret for its workspace"),
    ):
        ended = start(*arguments).end()
        assert (ended.code, said in ended.err) == (2, True), ended.err
    assert start("why", "1", "--join", "ticket", "--secret-file", "right").end().code == 0
    assert managing.process.poll() is None


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_whoever_has_a_secret_refuses_the_ticket_of_an_insecure_manager(
    start: Start, tasks_file: Callable[..., Path], secrets: Any
) -> None:
    managing = start(*manager(tasks_file(5), "--insecure"))
    managing.wait_for("join with:")
    ended = start(*worker("--join", "ticket", "--secret-file", "right")).end()
    assert (ended.code, "says that the workspace is not sealed" in ended.err) == (2, True)
    working = start(*worker("--join", "ticket"))
    assert json.loads(managing.end().out)["success_rate"] == 1.0
    assert working.end().code == 0


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_a_typed_ticket_is_hidden_from_those_who_list_processes(
    start: Start, tasks_file: Callable[..., Path], tmp_path: Path
) -> None:
    managing = start(*manager(tasks_file(5, 5), "--time-scale", "1000"))
    managing.wait_for("join with:")
    line = (tmp_path / "ticket").read_text(encoding="utf-8").strip()
    working = start(*worker("--join", line, "--time-scale", "1000"))
    working.wait_until(lambda: b"muster:..." in shown_of(working.process.pid))
    assert line.encode() not in shown_of(working.process.pid)
    managing.interrupt()
    managing.end()
    assert line.split(":")[2] not in managing.end().out


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_no_process_of_a_run_shows_a_ticket_or_a_secret(start: Start, tmp_path: Path) -> None:
    secret = fresh_secret()
    os.environ["MUSTER_SECRET"] = secret.reveal()
    try:
        running = start("run", "all_well", "--time-scale", "1000", "--processes")
    finally:
        del os.environ["MUSTER_SECRET"]
    running.wait_for("T1 ->")
    shown = [shown_of(pid) for pid in group_of(running.process.pid)]
    assert len(shown) >= 4
    for each in shown:
        assert b"muster:2:" not in each
        assert secret.reveal().encode() not in each
    running.interrupt()
    running.end()


def shown_of(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/cmdline").read_bytes()


def group_of(group: int) -> list[int]:
    """The processes of a process group."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                found.append(int(folder.name))
    return found
