"""A trace in memory holds what happened and what is known of who did it; it is bounded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import MemoryStore, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.command.stored_run import read_kept_run
from muster.agents.diagram.run_messages import conversation_of
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.trace import (
    RunFacts,
    TaskFacts,
    TraceLog,
    trace_of,
)
from muster.agents.trace.follow import follow
from muster.messages import InvalidInput, Task, WorkerProfile
from muster.scenarios.more_tasks_than_workers import MoreTasksThanWorkers
from muster.scenarios.priorities import Priorities
from muster.scenarios.some_failures import SomeFailures
from muster.scenarios.specialists import Specialists
from muster.scenarios.timeout import Timeout


def told(trace: Any) -> list[tuple[float, str, str, str]]:
    """The messages of a trace; those of one moment in any order, for stories do not tell it."""
    messages = conversation_of(trace)
    return sorted((each.at, each.sender.name, each.receiver.name, each.told()) for each in messages)


def test_a_trace_knows_tasks_workers_and_what_happened(
    trace_to_sinks: Callable[..., Any],
) -> None:
    trace = trace_to_sinks(Specialists())
    assert trace.manager == "task_manager"
    assert list(trace.tasks) == [1, 2, 3]
    assert trace.tasks[1] == TaskFacts(1, "Read the gauges", 8, "vision", timeout_s=None)
    assert trace.workers["Vera"] == WorkerProfile("Vera", 6, ("vision",))
    assert trace.dropped == {}
    told = [each.what for each in trace.occurrences]
    assert told[:3] == [OccurrenceKind.TASK_ADDED] * 3
    assert told.count(OccurrenceKind.TASK_COMPLETED) == 3
    assert told[-1] is OccurrenceKind.RUN_ENDED
    moments = [each.at for each in trace.occurrences]
    assert moments == sorted(moments)


def test_what_is_added_or_changed_later_is_known_as_well(
    trace_to_sinks: Callable[..., Any],
) -> None:
    trace = trace_to_sinks(Priorities())
    assert list(trace.tasks) == [1, 2, 3, 4, 5]
    assert trace.tasks[5].description == "Call the plumber"
    assert trace.tasks[5].priority == 6
    assert trace.tasks[5].timeout_s == 12


def test_the_first_and_the_latest_are_kept_and_the_others_counted() -> None:
    log = TraceLog(max_entries=10)
    log.note(RunFacts("boss"))
    for number in range(1, 101):
        log.note(TaskFacts(number, "a task"))
        log.note(WorkerProfile(f"w{number}"))
        log.note(Occurrence(float(number), OccurrenceKind.TASK_ASSIGNED, number))
    log.note(Occurrence(200.0, OccurrenceKind.RUN_ENDED))
    trace = log.trace()
    assert trace.manager == "boss"
    kept = [each.task_id for each in trace.occurrences]
    assert kept == [1, 2, 3, 4, 5, 97, 98, 99, 100, None]
    assert trace.dropped == {"task_assigned": 91}
    assert list(trace.tasks) == list(range(1, 11))
    assert len(trace.workers) == 10


def test_a_log_of_fewer_than_two_entries_is_refused() -> None:
    with pytest.raises(InvalidInput, match="max_entries is 1; it must be 2 or more"):
        TraceLog(max_entries=1)


@pytest.mark.parametrize(
    "story", [SomeFailures, Timeout, MoreTasksThanWorkers], ids=lambda story: story.name()
)
def test_what_a_board_knows_afterwards_tells_the_same_messages(
    story: Any, trace_to_sinks: Callable[..., Any]
) -> None:
    managers: list[TaskManager] = []

    class Kept(story):  # type: ignore[misc]
        def manager(self) -> TaskManager:
            managers.append(super().manager())
            return managers[-1]

    traced = trace_to_sinks(Kept())
    afterwards = trace_of(managers[0].board, "task_manager")
    assert afterwards.tasks == traced.tasks
    assert afterwards.workers == traced.workers
    assert told(afterwards) == told(traced)


def test_a_trace_made_from_a_store_tells_the_run(
    trace_to_sinks: Callable[..., Any], tmp_path: Path
) -> None:
    store = tmp_path / "run.db"

    class Kept(SomeFailures):
        def manager(self) -> TaskManager:
            manager = super().manager()
            manager.keep_in(store)
            return manager

    traced = trace_to_sinks(Kept())
    kept = trace_of(read_kept_run(store).board, "task_manager")
    assert told(kept) == told(traced)


def test_stories_that_are_full_are_said_to_lack_something() -> None:
    async def go() -> Any:
        manager = TaskManager([Task(id=1, description="Wait", difficulty=2)], 1, quiet=True)
        for priority in range(1, 101):
            manager.set_priority(1, priority)
        await rehearse(manager, [WorkerAgent("Ada", 5)])
        return trace_of(manager.board, "boss")

    assert run_in_virtual_time(go()).dropped == {"forgotten": 39}


def test_a_run_that_goes_on_is_traced_from_its_beginning() -> None:
    store = MemoryStore()

    async def begin() -> None:
        manager = TaskManager([Task(id=1, description="One", difficulty=2)], 1, quiet=True)
        manager.keep_in(store)
        await rehearse(manager, [WorkerAgent("Ada", 5)])

    async def go_on() -> Any:
        tasks = [Task(id=number, description="Go on", difficulty=2) for number in (2, 3)]
        manager = TaskManager(tasks, 1, quiet=True, store=MemoryStore(store.memory))
        log = TraceLog()
        follow(manager, log)
        await rehearse(manager, [WorkerAgent("Ben", 5)])
        return log.trace()

    run_in_virtual_time(begin())
    trace = run_in_virtual_time(go_on())
    assert list(trace.tasks) == [1, 2, 3]
    assert list(trace.workers) == ["Ada", "Ben"]
    told = [(each.what, each.worker) for each in trace.occurrences]
    assert (OccurrenceKind.TASK_COMPLETED, "Ada") in told
    assert told.count((OccurrenceKind.TASK_COMPLETED, "Ben")) == 2
    assert (OccurrenceKind.RUN_RESUMED, "") in told
