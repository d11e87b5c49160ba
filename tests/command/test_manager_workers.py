"""`muster manager --workers MIN:MAX`: it starts its workers itself, as many as its load needs."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Invoke = Callable[..., Any]


def manager(*more: object) -> tuple[object, ...]:
    return ("manager", "--tasks", "tasks.jsonl", "--port", 0, *more)


def started_by(process_id: int) -> list[str]:
    """The processes that a process has started as its workers and that are left, zombies aside."""
    left: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if f"MUSTER_PARENT={process_id}".encode() in environment and state != "Z":
                left.append((folder / "cmdline").read_text())
    return left


# ------------------------------------------------------------------------------ what it is told


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        ("8:2", "'8:2': maximum is 2; it must be 1 or more, and not below the minimum of 8"),
        ("0:0", "'0:0': maximum is 0; it must be 1 or more"),
        ("a:b", "'a:b'; give a number of workers to wait for, such as 2, or a minimum and"),
        ("2:", "'2:'; give a number"),
        ("-1", "'-1'; give a number"),
        ("1:2:3", "'1:2:3'; give a number"),
        ("", "''; give a number"),
    ],
)
def test_a_number_of_workers_that_makes_no_sense_is_refused(
    invoke: Invoke, tasks_file: Callable[..., Path], workers: str, told: str
) -> None:
    tasks_file(1)
    ended = invoke(*manager(f"--workers={workers}"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"muster: --workers is {told}")
    assert ended.err.count("\n") == 1


def test_tasks_whose_data_are_no_arguments_of_their_functions_are_refused_before_the_run(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("adding.py").write_text(
        "from muster.agents import Handlers\n"
        "handlers = Handlers()\n"
        "@handlers.task\n"
        "def add(x: int, y: int = 3) -> int:\n"
        "    return x + y\n"
    )
    rows = [{"id": 1, "data": {"x": 1}}, {"id": 2, "data": {"z": 1}}, {"id": 3, "data": {"x": "a"}}]
    lines = (json.dumps({"description": "add", "type": "add", **row}) for row in rows)
    Path("tasks.jsonl").write_text("\n".join(lines))
    ended = invoke(*manager("--workers", "1:2", "--handlers", "adding"))
    assert (ended.code, ended.out) == (2, "")
    first, second, third = ended.err.splitlines()
    assert first == "muster: the data of tasks are not the arguments of their functions:"
    assert second == "  task 2: add() has no parameter 'z'; it takes x: int, y: int = 3"
    assert third.startswith("  task 3: add(): x: 'a': Input should be a valid integer, ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--workers", 2, "--skill", 3, "--slots", 2),
            "--skill and --slots: only for workers that the manager starts; set a minimum and",
        ),
        (("--workers", "1:2", "--slots", 0), "--slots is 0; it must be 1 or more"),
        (
            ("--workers", 2, "--skill", "vision=3", "--cost-per-s", 0),
            "--skill and --cost-per-s: only for workers that the manager starts; set a minimum and",
        ),
        (("--workers", "1:2", "--skill", -1), "--skill is -1; it must be from 0 to 1,000"),
        (("--workers", "1:2", "--skill", "vision=-1"), "--skill is 'vision=-1': the level is -1;"),
        (("--workers", "1:2", "--cost-per-s", -1), "--cost-per-s is -1; it must be 0 or more"),
        (("--workers", "1:2", "--cost-per-task", "nan"), "--cost-per-task is nan; it must be 0"),
        (("--workers", 1, "--thrift", -1), "thrift is -1.0; it must be 0 or more"),
        (("--workers", 1, "--budget", "inf"), "budget is inf; it must be 0 or more, or None"),
        (("--workers", 1, "--cost-unit", " "), "cost_unit is ' '; it must be text that is not"),
        (("--workers", 1, "--aging-s", 0), "aging_s is 0.0; it must be above 0, or None"),
        (("--workers", "1:2", "--handlers", "nowhere"), "there is no module 'nowhere'"),
        (("--workers", "1:2", "--allow", "Ada"), "--allow and --workers MIN:MAX exclude each"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_starts(
    invoke: Invoke, tasks_file: Callable[..., Path], options: tuple[object, ...], told: str
) -> None:
    tasks_file(1)
    ended = invoke(*manager(*options))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"muster: {told}")


# ------------------------------------------------------------------------------ real processes

HANDLERS = """
import os, time
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("work")
def work(task):
    while not Path("enough").exists():
        time.sleep(0.02)
    print(f"task {task.id} is done")
    return os.getpid()
"""


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_a_burst_makes_it_grow_to_its_maximum_and_its_end_leaves_no_process(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "working.py").write_text(HANDLERS)
    tasks = ({"id": n, "description": "x", "type": "work"} for n in range(1, 21))
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, tasks)))
    # It has a secret of its own, which its tickets do not carry.
    assert start("secret", "--file", "own").end().code == 0
    managing = start(
        *manager("--workers", "2:3", "--slots", 2, "--skill", 4, "--specialty", "work"),
        *("--skill", "vision=9", "--cost-per-s", 0.5, "--cost-per-task", 2),
        *("--handlers", "working", "--report", "report.json", "--secret-file", "own"),
    )
    managing.wait_for("worker-3 joined")
    (tmp_path / "enough").touch()
    ended = managing.end()
    # What handlers print is told, and not on stdout.
    printed = sorted(f"task {number} is done" for number in range(1, 21))
    assert (ended.code, sorted(ended.err.splitlines())) == (0, printed)
    assert "worker-4" not in ended.out
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["workers"]) == {"worker-1", "worker-2", "worker-3"}
    told = {(each["skill_level"], each["slots"]) for each in report["workers"].values()}
    assert told == {(4, 2)}
    told = [
        (each["skills"], each["cost_per_s"], each["cost_per_task"])
        for each in report["workers"].values()
    ]
    assert told == [({"vision": 9.0}, 0.5, 2.0)] * 3
    assert len({task["output"] for task in report["tasks"]}) >= 2
    assert {task["attempts"] for task in report["tasks"]} == {1}
    managing.wait_until(lambda: started_by(managing.process.pid) == [])


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.parametrize("moment", ["muster:2:", "T1 ->"])
def test_a_manager_that_is_killed_leaves_no_process(
    start: Start, tasks_file: Callable[..., Path], moment: str
) -> None:
    tasks_file(9, 9, 9)
    managing = start(*manager("--workers", "2:2", "--time-scale", 1000))
    managing.wait_for(moment)
    managing.wait_until(lambda: len(started_by(managing.process.pid)) == 2)
    managing.process.kill()
    managing.process.wait()
    managing.wait_until(lambda: started_by(managing.process.pid) == [])


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_ctrl_c_ends_the_workers_with_the_manager(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    tasks_file(9, 9, 9)
    managing = start(*manager("--workers", "2:2", "--time-scale", 1000))
    managing.wait_for("T1 ->")
    managing.interrupt(signal.SIGINT)
    ended = managing.end()
    assert (ended.code, "Traceback" in ended.err) == (1, False)
    managing.wait_until(lambda: started_by(managing.process.pid) == [])
