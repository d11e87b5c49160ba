"""SIGTERM ends workers and managers in order, as systemd and Kubernetes expect it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

Start = Callable[..., Any]

WAITING = """
import asyncio
import time
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()

def begin(task):
    with Path("begun").open("a") as file:
        file.write(f"{task.id}\\n")

@handlers.task("wait")
async def wait(task):
    begin(task)
    await asyncio.sleep(task.data)

@handlers.task("wait until")
async def wait_until(task):
    begin(task)
    while not Path(task.data).exists():
        await asyncio.sleep(0.05)

@handlers.task("hang")
def hang(task):
    begin(task)
    time.sleep(600)
"""


def manager(tmp_path: Path, tasks: list[dict[str, Any]], *more: object) -> tuple[object, ...]:
    (tmp_path / "waiting.py").write_text(WAITING)
    (tmp_path / "tasks.jsonl").write_text("\n".join(json.dumps(each) for each in tasks))
    return (
        *("manager", "--tasks", "tasks.jsonl", "--port", 0, "--ticket-file", "ticket"),
        *("--report", "report.json", *more),
    )


def worker(name: str, *more: object) -> tuple[object, ...]:
    return (
        *("worker", "--join", "ticket", "--name", name, "--skill", 5),
        *("--handlers", "waiting", *more),
    )


def begun(tmp_path: Path) -> list[str]:
    path = tmp_path / "begun"
    return path.read_text().split() if path.exists() else []


def attempts(tmp_path: Path) -> dict[Any, list[tuple[str, str]]]:
    report = json.loads((tmp_path / "report.json").read_text())
    return {
        task["id"]: [(each["worker"], each["outcome"]) for each in task["history"]]
        for task in report["tasks"]
    }


def test_a_task_that_ends_within_the_grace_of_its_worker_is_recorded_once(
    start: Start, tmp_path: Path
) -> None:
    tasks = [{"id": 1, "type": "wait until", "data": "go"}, {"id": 2, "type": "wait", "data": 0}]
    managing = start(*manager(tmp_path, tasks))
    leaving = start(*worker("Ada"))
    leaving.wait_until(lambda: bool(begun(tmp_path)))
    leaving.process.send_signal(signal.SIGTERM)
    leaving.wait_for("finishing 1 task")
    (tmp_path / "go").touch()
    ended = leaving.end()
    assert ended.code == 0
    assert ended.out == "Ada: 1 task, 1 succeeded\n"
    assert "finishing 1 task, for 30 s at most" in ended.err
    staying = start(*worker("Bob"))
    assert managing.end().code == 0
    assert staying.end().code == 0
    assert begun(tmp_path) == ["1", "2"]
    assert attempts(tmp_path)[1] == [("Ada", "succeeded")]
    assert attempts(tmp_path)[2][-1] == ("Bob", "succeeded")


def test_a_task_that_takes_longer_than_the_grace_is_given_back_and_done_elsewhere(
    start: Start, tmp_path: Path
) -> None:
    tasks = [{"id": 1, "type": "wait until", "data": "go"}]
    managing = start(*manager(tmp_path, tasks))
    leaving = start(*worker("Ada", "--grace", 1))
    leaving.wait_until(lambda: bool(begun(tmp_path)))
    leaving.process.send_signal(signal.SIGTERM)
    assert leaving.end().code == 0
    staying = start(*worker("Bob"))
    staying.wait_until(lambda: len(begun(tmp_path)) > 1)
    (tmp_path / "go").touch()
    assert managing.end().code == 0
    assert staying.end().code == 0
    assert attempts(tmp_path) == {1: [("Ada", "returned"), ("Bob", "succeeded")]}


@pytest.mark.parametrize("kind", ["wait until", "hang"])
def test_a_second_sigterm_stops_a_worker_at_once_and_its_task_goes_to_another(
    start: Start, tmp_path: Path, kind: str
) -> None:
    managing = start(*manager(tmp_path, [{"id": 1, "type": kind, "data": "go"}]))
    leaving = start(*worker("Ada", "--grace", 600))
    leaving.wait_until(lambda: bool(begun(tmp_path)))
    leaving.process.send_signal(signal.SIGTERM)
    leaving.wait_for("finishing 1 task")
    # Its task and its grace would take longer than a test waits for its end.
    leaving.process.send_signal(signal.SIGTERM)
    assert leaving.end().code in (0, 128 + signal.SIGTERM)
    staying = start(*worker("Bob"))
    staying.wait_until(lambda: len(begun(tmp_path)) > 1)
    managing.process.send_signal(signal.SIGINT)
    assert managing.end().code == 1
    staying.end()
    assert attempts(tmp_path)[1][0] == ("Ada", "returned")


def test_a_manager_records_what_runs_and_assigns_no_more_and_a_restart_goes_on(
    start: Start, tmp_path: Path
) -> None:
    tasks = [{"id": 1, "type": "wait until", "data": "go"}, {"id": 2, "type": "wait", "data": 0}]
    first = start(*manager(tmp_path, tasks, "--store", "run.db"))
    working = start(*worker("Ada"))
    working.wait_until(lambda: bool(begun(tmp_path)))
    first.process.send_signal(signal.SIGTERM)
    first.wait_for("finishing ")
    (tmp_path / "go").touch()
    assert first.end().code == 1
    assert working.end().code == 0
    assert begun(tmp_path) == ["1"]
    assert attempts(tmp_path)[1] == [("Ada", "succeeded")]
    second = start(*manager(tmp_path, tasks, "--store", "run.db"))
    again = start(*worker("Ada"))
    assert second.end().code == 0
    assert again.end().code == 0
    assert begun(tmp_path) == ["1", "2"]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers' processes in /proc")
def test_sigterm_for_a_manager_and_all_its_own_workers_as_systemd_sends_it_loses_nothing(
    start: Start, tmp_path: Path
) -> None:
    tasks: list[dict[str, Any]] = [
        {"id": number, "type": "wait until", "data": "go"} for number in (1, 2, 3)
    ]
    options = ("--workers", "2:2", "--handlers", "waiting", "--store", "run.db")
    first = start(*manager(tmp_path, tasks, *options))
    first.wait_until(lambda: len(begun(tmp_path)) > 1)
    children = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children")
    for process_id in (*map(int, children.read_text().split()), first.process.pid):
        os.kill(process_id, signal.SIGTERM)
    first.wait_for("finishing ")
    (tmp_path / "go").touch()
    assert first.end().code == 1
    done = [each for each in attempts(tmp_path).values() if each and each[-1][1] == "succeeded"]
    assert [len(each) for each in done] == [1, 1], "both that ran are done, at the first attempt"
    assert start(*manager(tmp_path, tasks, *options)).end().code == 0
    assert sorted(begun(tmp_path)) == ["1", "2", "3"]
