"""`--report FILE`: of a scenario, a manager and a store, in the format that the ending names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import RunReport, SqliteStore, TaskManager
from muster.messages import Task

Invoke = Callable[..., Any]

ASKED = {
    "run": ("run", "all_well", "--report"),
    "manager": ("manager", "--tasks", "tasks.jsonl", "--workers", "1", "--report"),
    "report": ("report", "--store", "run.db", "--output"),
}


@pytest.mark.parametrize("command", ASKED)
def test_an_unknown_ending_is_told_before_anything_begins(
    invoke: Invoke, tasks_file: Callable[..., Path], command: str
) -> None:
    tasks_file(1)
    ended = invoke(*ASKED[command], "report.pdf")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "muster: the report can't be written to 'report.pdf': its ending names the format, which "
        "is one of .html, .md, .json, .txt\n"
    )


@pytest.mark.parametrize("command", ASKED)
def test_a_place_that_may_not_be_written_to_is_told_before_anything_begins(
    invoke: Invoke,
    tasks_file: Callable[..., Path],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks_file(1)
    # The tests may run as root, who may write anywhere.
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, *how, **more: str(path) != "." and access(path, *how, **more)
    )
    ended = invoke(*ASKED[command], "report.md")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "muster: the report can't be written to 'report.md': this user may not write to '.'\n"
    )


@pytest.mark.ceylon
def test_the_report_is_printed_even_if_its_file_can_not_be_written(invoke: Invoke) -> None:
    Path("out.md").symlink_to("/dev/full")
    ended = invoke("run", "all_well", "--time-scale", "0.01", "--report", "out.md")
    assert ended.code == 2
    assert "3 of 3 tasks succeeded" in ended.out
    assert ended.err.endswith(
        "muster: the report can't be written to 'out.md': No space left on device\n"
    )


@pytest.mark.ceylon
def test_a_scenario_leaves_its_report(invoke: Invoke) -> None:
    ended = invoke("run", "all_well", "--time-scale", "0.01", "--report", "out.html")
    assert ended.code == 0
    page = Path("out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<h1>All 3 tasks completed</h1>" in page
    assert "<code>sequenceDiagram" in page
    assert "Junior-&gt;&gt;TM: TaskResult(T1, success=true)" in page
    assert "Success rate" in ended.out or "3 of 3 tasks succeeded" in ended.out


def test_a_store_is_reported_in_every_format(invoke: Invoke) -> None:
    store = SqliteStore("run.db")
    manager = TaskManager([Task(id=1, description="One & only")], port=0, store=store)
    manager._shell.driver.commit.close()
    for ending in ("html", "md", "txt", "json"):
        assert invoke("report", "--store", "run.db", "--output", f"out.{ending}").code == 0
    assert "One \\u0026 only" in Path("out.html").read_text(encoding="utf-8")
    assert r"| 1 | One \& only | Pending |" in Path("out.md").read_text(encoding="utf-8")
    assert "```mermaid\nsequenceDiagram\n" in Path("out.md").read_text(encoding="utf-8")
    assert "0 of 1 task succeeded" in Path("out.txt").read_text(encoding="utf-8")
    report = RunReport.model_validate_json(Path("out.json").read_bytes())
    assert report.tasks[0].description == "One & only"


def test_the_help_tells_the_endings(invoke: Invoke) -> None:
    for command in ("run", "manager", "report"):
        assert ".html, .md, .json, .txt" in " ".join(invoke(command, "--help").out.split())
