"""`muster diagram` draws runs wherever they are kept; `muster check` holds documents to runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.messages import Task

DIAGRAM = """\
sequenceDiagram
    participant TM
    participant Worker as Worker (skill 5)
    Worker->>TM: Connect
    TM->>Worker: TaskAssignment(T1)
    TM->>Worker: CancelTask(T1)
    TM->>Worker: Shutdown
"""


def play(**options: Any) -> None:
    async def go() -> None:
        tasks = [
            Task(id=1, description='Say "hi"; #go', difficulty=2),
            Task(id=2, description="Say bye", difficulty=2, depends_on=(1,)),
        ]
        await rehearse(TaskManager(tasks, 1, quiet=True, **options), [WorkerAgent("Ada", 5)])

    run_in_virtual_time(go())


def test_a_scenario_is_drawn_always_alike(invoke: Callable[..., Any]) -> None:
    first, second = invoke("diagram", "all_well"), invoke("diagram", "all_well")
    assert (first.code, first.err) == (0, "")
    assert first.out == second.out
    assert first.out.startswith("sequenceDiagram\n    participant TM as TaskManager\n")
    assert "    Senior->>TM: TaskResult(T3, success=true)\n" in first.out


def test_a_scenario_is_drawn_with_its_arguments(invoke: Callable[..., Any]) -> None:
    failed = invoke("diagram", "late_worker", "fail")
    assert failed.code == 0
    assert "Note over TM: Final report<br/>Success rate: 0.00%" in failed.out
    assert "missing: Senior" in failed.out
    assert "TaskAssignment" not in failed.out


def test_a_trace_and_a_store_are_drawn_as_the_same(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    play(trace=tmp_path / "run.jsonl", store=tmp_path / "task_manager.db")
    from_trace = invoke("diagram", "run.jsonl")
    from_store = invoke("diagram", "--store", "task_manager.db")
    assert (from_trace.code, from_trace.err) == (0, "")
    assert from_store.out == from_trace.out
    assert "Ada->>TM: TaskResult(T2, success=true)" in from_trace.out


def test_gantt_flowchart_and_files(invoke: Callable[..., Any], tmp_path: Path) -> None:
    play(trace=tmp_path / "run.jsonl")
    assert invoke("diagram", "run.jsonl", "--as", "gantt").out.startswith("gantt\n")
    ended = invoke("diagram", "run.jsonl", "--as", "flowchart", "--output", "tasks.md")
    assert (ended.code, ended.out) == (0, "")
    assert (
        (tmp_path / "tasks.md")
        .read_text(encoding="utf-8")
        .startswith('```mermaid\nflowchart LR\n    t0["T1<br/>Say #34;hi#34;#59; #35;go"]\n')
    )
    invoke("diagram", "run.jsonl", "--max-messages", 4, "--output", "run.mmd")
    assert "… 2 more messages" in (tmp_path / "run.mmd").read_text(encoding="utf-8")
    assert invoke("check", "run.mmd", "--trace", "run.jsonl").code == 0


def test_what_can_not_be_drawn_is_told(invoke: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"id": 1}\n', encoding="utf-8")
    for arguments, problem in [
        ((), "give exactly one of a scenario, a trace file and --store"),
        (("all_well", "--store", "run.db"), "give exactly one of a scenario, a trace file"),
        (("nothing",), "there is no scenario 'nothing'"),
        (("tasks.jsonl",), "tasks.jsonl:1: it has none of the fields"),
        (("tasks.jsonl", "more"), "unexpected argument 'more': only a scenario takes arguments"),
        (("--store", "run.db"), "run.db"),
        (("all_well", "--output", "no/where.mmd"), "can't write the diagram to"),
    ]:
        ended = invoke("diagram", *arguments)
        assert ended.code == 2
        assert problem in ended.err


def test_a_trace_that_is_cut_off_is_drawn_with_a_warning(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.jsonl"
    play(trace=path)
    path.write_bytes(path.read_bytes()[:-5])
    ended = invoke("diagram", path)
    assert ended.code == 0
    assert "the trace is cut off in the middle of this line; it was read up to here" in ended.err
    assert "Shutdown" not in ended.out


def test_scenarios_are_held_to_their_docstrings(invoke: Callable[..., Any]) -> None:
    ended = invoke("check", "timeout", "word_count")
    assert ended.code == 0
    one, two = ended.out.splitlines()
    assert one.endswith("timeout.py:4: holds for timeout, 4 messages")
    assert two.endswith("word_count.py:4: holds for word_count, 22 messages")


def test_a_document_is_held_to_the_runs_that_it_names(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    right = f"<!-- check: timeout -->\n```mermaid\n{DIAGRAM}```\n"
    wrong = right.replace("CancelTask(T1)", "CancelTask(T2)")
    exempt = right.replace("check: timeout", "not checked: it is a dream")
    (tmp_path / "page.md").write_text(right + wrong + exempt, encoding="utf-8")
    ended = invoke("check", "page.md")
    assert ended.code == 1
    first, second, third = ended.out.splitlines()
    assert first == "page.md:3: holds for timeout, 4 messages"
    assert second == (
        "page.md:18: the diagram says: task_manager to Worker: CancelTask(T2); the run had: "
        "task_manager to Worker: CancelTask(T1), 10.000 s after the first message; run: timeout"
    )
    assert third == "page.md:23: not checked: it is a dream"


def test_a_diagram_is_held_to_what_the_options_name(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "run.mmd").write_text(DIAGRAM, encoding="utf-8")
    assert invoke("check", "run.mmd", "--scenario", "timeout").code == 0
    play(trace=tmp_path / "run.jsonl", store=tmp_path / "run.db")
    for source in (("--trace", "run.jsonl"), ("--store", "run.db")):
        ended = invoke("check", "run.mmd", *source)
        assert ended.code == 1
        assert ended.out.startswith("run.mmd:3: the diagram says: 'Worker (skill 5)' takes part;")


def test_a_scenario_of_ones_own_is_checked_as_well(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    diagram = DIAGRAM.replace("Worker", "Zoe")
    diagram = diagram.replace("TM->>Zoe: CancelTask", "Zoe->>TM: TaskResult")
    source = f'''"""Somebody makes tea.

