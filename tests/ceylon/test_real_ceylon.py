"""The agents over real Ceylon on loopback; each wait is for a condition, with a deadline."""

from __future__ import annotations

import asyncio
import functools
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.diagram import check_diagram, find_diagrams
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.trace import Trace, TraceLog
from muster.agents.runtime.ports import claim_port
from muster.agents.trace.follow import add_side_message, follow
from muster.messages import PortInUse, Task, TaskAssignment, TaskStatus
from muster.scenarios.all_well import AllWell
from muster.scenarios.embedded import Embedded
from muster.scenarios.scenario import Scenario
from muster.scenarios.some_failures import SomeFailures
from muster.scenarios.timeout import Timeout
from muster.scenarios.word_count import WordCount

pytestmark = pytest.mark.ceylon

DEADLINE_S = 180
STORIES = [AllWell, SomeFailures, Timeout]
SUCCESS_RATES = {AllWell: 1.0, SomeFailures: 2 / 3, Timeout: 0.0}


def play(scenario: Scenario, **options: Any) -> tuple[Any, Trace]:
    """Play a scenario over real Ceylon; its report, and what happened."""
    log = TraceLog()
    scenario.tell_aside = functools.partial(add_side_message, log)

    def seen(manager: TaskManager) -> None:
        follow(manager, log)

    async def go() -> Any:
        return await asyncio.wait_for(scenario.play(seen=seen, **options), DEADLINE_S)

    return asyncio.run(go()), log.trace()


def check_documented_diagram(story: type[Scenario], trace: Trace) -> None:
    (found,) = find_diagrams(sys.modules[story.__module__].__doc__ or "", story.name())
    verdict = check_diagram(found.diagram, trace)
    assert verdict.holds, f"{story.name()}: {verdict.mismatch}"


def check_story(story: type[Scenario], report: Any, trace: Trace) -> None:
    happened = trace.occurrences
    assert report.success_rate == pytest.approx(SUCCESS_RATES[story])
    assignments = Counter(
        each.task_id for each in happened if each.what is OccurrenceKind.TASK_ASSIGNED
    )
    settled = Counter(
        each.task_id
        for each in happened
        if each.what
        in (
            OccurrenceKind.TASK_COMPLETED,
            OccurrenceKind.TASK_FAILED,
            OccurrenceKind.TASK_CANCELLED,
        )
    )
    expected = {task.id: 1 for task in report.tasks}
    assert assignments == expected
    assert settled == expected


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name())
def test_a_story_in_one_process_ends_as_told(story: type[Scenario]) -> None:
    report, trace = play(story(time_scale=0.1))
    check_story(story, report, trace)
    check_documented_diagram(story, trace)


@pytest.mark.processes
@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=story.name(), marks=() if story is AllWell else pytest.mark.slow)
        for story in STORIES
    ],
)
def test_a_story_with_worker_processes_ends_as_told(story: type[Scenario]) -> None:
    check_story(story, *play(story(time_scale=0.05), processes=True))


# Each change is tried with three runs of each story. More of the same rarely find more at once.
RUNS = [
    pytest.param(run, marks=pytest.mark.slow if run < 3 else pytest.mark.exhaustive)
    for run in range(20)
]


@pytest.mark.processes
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name())
def test_twenty_runs_in_a_row_end_as_told(story: type[Scenario], run: int) -> None:
    del run
    check_story(story, *play(story(time_scale=0.02), processes=True))


@pytest.mark.slow
@pytest.mark.processes
def test_the_diagram_of_word_count_holds_for_its_processes() -> None:
    report, trace = play(WordCount())
    assert report.success_rate == 1.0
    assert {facts.slots for facts in trace.workers.values()} == {2}
    check_documented_diagram(WordCount, trace)


def test_some_failures_assigns_as_the_tutorials_diagram_does() -> None:
    report, _ = play(SomeFailures(time_scale=0.02))
    assert {task.id: task.worker for task in report.tasks} == {
        3: "Junior",
        2: "Intermediate",
        1: "Senior",
    }


