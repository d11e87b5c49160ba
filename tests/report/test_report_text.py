"""What is shown of a report: the tutorial's closing lines, and the tables."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from muster.agents.report.model import RunReport, TaskReport, WorkerReport
from muster.agents.report.text import print_report, render_summary, render_text
from muster.messages import TaskStatus
from rich.console import Console

Task = Callable[..., TaskReport]
Worker = Callable[..., WorkerReport]
Run = Callable[..., RunReport]

SEVERAL_OUTCOMES = """\
task_manager: 1 of 3 tasks succeeded (33.33%) in 4.0 s

Task  Description         Worker  Attempts  Result       Time  Error
───────────────────────────────────────────────────────────────────────────────
1     Simple calculation  Senior         1  Success     2.0 s
2     Model training      Junior         2  Failure    1.5 ms  ValueError: oops
x     Evaluation          -              0  Cancelled       -  dependency: ...

Worker         Skill  Slots  Completed  Success  Mean time   Busy
─────────────────────────────────────────────────────────────────
Senior             9      2      1,000   100.0%      2.0 s  50.0%
Junior (lost)      3      1          0        -          -   0.0%

Policy: best_fit
Work: 2.0 s, 1.0 s a task
Lost: 1 worker, no attempt, no task
Tasks: 1 completed, 1 failed, 1 cancelled
Errors: 1 ValueError, 1 dependency
Results ignored: 3 late
Frames dropped: 12 pickle"""


@pytest.fixture
def several_outcomes(run_report: Run, task_report: Task, worker_report: Worker) -> RunReport:
    """Tell of a run in which one task succeeded, one failed and one was cancelled."""
    return run_report(
        [
            task_report(1, description="Simple calculation", worker="Senior"),
            task_report(
                2,
                TaskStatus.FAILED,
                description="Model training",
                worker="Junior",
                attempts=2,
                execution_time=0.0015,
                error_message="ValueError: oops",
            ),
            task_report(
                "x",
                TaskStatus.CANCELLED,
                description="Evaluation",
                worker="",
                attempts=0,
                error_message="dependency: ...",
            ),
        ],
        workers={
            "Senior": worker_report(skill_level=9, slots=2, completed=1000),
            "Junior": worker_report(
                skill_level=3,
                completed=0,
                success_rate=None,
                mean_time=None,
                busy_share=0.0,
                lost=True,
            ),
        },
        error_counts={"ValueError": 1, "dependency": 1},
        ignored={"late": 3},
        dropped={"pickle": 12},
    )


# ------------------------------------------------------------------------ the tutorial's lines


def test_the_summary_is_the_tutorials(run_report: Run, task_report: Task) -> None:
    workers = ("Junior", "Intermediate", "Senior")
    tasks = [task_report(place, worker=name) for place, name in enumerate(workers, 1)]
    assert render_summary(run_report(tasks)) == (
        "All tasks completed\n"
        "Task 1 assigned to Junior - Success\n"
        "Task 2 assigned to Intermediate - Success\n"
        "Task 3 assigned to Senior - Success\n"
        "Success rate: 100.00%"
    )


def test_a_failed_task_reads_failure_and_lowers_the_rate(
    run_report: Run, task_report: Task
) -> None:
    tasks = [task_report(1), task_report(2), task_report(3, TaskStatus.FAILED)]
    assert render_summary(run_report(tasks)).splitlines() == [
        "All tasks settled: 2 completed, 1 failed",
        "Task 1 assigned to Ada - Success",
        "Task 2 assigned to Ada - Success",
        "Task 3 assigned to Ada - Failure",
        "Success rate: 66.67%",
    ]


def test_a_cancelled_task_is_not_called_completed(run_report: Run, task_report: Task) -> None:
    tasks = [
        task_report(1, TaskStatus.CANCELLED),
        task_report(4, TaskStatus.CANCELLED, worker=""),
        task_report(5, TaskStatus.FAILED, worker=""),
    ]
    assert render_summary(run_report(tasks)).splitlines() == [
        "All tasks settled: 1 failed, 2 cancelled",
        "Task 1 assigned to Ada - Cancelled",
        "Task 4 not assigned - Cancelled",
        "Task 5 not assigned - Failure",
        "Success rate: 0.00%",
    ]


def test_tasks_that_are_not_settled_are_told_as_they_stand(
    run_report: Run, task_report: Task
) -> None:
    tasks = [
        task_report(1),
        task_report(2, TaskStatus.IN_PROGRESS),
        task_report(3, TaskStatus.PENDING, worker=""),
        task_report(4, TaskStatus.PENDING),
    ]
    assert render_summary(run_report(tasks)).splitlines() == [
        "1 of 4 tasks settled",
        "Task 1 assigned to Ada - Success",
        "Task 2 assigned to Ada - In Progress",
        "Task 3 not assigned - Pending",
        "Task 4 last assigned to Ada - Pending",
        "Success rate: 25.00%",
    ]


def test_tasks_that_no_worker_ever_got_share_a_line(run_report: Run, task_report: Task) -> None:
    untouched = {"worker": "", "attempts": 0}
    tasks = [task_report(number, TaskStatus.PENDING, **untouched) for number in range(1, 51)]
    report = run_report(tasks, workers={})
    assert render_summary(report).splitlines() == [
        "0 of 50 tasks settled",
        "50 tasks were never assigned: no worker has joined",
        "Success rate: 0.00%",
    ]
    text = render_text(report)
    assert "50 tasks were never assigned: no worker has joined" in text
    assert "Pending" not in text


# ------------------------------------------------------------------------ the tables


TRACEBACK = """Traceback (most recent call last):
  File "main.py", line 1, in begin
    work(task)
  File "tea.py", line 7, in work
    return brew(task)
  File "tea.py", line 9, in brew
    raise ValueError("cold")
