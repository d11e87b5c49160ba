"""Runs are drawn as sequence diagrams, Gantt charts and flowcharts; long runs are shortened."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents import TaskContext, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.diagram import (
    check_diagram,
    read_sequence,
    tell_as_sequence,
    write_flowchart,
    write_gantt,
    write_sequence,
)
from muster.agents.kernel.model.occurrences import (
    CancellationCause,
    CancellationFacts,
    OccurrenceKind,
    RequeueCause,
    RequeueFacts,
)
from muster.agents.kernel.trace import Trace, trace_of
from muster.messages import InvalidInput, Task, TaskResult
from muster.scenarios.some_failures import SomeFailures

from .conftest import RunMaker

WORKER_LOST = RequeueFacts(RequeueCause.WORKER_LOST)
BY_THE_USER = CancellationFacts(CancellationCause.REQUESTED, "by the user")


def test_a_run_is_told_from_connect_to_shutdown(trace_of_story: Callable[[Any], Any]) -> None:
    assert write_sequence(tell_as_sequence(trace_of_story(SomeFailures))) == (
        """\
sequenceDiagram
    participant TM as TaskManager
    participant Junior as Junior (skill 3)
    participant Intermediate as Intermediate (skill 6)
    participant Senior as Senior (skill 9)
    par Connect
        Junior-->>TM: Connect
        Intermediate-->>TM: Connect
        Senior-->>TM: Connect
    end
    Note over TM: Assigning begins
    par Task assignment
        TM->>Junior: TaskAssignment(T3, difficulty=8)
        TM->>Intermediate: TaskAssignment(T2, difficulty=5)
        TM->>Senior: TaskAssignment(T1, difficulty=2)
    end
    Note over Junior: T3: 8 s, failed
    Note over Intermediate: T2: 5 s, succeeded
    Note over Senior: T1: 2 s, succeeded
    Senior->>TM: TaskResult(T1, success=true)
    Intermediate->>TM: TaskResult(T2, success=true)
    Junior->>TM: TaskResult(T3, success=false)
    Note over TM: T3 failed: too difficult: skill 3 is below difficulty 8
    Note over TM: Final report<br/>Success rate: 66.67%
    par Shutdown
        TM-->>Junior: Shutdown
        TM-->>Intermediate: Shutdown
        TM-->>Senior: Shutdown
    end
