"""What notebooks show of managers, reports, results and clients: small tables, all escaped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from muster.agents import (
    Client,
    Handlers,
    MemoryNetwork,
    Muster,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.messages import Task, TaskResult

NASTY = "<script>alert('x')</script> & \"<b>\""


class Reader(HTMLParser):
    """Reads the tags and the texts of a table, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        assert {name for name, _ in attrs} <= {"scope", "colspan"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(shown: Any) -> str:
    """The text of what a notebook shows of an object."""
    html: str = shown._repr_html_()
    html.encode()
    reader = Reader(html)
    assert reader.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    return " | ".join(reader.texts)


def fail(task: Task) -> None:
    raise ValueError(task.data)


def a_run() -> TaskManager:
    handlers = Handlers()
    handlers.task("fail")(fail)
    tasks = [Task(id=n, description=NASTY, type="fail", data=NASTY) for n in range(1, 41)]
    manager = TaskManager(tasks, expected_workers=1, quiet=True, name="<i>boss</i>")
    worker = WorkerAgent("<u>Ada</u>", 5, handlers=handlers, slots=4)
    run_in_virtual_time(rehearse(manager, [worker], MemoryNetwork()))
    return manager


def test_a_manager_and_its_report_are_shown_with_foreign_text_escaped() -> None:
    manager = a_run()
    told = read(manager)
    assert "manager '<i>boss</i>': 40 failed" in told
    assert "<u>Ada</u>" in told
    report = read(manager.report())
    assert "40 failed" in report
    assert "<script>alert('x')</script> & \"<b>\"" in report
    assert "and 20 more" in report


SHOWN: list[tuple[Callable[[], Any], list[str]]] = [
    (lambda: TaskResult(3, "<b>", True, output=NASTY), ["3", "completed", "<b>", "<script>"]),
    (lambda: TaskResult("<i>", "Ada", False, error_message=NASTY), ["<i>", "failed", "<script>"]),
    (lambda: TaskResult(3, "Ada", True, output="x" * 10_000), ["xxx"]),
    (lambda: TaskManager(quiet=True, name="new"), ["manager 'new': no tasks"]),
    (lambda: Muster(threads=1), ["manager 'muster': no tasks"]),
    (lambda: Client(_ticket(), name="<b>Cleo"), ["client '<b>Cleo'", "127.0.0.1", "no", "0"]),
    (lambda: Client.connect(_ticket()), ["client, not connected"]),
]


def _ticket() -> str:
    return str(TaskManager(port=0, quiet=True).ticket())


@pytest.mark.parametrize(("make", "told"), SHOWN)
def test_each_is_shown_with_its_figures(make: Callable[[], Any], told: list[str]) -> None:
    text = read(make())
    assert len(text) < 1_000
    for each in told:
        assert each in text


def test_a_muster_that_works_is_shown_from_another_thread() -> None:
    with Muster(threads=2) as muster:
        list(muster.map(abs, range(5)))
        assert "5 completed" in read(muster)
        assert "worker-1 | yes | 0 of 2 | 5 | 5" in read(muster)


CELLS = [
    """
from muster.agents import Muster
muster = Muster(workers=2)
def square(number):
    return number * number
[await muster.submit(square, 3), list(muster.map(lambda n: n + 1, range(3)))]
""",
    "def square(number):\n    return -number * number\nmuster.submit(square, 3).result()",
    "muster",
    "muster.report()",
    "muster.stop()",
]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
def test_a_notebook_in_a_real_kernel_calls_functions_of_its_cells_and_shows_tables() -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [[each.get("data", each) for each in cell.outputs] for cell in cells]
    assert outputs[0][0]["text/plain"] == "[9, [1, 2, 3]]", json.dumps(outputs)
    assert outputs[1][0]["text/plain"] == "-9"
    assert "5 completed" in outputs[2][0]["text/html"]
    assert "<table>" in outputs[3][0]["text/html"]