ValueError: cold\x1b[2J"""


def test_failures_are_told_with_their_place_once_for_each_kind(
    run_report: Run, task_report: Task
) -> None:
    failed = {"error_message": "ValueError: cold", "error_traceback": TRACEBACK}
    tasks = [task_report(number, TaskStatus.FAILED, **failed) for number in (2, 3, 5)]
    text = render_text(run_report([task_report(1), *tasks]))
    assert text.count("in brew") == 1
    assert "Tasks 2, 3, 5 failed with ValueError at" in text
    assert '  File "tea.py", line 9, in brew\n    raise ValueError("cold")' in text
    assert "main.py" not in text
    assert "\x1b" not in text


def test_the_text_shows_tasks_workers_and_totals(several_outcomes: RunReport) -> None:
    assert render_text(several_outcomes, width=80) == SEVERAL_OUTCOMES


def test_without_errors_there_is_no_column_for_them(run_report: Run, task_report: Task) -> None:
    assert render_text(run_report([task_report(1)])).splitlines() == [
        "task_manager: 1 of 1 task succeeded (100.00%) in 4.0 s",
        "",
        "Task  Description    Worker  Attempts  Result    Time",
        "─────────────────────────────────────────────────────",
        "1     task number 1  Ada            1  Success  2.0 s",
        "",
        "Policy: best_fit",
        "Work: 2.0 s, 2.0 s a task",
        "Tasks: 1 completed",
    ]


def test_errors_too_long_for_a_column_stand_below_the_tasks(
    run_report: Run, task_report: Task
) -> None:
    failed = task_report(2, TaskStatus.FAILED, error_message="ValueError: " + "no such row, " * 9)
    assert render_text(run_report([task_report(1), failed]), width=60).splitlines()[2:12] == [
        "Task  Description    Worker  Attempts  Result    Time",
        "─────────────────────────────────────────────────────",
        "1     task number 1  Ada            1  Success  2.0 s",
        "2     task number 2  Ada            1  Failure  2.0 s",
        "",
        "Task  Error",
        "────────────────────────────────────────────────────────────",
        "2     ValueError: no such row, no such row, no such row, no",
        "      such row, no such row, no such row, no such row, no",
        "      such row, no such row,",
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_asked_for(
    run_report: Run, task_report: Task, worker_report: Worker, width: int
) -> None:
    endless = "long " * 1000
    task = task_report(endless[:199], TaskStatus.FAILED, description=endless, error_message=endless)
    report = run_report([task], workers={endless: worker_report()}, failure=endless)
    assert max(map(len, render_text(report, width=width).splitlines())) <= width


def test_a_run_that_failed_says_why_at_the_top(run_report: Run) -> None:
    report = run_report([], failure="1 of 2 expected workers joined")
    assert render_text(report).splitlines()[:2] == [
        "task_manager: no tasks in 4.0 s",
        "The run failed: 1 of 2 expected workers joined",
    ]


def test_fifty_tasks_are_all_shown(run_report: Run, task_report: Task) -> None:
    report = run_report([task_report(number) for number in range(1, 51)])
    assert sum("task number" in line for line in render_text(report).splitlines()) == 50


def test_a_long_run_is_folded_to_its_first_tasks_and_those_that_failed(
    run_report: Run, task_report: Task
) -> None:
    failed = set(range(25, 1001, 25))
    tasks = [
        task_report(number, TaskStatus.FAILED if number in failed else TaskStatus.COMPLETED)
        for number in range(1, 1001)
    ]
    lines = render_text(run_report(tasks)).splitlines()
    shown = [int(line.split()[0]) for line in lines if "task number" in line]
    assert shown == [*range(1, 21), *range(25, 501, 25)]
    assert lines[44:46] == ["… 940 more that succeeded", "… 20 more that did not succeed"]


def test_many_workers_are_folded_too_but_not_those_that_were_lost(
    run_report: Run, worker_report: Worker
) -> None:
    workers = {f"w{number}": worker_report(lost=number == 55) for number in range(1, 61)}
    lines = render_text(run_report([], workers=workers)).splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("w")]
    assert shown == [*(f"w{number}" for number in range(1, 21)), "w55"]
    assert "… 39 more that stayed" in lines


def test_many_kinds_of_errors_are_not_all_listed(run_report: Run) -> None:
    report = run_report([], error_counts={f"kind{number}": 1 for number in range(100)})
    line = render_text(report, width=400).splitlines()[-1]
    assert line.startswith("Errors: 1 kind0, 1 kind1, ")
    assert line.endswith(", 1 kind19, and 80 kinds more")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0004, "0.4 ms"), (1.0, "1.0 s"), (119.9, "119.9 s"), (600, "10.0 min"), (36e3, "10.0 h")],
)
def test_times_are_told_in_units_that_suit_them(
    run_report: Run, task_report: Task, seconds: float, shown: str
) -> None:
    text = render_text(run_report([task_report(1, execution_time=seconds)]))
    assert text.splitlines()[4].endswith(f"  {shown}")


def test_what_peers_sent_can_not_steer_the_terminal(run_report: Run, task_report: Task) -> None:
    task = task_report(1, description="[red]x[/red]\x1b[2J\r\ny", worker="\x07A")
    report = run_report([task], dropped={"\x1b": 1})
    shown = render_text(report) + render_summary(report)
    assert r"[red]x[/red]\x1b[2J y" in shown
    assert r"assigned to \x07A" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_on_a_terminal_the_outcomes_have_colours(several_outcomes: RunReport) -> None:
    page = StringIO()
    print_report(several_outcomes, Console(file=page, width=80, force_terminal=True))
    assert "\x1b[32mSuccess" in page.getvalue()
    assert "\x1b[31mFailure" in page.getvalue()


def test_plain_text_has_no_colours_whatever_the_environment_wants(
    several_outcomes: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("COLUMNS", "20")
    assert render_text(several_outcomes, width=80) == SEVERAL_OUTCOMES


def test_a_report_can_be_shown_of_anything_at_all(run_report: Run, task_report: Task) -> None:
    odd: dict[str, Any] = {"description": "\ud800", "worker": "茶" * 100, "error_message": " "}
    text = render_text(run_report([task_report("茶", TaskStatus.FAILED, **odd)]), width=80)
    assert text.encode()