"""
    )


@pytest.mark.parametrize("max_messages", [2, 5, 8, 60])
def test_what_is_drawn_of_a_run_holds_for_it(
    max_messages: int, story: Any, trace_of_story: Callable[[Any], Any]
) -> None:
    trace = trace_of_story(story)
    drawn = write_sequence(tell_as_sequence(trace, max_messages))
    verdict = check_diagram(read_sequence(drawn), trace, second_s=1.0)
    assert verdict.mismatch is None, drawn
    assert len(list(read_sequence(drawn).messages)) <= max_messages


def many_tasks(make_run: RunMaker, tasks: int, workers: int) -> Trace:
    for number in range(workers):
        make_run.join(f"w{number}", 9)
    for task in range(1, tasks + 1):
        make_run.task(task, depends_on=(task - 1,) if task > 1 else ())
        make_run.assign(task, f"w{task % workers}").then().complete(task, f"w{task % workers}")
    return make_run.end()


def test_a_long_run_is_folded_and_says_what_is_left_out(make_run: RunMaker) -> None:
    trace = many_tasks(make_run, tasks=1_000, workers=50)
    drawn = write_sequence(tell_as_sequence(trace, 20))
    assert drawn.count("\n") < 60
    hidden = "… 2,080 more messages<br/>1,000 TaskAssignment, 1,000 TaskResult, 40 Connect"
    assert hidden in drawn
    assert "… 30 more workers" in drawn
    assert check_diagram(read_sequence(drawn), trace).mismatch is None
    for lie in ("2,081 more messages", "2,079 more messages"):
        forged = drawn.replace("2,080 more messages", lie)
        assert not check_diagram(read_sequence(forged), trace).holds
    forged = drawn.replace("30 more workers", "29 more workers")
    assert not check_diagram(read_sequence(forged), trace).holds


def test_fewer_than_two_messages_are_refused(make_run: RunMaker) -> None:
    with pytest.raises(InvalidInput, match="max_messages is 1; it must be 2 or more"):
        tell_as_sequence(make_run.end(), 1)


def test_what_goes_wrong_is_told(make_run: RunMaker) -> None:
    make_run.join("Ada").join("Ben").task(1).assign(1, "Ada").then()
    make_run.happens(OccurrenceKind.WORKER_LOST, None, 0, "Ada", "silent for 10 s")
    make_run.happens(OccurrenceKind.TASK_REQUEUED, 1, 1, "Ada", WORKER_LOST)
    make_run.assign(1, "Ben", 2).then().happens(
        OccurrenceKind.WORKER_QUARANTINED, None, 0, "Ben", "too bad"
    )
    make_run.happens(OccurrenceKind.TASK_CANCELLED, 1, 2, "Ben", BY_THE_USER)
    drawn = write_sequence(tell_as_sequence(make_run.end()))
    told = [line.strip() for line in drawn.splitlines()]
    assert "Note over Ada: Lost: silent for 10 s" in told
    assert "Note over Ada: T1: 1 s, lost" in told
    assert "Note over Ben: In quarantine: too bad" in told
    assert "TM->>Ben: CancelTask(T1)" in told
    assert "TM-->>Ada: Shutdown" not in told


@pytest.mark.parametrize(
    "name",
    ["end", "TM", "par", "Ada Ash", "Zoë", "a;b", "A->>B", "style", "<b>", "x" * 200, "P1", "note"],
)
def test_any_name_can_take_part(name: str, make_run: RunMaker) -> None:
    trace = make_run.join(name).join("P2").task(name).assign(name, name).complete(name, name).end()
    drawn = write_sequence(tell_as_sequence(trace))
    assert check_diagram(read_sequence(drawn), trace).mismatch is None, drawn


@given(st.text(min_size=1, max_size=30).filter(str.strip), st.text(max_size=300))
def test_any_text_is_drawn_so_that_it_can_be_read(name: str, text: str) -> None:
    run = RunMaker().join(name, 5, text).task(name, description=text, type=text).assign(name, name)
    trace = run.then().happens(OccurrenceKind.TASK_FAILED, name, 1, name, text).end()
    diagram = tell_as_sequence(trace)
    assert read_sequence(write_sequence(diagram)) == diagram
    assert check_diagram(diagram, trace).mismatch is None
    for drawn in (write_gantt(trace, 10), write_flowchart(trace, 10)):
        assert all(line.isprintable() for line in drawn.splitlines())


def test_a_gantt_has_a_section_for_each_worker_and_a_bar_for_each_attempt(
    trace_of_story: Callable[[Any], Any],
) -> None:
    lines = write_gantt(trace_of_story(SomeFailures), 60).splitlines()
    assert [line.strip() for line in lines[:4]] == [
        "gantt",
        "title task_manager",
        "dateFormat YYYY-MM-DD HH:mm:ss.SSS",
        "axisFormat %M:%S.%L",
    ]
    assert [line.strip() for line in lines[4:]] == [
        "section Junior",
        "T3 failed :crit, 1970-01-01 00:00:00.000, 1970-01-01 00:00:08.002",
        "section Intermediate",
        "T2 :done, 1970-01-01 00:00:00.000, 1970-01-01 00:00:05.002",
        "section Senior",
        "T1 :done, 1970-01-01 00:00:00.000, 1970-01-01 00:00:02.002",
    ]


def test_a_long_gantt_is_folded_worker_by_worker(make_run: RunMaker) -> None:
    trace = many_tasks(make_run, tasks=1_000, workers=4)
    drawn = write_gantt(trace, 20)
    assert drawn.count("… 246 more :") == 4
    assert len(re.findall(r":done|: *1970|:1970", drawn)) == 20
    crowded = write_gantt(trace, 3)
    assert "section … 1 more workers" in crowded
    assert write_gantt(RunMaker().end(), 5).endswith("milestone, 1970-01-01 00:00:00.000, 0s\n")
    with pytest.raises(InvalidInput, match="max_bars is 0"):
        write_gantt(trace, 0)


def test_a_flowchart_shows_who_waits_for_whom_and_what_became_of_it(make_run: RunMaker) -> None:
    make_run.join("Ada").task(1, description="Pick").task("b c", depends_on=(1,), parent_id=1)
    make_run.assign(1, "Ada").complete(1, "Ada").assign("b c", "Ada")
    make_run.happens(OccurrenceKind.TASK_FAILED, "b c", 1, "Ada", "broken")
    lines = [line.strip() for line in write_flowchart(make_run.end(), 10).splitlines()]
    assert lines == [
        "flowchart LR",
        't0["T1<br/>Pick"]',
        't1["b c<br/>a task"]',
        "t0 --> t1",
        "t0 -.-> t1",
        "classDef completed fill:#d9ead3,stroke:#6aa84f,color:#000",
        "class t0 completed",
        "classDef failed fill:#f4cccc,stroke:#cc0000,color:#000",
        "class t1 failed",
    ]


def test_a_large_flowchart_is_folded(make_run: RunMaker) -> None:
    drawn = write_flowchart(many_tasks(make_run, tasks=500, workers=3), 10)
    assert 'more["… 490 more tasks"]' in drawn
    assert "t9 --> more" in drawn
    assert drawn.count("-->") == 10
    with pytest.raises(InvalidInput, match="max_tasks is 0"):
        write_flowchart(Trace(), 0)


# ------------------------------------------------------------------ second opinions


def second_opinions() -> Trace:
    """Task 1 is declined first, 2 is rejected by a reviewer first, and 3 is voted on."""
    tasks = [
        Task(id=1, description="Judge a leaf", type="judge"),
        Task(id=2, description="Write a note", type="write", review=True, max_attempts=2),
        Task(id=3, description="Count the leaves", type="count", votes=3),
    ]
    manager = TaskManager(tasks, 3, policy="in_order", quiet=True)
    ada, ben, cleo = (WorkerAgent(name, 5) for name in ("Ada", "Ben", "Cleo"))

    @ada.task("judge")
    def decline(task: Task, context: TaskContext) -> None:
        context.decline("no eye for leaves")

    @ben.task("judge")
    def judge(task: Task) -> str:
        return "fine"

    for worker in (ada, ben):

        @worker.task("write")
        def write(task: Task, *, name: str = worker.name) -> str:
            return name

    @cleo.review("write")
    def review(task: Task, result: TaskResult) -> float:
        return 0.2 if result.output == "Ben" else 0.9

    for worker in (ada, ben, cleo):

        @worker.task("count")
        def count(task: Task, *, name: str = worker.name) -> int:
            return 7 if name == "Ben" else 8

    async def story() -> Trace:
        await rehearse(manager, [ada, ben, cleo])
        return trace_of(manager.board, manager.name)

    return run_in_virtual_time(story())


def test_declined_rejected_reviewed_and_voted_attempts_are_drawn_and_hold() -> None:
    trace = second_opinions()
    drawn = write_sequence(tell_as_sequence(trace))
    for line in (
        "Ada->>TM: TaskResult(T1, declined=true)",
        "Note over Ada: T1 declined: no eye for leaves",
        "TaskAssignment(T2, difficulty=1, type=write, review=true)",
        "TaskResult(T2, success=true, grade=0.2)",
        "Note over TM: T2 rejected: by Cleo: 0.2",
        "TaskResult(T2, success=true, grade=0.9)",
    ):
        assert line in drawn, drawn
    # The third vote may come when two have decided already.
    assert drawn.count("TaskResult(T3, success=true)") in {2, 3}
    assert check_diagram(read_sequence(drawn), trace, second_s=1.0).mismatch is None
    for true, false in (
        ("T1 declined: no eye for leaves", "T1 declined: too old"),
        ("T1 declined: no eye for leaves", "T3 declined: no eye for leaves"),
        ("T2 rejected: by Cleo", "T2 rejected: by Ben"),
        ("T1, declined=true", "T1, success=true"),
        ("grade=0.9", "grade=0.8"),
    ):
        forged = drawn.replace(true, false)
        assert forged != drawn
        assert not check_diagram(read_sequence(forged), trace, second_s=1.0).holds, false
    bars = write_gantt(trace, 100)
    assert "T1 declined :" in bars
    assert "crit" not in bars