```mermaid
{diagram}```
"""

from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task
from muster.scenarios.scenario import Scenario


class Tea(Scenario):
    """Somebody makes tea."""

    def manager(self):
        return TaskManager([Task(id=1, description="Tea")], 1, port=0, quiet=True)

    def workers(self):
        print("making tea")
        return [WorkerAgent("Zoe", skill_level=5)]
'''
    (tmp_path / "tea_of_mine.py").write_text(source, encoding="utf-8")
    ended = invoke("check", "tea_of_mine.py")
    assert (ended.code, ended.out) == (
        0,
        "tea_of_mine.py:4: holds for tea_of_mine.py, 4 messages\n",
    )
    assert ended.err == "making tea\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("# Nothing\n", "'page.md' contains no sequence diagram"),
        (f"```mermaid\n{DIAGRAM}```\n", "page.md:2: the document does not say which run this"),
        ("```mermaid\nsequenceDiagram\ncreate A\n```\n", "page.md:3: 'create' in 'create A' is"),
        (f"<!-- check: nobody -->\n```mermaid\n{DIAGRAM}```\n", "there is no scenario 'nobody'"),
        (b"\xff", "'page.md' is not UTF-8 text: invalid start byte at byte 0"),
    ],
)
def test_what_can_not_be_checked_is_told(
    content: str | bytes, problem: str, invoke: Callable[..., Any], tmp_path: Path
) -> None:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / "page.md").write_bytes(data)
    ended = invoke("check", "page.md")
    assert ended.code == 2
    assert ended.err.startswith(f"muster: {problem}")


def test_only_one_run_can_be_named(invoke: Callable[..., Any]) -> None:
    ended = invoke("check", "timeout", "--scenario", "timeout", "--trace", "run.jsonl")
    assert ended.code == 2
    assert "give one of --scenario, --trace and --store" in ended.err
    assert "'gone.md' can't be read: No such file" in invoke("check", "gone.md").err


@pytest.mark.ceylon
def test_a_run_over_ceylon_is_traced_and_holds(invoke: Callable[..., Any], tmp_path: Path) -> None:
    ended = invoke("run", "timeout", "--time-scale", 0.1, "--trace", "run.jsonl")
    assert ended.code == 1
    first = (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(first) == {"muster_trace": 1, "manager": "task_manager"}
    assert invoke("check", "timeout", "--trace", "run.jsonl").code == 0
