"""The commands as a user runs them: processes that find each other over the real network."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ceylon, pytest.mark.processes]

Start = Callable[..., Any]

HOW = [
    pytest.param((), id="in one process"),
    pytest.param(("--processes",), id="in processes", marks=pytest.mark.slow),
]

HANGING = """
import time
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("hang")
def hang(task):
    Path("hangs").touch()
    time.sleep(3600)
"""

BLOCKING = """
import time
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("block")
async def block(task):
    print("it blocks", flush=True)
    time.sleep(600)
"""

ADDING = """
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("add")
def add(task):
    print("adding")
    return sum(task.data)
"""

STORY = """
import adding
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task
from muster.scenarios.scenario import Scenario

class Sums(Scenario):
    '''Sums are done.'''

    def manager(self):
        tasks = [Task(id=n, description="sum", type="add", data=[n, n]) for n in (1, 2)]
        return TaskManager(tasks, 2, port=0, quiet=True)

    def workers(self):
        return [WorkerAgent(name, 5, handlers=adding.handlers) for name in ("Ada", "Ben")]

    def conclusion(self, report):
        return f"sums: {[task.output for task in report.tasks]}"
"""


def manager(tasks: Path, *more: object) -> tuple[object, ...]:
    return (
        *("manager", "--tasks", tasks, "--port", 0),
        *("--ticket-file", "ticket", "--time-scale", "0.05"),
        *more,
    )


def worker(name: str, skill: int, *more: object) -> tuple[object, ...]:
    return (
        *("worker", "--join", "ticket", "--name", name, "--skill", skill),
        *("--time-scale", "0.05"),
        *more,
    )


# ----------------------------------------------------------------------------------------- run


def test_a_scenario_that_goes_well_ends_with_0_and_its_report_as_json(start: Start) -> None:
    ended = start("run", "all_well", "--time-scale", "0.05", "--json").end()
    assert ended.code == 0
    report = json.loads(ended.out)
    assert report["success_rate"] == 1.0
    assert {task["id"]: task["worker"] for task in report["tasks"]} == {
        1: "Junior",
        2: "Intermediate",
        3: "Senior",
    }
    assert ended.err == ""


@pytest.mark.slow
def test_a_scenario_with_failures_ends_with_1_and_tells_them(start: Start) -> None:
    ended = start("run", "some_failures", "--time-scale", "0.05").end()
    assert ended.code == 1
    # How long it took depends on how busy the machine is.
    failed = r"T3 failed on Junior in \d+\.\d s: too difficult: skill 3 is below difficulty 8"
    assert re.search(failed, ended.out)
    assert "2 of 3 tasks succeeded (66.67%)" in ended.out
    assert ended.err == ""


@pytest.mark.slow
def test_missing_workers_end_a_run_with_1_its_report_and_the_reason(start: Start) -> None:
    ended = start("run", "late_worker", "fail", "--time-scale", "2").end()
    assert ended.code == 1
    assert "0 of 2 tasks succeeded" in ended.out
    assert ended.err.startswith("muster: 2 of 3 expected workers")
    assert "missing: Senior" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_a_scenario_of_the_users_own_is_played_from_its_file(
    start: Start, tmp_path: Path, how: tuple[str, ...]
) -> None:
    folder = tmp_path / "stories"
    folder.mkdir()
    (folder / "adding.py").write_text(ADDING)
    (folder / "sums.py").write_text(STORY)
    ended = start("run", "stories/sums.py", *how).end()
    # What handlers print in processes of their own goes to stderr.
    assert (ended.code, ended.err.split()) == (0, ["adding", "adding"] if how else [])
    assert ended.out.endswith("\nsums: [2, 4]\n")
    assert ("adding\n" in ended.out) == (how == ())


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_ctrl_c_ends_a_run_with_the_report_of_what_was_done(
    start: Start, how: tuple[str, ...]
) -> None:
    running = start("run", "all_well", "--time-scale", "1000", *how)
    running.wait_for("T1 ->")
    running.interrupt()
    ended = running.end()
    assert ended.code == 1
    assert "0 of 3 tasks succeeded" in ended.out
    assert ended.err == ""
    running.wait_until(lambda: members_of(running.process.pid) == [])


@pytest.mark.slow
def test_ctrl_c_while_worker_processes_are_starting_leaves_no_traceback(start: Start) -> None:
    running = start("run", "all_well", "--processes")
    running.wait_until(lambda: is_importing(children_of(running.process.pid)[2:]))
    running.interrupt()
    ended = running.end()
    assert (ended.code, ended.err) == (1, "")
    running.wait_until(lambda: members_of(running.process.pid) == [])


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_at_once_and_tidily(start: Start, tmp_path: Path) -> None:
    running = start("run", "all_well", "--time-scale", "1000", "--processes")
    running.wait_for("T1 ->")
    running.interrupt()
    running.interrupt(signal.SIGTERM)
    ended = running.end()
    assert ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert ended.err == ""
    running.wait_until(lambda: members_of(running.process.pid) == [])


@pytest.mark.slow
def test_worker_processes_end_when_whoever_started_them_is_killed(start: Start) -> None:
    running = start("run", "all_well", "--time-scale", "1000", "--processes")
    running.wait_for("T1 ->")
    running.process.kill()
    running.process.wait()
    running.wait_until(lambda: members_of(running.process.pid) == [])


@pytest.mark.slow
def test_a_run_goes_on_when_the_reader_of_its_lines_leaves(
    start: Start, tasks_file: Callable[..., Path], tmp_path: Path
) -> None:
    nobody_reads, pipe = os.pipe()
    managing = start(*manager(tasks_file(1, 2), "--workers", 1, "--report", "r.json"), stdout=pipe)
    os.close(pipe)
    assert os.read(nobody_reads, 7) == b"join wi"
    os.close(nobody_reads)
    start(*worker("Ada", 9))
    ended = managing.end()
    assert (ended.code, ended.err) == (0, "")
    assert json.loads((tmp_path / "r.json").read_text())["success_rate"] == 1.0


@pytest.mark.slow
def test_a_scenario_of_the_users_own_can_be_run_as_a_script(start: Start, tmp_path: Path) -> None:
    (tmp_path / "adding.py").write_text(ADDING)
    script = STORY + "\nfrom muster.scenarios.scenario import perform\nperform(Sums)\n"
    (tmp_path / "sums.py").write_text(
        script.replace("perform(Sums)", 'if __name__ == "__main__": perform(Sums)')
    )
    ended = start("--json", script="sums.py").end()
    assert (ended.code, json.loads(ended.out)["success_rate"]) == (0, 1.0)


@pytest.mark.slow
def test_what_handlers_print_does_not_get_into_a_report_as_json(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "adding.py").write_text(ADDING)
    (tmp_path / "sums.py").write_text(STORY)
    ended = start("run", "sums.py", "--json").end()
    assert json.loads(ended.out)["success_rate"] == 1.0
    # Two threads print, and a line and its end are two writes.
    assert ended.err.replace("\n", "") == "addingadding"


@pytest.mark.slow
def test_log_lines_for_no_terminal_are_json_on_stderr(start: Start) -> None:
    ended = start("run", "all_well", "--time-scale", "0.05", "-v").end()
    told = [json.loads(line) for line in ended.err.splitlines()]
    assert {(each["level"], each["event"], each["worker"]) for each in told} == {
        ("info", "joined", name) for name in ("Junior", "Intermediate", "Senior")
    }


# ------------------------------------------------------------------------ manager, worker, why


def test_a_manager_and_two_workers_find_each_other_through_a_ticket_file(
    start: Start, tasks_file: Callable[..., Path], tmp_path: Path
) -> None:
    ada = start(*worker("Ada", 9))
    ben = start(*worker("Ben", 4))
    managing = start(*manager(tasks_file(8, 3, 2), "--workers", 2, "--report", "report.json"))
    ended = managing.end()
    assert ended.code == 0
    assert ended.out.startswith("join with: muster worker --join ticket\n")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"]["completed"] == 3
    assert ada.end().out == "Ada: 1 task, 1 succeeded\n"
    assert ben.end().out == "Ben: 2 tasks, 2 succeeded\n"
    assert not (tmp_path / "ticket").exists()


@pytest.mark.slow
def test_a_second_manager_does_not_take_the_ticket_file_of_a_running_one(
    start: Start, tasks_file: Callable[..., Path], tmp_path: Path
) -> None:
    tasks = tasks_file(1)
    managing = start(*manager(tasks, "--workers", 1))
    managing.wait_for("join with:")
    ticket = (tmp_path / "ticket").read_bytes()
    ended = start(*manager(tasks, "--workers", 1)).end()
    assert (ended.code, ended.out) == (2, "")
    assert "the ticket file 'ticket' belongs to a manager that is running" in ended.err
    assert (tmp_path / "ticket").read_bytes() == ticket
    start(*worker("Ada", 9))
    assert managing.end().code == 0


@pytest.mark.slow
def test_a_worker_that_comes_before_its_manager_waits_for_the_ticket_file(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    working = start(*worker("Ada", 9))
    working.wait_for("muster: waiting up to 30 s for the ticket file 'ticket'")
    managing = start(*manager(tasks_file(1), "--workers", 1))
    assert working.end().out == "Ada: 1 task, 1 succeeded\n"
    assert managing.end().code == 0


@pytest.mark.slow
def test_with_json_the_ticket_goes_to_stderr_and_only_the_report_to_stdout(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(1), "--workers", 1, "--json"))
    start(*worker("Ada", 9))
    ended = managing.end()
    assert json.loads(ended.out)["success_rate"] == 1.0
    assert ended.err.startswith("join with: muster worker --join ticket\n")


@pytest.mark.slow
def test_a_second_worker_of_a_name_is_refused_with_the_reason(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(1), "--workers", 2))
    first = start(*worker("Ada", 9))
    managing.wait_for("Ada joined")
    ended = start(*worker("Ada", 3)).end()
    assert ended.code == 2
    assert ended.err == "muster: a worker named 'Ada' is already connected; choose another name\n"
    assert ended.out == ""
    assert first.process.poll() is None


@pytest.mark.slow
def test_a_running_manager_tells_why_a_task_waits_and_which_task_it_does_not_know(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(8), "--workers", 2))
    start(*worker("Ada", 9))
    managing.wait_for("Ada joined")
    ended = start("why", 1, "--join", "ticket").end()
    assert (ended.code, ended.err) == (0, "")
    assert "1" in ended.out.splitlines()[0]
    assert "worker" in ended.out
    ended = start("why", 7, "--join", "ticket").end()
    assert ended.code == 2
    assert ended.err.startswith("muster: ")
    assert "7" in ended.err


@pytest.mark.slow
def test_failed_tasks_of_a_running_manager_are_tried_again(start: Start, tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text(
        "from pathlib import Path\n"
        "from muster.agents import Handlers\n"
        "handlers = Handlers()\n"
        "@handlers.task('roll')\n"
        "def roll(task):\n"
        "    if not Path('dry').exists():\n"
        "        raise ValueError('too wet')\n"
        "@handlers.task('wait')\n"
        "def wait(task):\n"
        "    import time\n"
        "    while not Path('done').exists():\n"
        "        time.sleep(0.05)\n"
    )
    (tmp_path / "tasks.jsonl").write_text(
        '{"id": 1, "description": "Roll", "type": "roll"}\n'
        '{"id": "1", "description": "Sort", "type": "roll", "depends_on": [1]}\n'
        '{"id": 3, "description": "Wait", "type": "wait"}\n'
    )
    managing = start(*manager(tmp_path / "tasks.jsonl", "--workers", 1))
    start(*worker("Ada", 9, "--handlers", "leaves", "--slots", 2))
    managing.wait_for("T1 failed")
    none = start("retry", 3, "--join", "ticket").end()
    assert none.code == 2
    assert "task 3 is in_progress; only a failed or cancelled task can be tried again" in none.err
    (tmp_path / "dry").touch()
    again = start("retry", "--failed", "--join", "ticket").end()
    assert (again.code, again.out, again.err) == (0, "task 1 begins anew\ntask 1 begins anew\n", "")
    (tmp_path / "done").touch()
    assert managing.end().code == 0, managing.lines


@pytest.mark.slow
def test_a_task_that_is_cancelled_by_a_command_is_told(start: Start) -> None:
    start("manager", "--port", 0, "--ticket-file", "ticket").wait_for("join with:")
    task = ("--type", "roll", "--id", 5)
    assert start("submit", "--join", "ticket", "--no-wait", *task).end().code == 0
    ended = start("cancel", 5, "--join", "ticket").end()
    assert (ended.code, ended.out, ended.err) == (0, "task 5 is cancelled\n", "")


@pytest.mark.slow
def test_ctrl_c_ends_a_manager_with_its_report_and_sends_the_workers_home(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(9, 9), "--workers", 1, "--time-scale", "1000"))
    working = start(*worker("Ada", 9, "--time-scale", "1000"))
    managing.wait_for("T1 -> Ada")
    managing.interrupt()
    ended = managing.end()
    assert ended.code == 1
    assert "0 of 2 tasks succeeded" in ended.out
    assert "Traceback" not in ended.err
    assert working.end().code == 0


@pytest.mark.slow
def test_sigterm_ends_a_manager_as_ctrl_c_does(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(9), "--workers", 1))
    managing.wait_for("join with:")
    managing.interrupt(signal.SIGTERM)
    assert managing.end().code == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_worker_whose_handler_blocks_its_loop(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKING)
    (tmp_path / "tasks.jsonl").write_text('{"id": 1, "description": "x", "type": "block"}')
    managing = start(*manager(tmp_path / "tasks.jsonl", "--workers", 1))
    working = start(*worker("Ada", 9, "--handlers", "blocking"))
    working.wait_for("it blocks")
    # Two that come before the first is heard are one.
    while working.process.poll() is None:
        working.interrupt(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            working.process.wait(2)
    assert working.end().code == 128 + number
    managing.interrupt()
    assert managing.end().code == 1


@pytest.mark.slow
def test_ctrl_c_at_a_worker_hands_its_task_to_another_at_once(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(9), "--workers", 2, "--time-scale", 1000))
    leaving = start(*worker("Ada", 9, "--time-scale", "1000"))
    staying = start(*worker("Zoe", 10))
    managing.wait_for("T1 -> Ada")
    leaving.interrupt()
    ended = leaving.end()
    assert (ended.code, "Traceback" in ended.err) == (0, False)
    assert managing.end().code == 0
    assert staying.end().out == "Zoe: 1 task, 1 succeeded\n"


@pytest.mark.parametrize(
    "where", ["--threads", pytest.param("--processes", marks=pytest.mark.slow)]
)
def test_handlers_run_in_threads_or_processes(start: Start, tmp_path: Path, where: str) -> None:
    (tmp_path / "adding.py").write_text(ADDING)
    (tmp_path / "tasks.jsonl").write_text(
        '{"id": 1, "description": "x", "type": "add", "data": [3, 4]}\n'
    )
    managing = start(*manager(tmp_path / "tasks.jsonl", "--workers", 1, "--json"))
    managing.wait_for("join with:")
    working = start(*worker("Ada", 9, "--handlers", "adding", where, 2))
    assert json.loads(managing.end().out)["tasks"][0]["output"] == 7
    ended = working.end()
    assert (ended.code, ended.err) == (0, "")
    working.wait_until(lambda: members_of(working.process.pid) == [])


@pytest.mark.slow
@pytest.mark.parametrize("where", ["--threads", "--processes"])
def test_a_worker_whose_handler_hangs_can_still_leave(
    start: Start, tmp_path: Path, where: str
) -> None:
    (tmp_path / "hanging.py").write_text(HANGING)
    (tmp_path / "tasks.jsonl").write_text('{"id": 1, "description": "x", "type": "hang"}\n')
    start(*manager(tmp_path / "tasks.jsonl", "--workers", 1))
    working = start(*worker("Ada", 9, "--handlers", "hanging", where, 1))
    working.wait_until((tmp_path / "hangs").exists)
    working.interrupt()
    ended = working.end()
    assert ended.code == 0
    assert ended.out == "Ada: 1 task, 0 succeeded\n"
    assert "Traceback" not in ended.err
    working.wait_until(lambda: members_of(working.process.pid) == [])


def members_of(group: int) -> list[str]:
    """The processes of a process group that are left, zombies aside, by what they run."""
    left: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(process_group) == group and state != "Z":
                left.append((folder / "cmdline").read_text())
    return left


def children_of(process_id: int) -> list[str]:
    return Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()


def is_importing(process_ids: list[str]) -> bool:
    """Whether one of them has got as far as one of the first modules that Muster imports."""
    return any("pydantic_core" in Path(f"/proc/{each}/maps").read_text() for each in process_ids)


@pytest.mark.slow
def test_a_manager_serves_its_metrics_while_it_runs(
    start: Start, tasks_file: Callable[..., Path]
) -> None:
    managing = start(*manager(tasks_file(3), "--workers", 1, "--metrics", 0))
    url = managing.wait_for("metrics at ").split()[-1]
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert b'muster_tasks{status="pending"} 1.0' in answer.read()
    # Before this line an interrupt ends the process without a report.
    managing.wait_for("join with:")
    managing.interrupt()
    assert managing.end().code == 1