def test_a_thousand_tasks_on_three_workers_of_four_slots_are_each_done_once() -> None:
    done: Counter[Any] = Counter()

    class Counting(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            done[data.task.id] += 1
            return True

    async def go() -> Any:
        tasks = [Task(id=number, description="count") for number in range(1, 1001)]
        manager = TaskManager(tasks, expected_workers=3, port=0, quiet=True)
        workers = [Counting(name, 5, slots=4) for name in ("Ada", "Ben", "Cleo")]
        await asyncio.wait_for(manager.start_agent(b"", workers), DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    assert len(manager.task_results) == 1000
    assert {result.task_id for result in manager.task_results} == set(range(1, 1001))
    assert set(done.values()) == {1}
    assert manager.report().counts[TaskStatus.COMPLETED] == 1000


def test_plain_ceylon_agents_and_ours_do_not_disturb_each_other(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = "WORKSPACE_ID=bygone\nWORKSPACE_PORT=7\nWORKSPACE_IP=10.0.0.1"
    (tmp_path / ".ceylon_network").write_text(old, encoding="utf-8")
    scenario = Embedded(time_scale=0.1)
    report, trace = play(scenario)
    assert report.success_rate == 1.0
    check_documented_diagram(Embedded, trace)
    assert scenario.observer.seen >= 2
    assert scenario.clerk.remark == "mind the wet steps"
    assert report.dropped["pickle"] >= 1
    assert "Traceback" not in capfd.readouterr().err
    (left,) = tmp_path.iterdir()
    assert left.read_text(encoding="utf-8") == old


def test_a_pickle_sent_to_our_agents_is_never_opened(tmp_path: Path) -> None:
    witness = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(witness),)

    async def go() -> Any:
        tasks = [Task(id=1, description="wait", timeout=5)]
        manager = TaskManager(tasks, expected_workers=1, port=0, quiet=True)

        class Sender(WorkerAgent):
            async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
                await self.send(pickle.dumps(Trap()))
                while not manager.dropped.get("pickle"):
                    await asyncio.sleep(0.01)
                return True

        await asyncio.wait_for(manager.start_agent(b"", [Sender("Ada", 5)]), DEADLINE_S)
        return manager

    manager = asyncio.run(go())
    assert manager.dropped["pickle"] == 1
    assert not witness.exists()


def test_a_port_in_use_is_named() -> None:
    async def go() -> None:
        port = claim_port()
        first = TaskManager([Task(id=1, description="wait")], 1, port=port, quiet=True)
        running = asyncio.ensure_future(first.start_agent(b""))
        try:
            deadline = asyncio.get_running_loop().time() + DEADLINE_S
            refusal = None
            while refusal is None and asyncio.get_running_loop().time() < deadline:
                try:
                    TaskManager([], 1, port=port, quiet=True).claim_port()
                    await asyncio.sleep(0.02)
                except PortInUse as fault:
                    refusal = str(fault)
            assert refusal is not None
            assert f"UDP port {port} is already in use" in refusal
        finally:
            await first.stop()
            await asyncio.wait_for(running, DEADLINE_S)

    asyncio.run(go())


def test_the_tutorials_own_script_prints_what_the_tutorial_shows(tmp_path: Path) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text(
        """
import asyncio
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task

async def main():
    tasks = [
        Task(id=1, description="Simple calculation", difficulty=1),
        Task(id=2, description="Data analysis", difficulty=2),
    ]
    task_manager = TaskManager(tasks, expected_workers=2, port=0)
    admin_details = task_manager.details()
    workers = [
        WorkerAgent("Junior", skill_level=1, admin_peer=admin_details.id),
        WorkerAgent("Senior", skill_level=9, admin_peer=admin_details.id),
    ]
    await task_manager.start_agent(b"", workers)

asyncio.run(main())
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "All tasks completed",
        "Task 1 assigned to Junior - Success",
        "Task 2 assigned to Senior - Success",
        "Success rate: 100.00%",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tutorial.py"]
