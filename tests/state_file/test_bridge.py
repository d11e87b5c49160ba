"""A manager's workers run the tasks of a state file, in virtual time and over real Ceylon."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    StateFileTaskManager,
    TaskManager,
    WorkerAgent,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.state_file.bridge import StateFileBridge
from muster.messages import InvalidInput

handlers = Handlers()
DEADLINE_S = 60


@handlers.task("square")
async def square(task: Any) -> int:
    await asyncio.sleep(3)
    return task.data["number"] ** 2


@handlers.task("fail")
async def fail(task: Any) -> None:
    raise ValueError(task.data["why"])


@handlers.task("sleep")
async def sleep(task: Any) -> None:
    await asyncio.sleep(task.data["seconds"])


def make_workers(count: int) -> list[WorkerAgent]:
    return [WorkerAgent(f"worker-{n}", 5, handlers=handlers) for n in range(count)]


def serve_in_virtual_time(bridge: StateFileBridge, manager: TaskManager, **options: Any) -> None:
    async def main() -> None:
        running = asyncio.ensure_future(rehearse(manager, make_workers(2)))
        await bridge.serve(**options)
        await manager.stop()
        await running

    run_in_virtual_time(main())


@pytest.fixture
def manager() -> TaskManager:
    """One that goes on while there is nothing to do, as a service does."""
    manager = TaskManager(expected_workers=2, quiet=True)
    manager._shell.driver.stay(reassigns_failed=False)
    return manager


def test_every_task_is_done_and_its_result_written_back(make_either: Any, manager: Any) -> None:
    file = make_either()
    ids = [file.create_task("square", {"number": number}) for number in range(10)]
    serve_in_virtual_time(StateFileBridge(file, manager, at_once=3), manager, until_empty=True)
    done = [file.get_task(task_id) for task_id in ids]
    assert [each["status"] for each in done] == ["completed"] * 10
    assert [each["result_data"]["output"] for each in done] == [n**2 for n in range(10)]
    assert {each["result_data"]["worker"] for each in done} == {"worker-0", "worker-1"}


def test_a_failure_is_written_back_with_its_reason(make_either: Any, manager: Any) -> None:
    file = make_either()
    task_id = file.create_task("fail", {"why": "no leaf"})
    serve_in_virtual_time(StateFileBridge(file, manager), manager, until_empty=True)
    task = file.get_task(task_id)
    assert task["status"] == "failed"
    assert task["result_data"]["error"] == "ValueError: no leaf"


def test_a_retry_of_the_file_is_another_task_of_the_manager(make_sqlite: Any, manager: Any) -> None:
    file = make_sqlite()
    task_id = file.create_task("fail", {"why": "no leaf"}, max_attempts=3)
    serve_in_virtual_time(StateFileBridge(file, manager), manager, until_empty=True)
    assert file.get_task(task_id)["status"] == "failed"
    assert file.get_task(task_id)["failures"] == 3
    assert [task.id for task in manager.tasks] == [task_id, f"{task_id}~2", f"{task_id}~3"]


def test_only_the_named_types_are_taken(make: Any, manager: Any) -> None:
    file = make()
    other = file.create_task("pour")
    task_id = file.create_task("square", {"number": 3})
    bridge = StateFileBridge(file, manager, task_types=["square"])
    serve_in_virtual_time(bridge, manager, until_empty=True)
    assert file.get_task(task_id)["status"] == "completed"
    assert file.get_task(other)["status"] == "pending"


def test_tasks_created_while_it_serves_are_done_too(make: Any, manager: Any) -> None:
    file = make()

    async def main() -> None:
        running = asyncio.ensure_future(rehearse(manager, make_workers(2)))
        serving = asyncio.ensure_future(StateFileBridge(file, manager).serve())
        await asyncio.sleep(100)
        task_id = file.create_task("square", {"number": 7})
        await asyncio.sleep(10)
        assert file.get_task(task_id)["result_data"]["output"] == 49
        await manager.stop()
        await running
        # It ends with the manager's run.
        await serving

    run_in_virtual_time(main())


def test_no_more_is_held_than_allowed(make: Any, manager: Any) -> None:
    file, held = make(), []
    for number in range(6):
        file.create_task("square", {"number": number})
    file.watch(lambda _: held.append(len(file.get_held_tasks("task_manager"))))
    serve_in_virtual_time(StateFileBridge(file, manager, at_once=2), manager, until_empty=True)
    assert max(held) == 2


def test_what_is_not_done_when_it_ends_is_given_back(make: Any, manager: Any) -> None:
    file = make()
    task_id = file.create_task("sleep", {"seconds": 1000})

    async def main() -> None:
        running = asyncio.ensure_future(rehearse(manager, make_workers(2)))
        serving = asyncio.ensure_future(StateFileBridge(file, manager).serve())
        await asyncio.sleep(10)
        assert file.get_task(task_id)["status"] == "in_progress"
        serving.cancel()
        await asyncio.wait([serving])
        assert file.get_task(task_id)["status"] == "pending"
        assert manager.get_task_status(task_id) == "Cancelled"
        await manager.stop()
        await running

    run_in_virtual_time(main())


def test_nothing_that_it_took_stays_held_wherever_it_is_cancelled(make: Any) -> None:
    file = make()
    for number in range(3):
        file.create_task("square", {"number": number})

    async def main(turns: int) -> None:
        manager = TaskManager(expected_workers=1, quiet=True)
        serving = asyncio.ensure_future(StateFileBridge(file, manager).serve())
        for _ in range(turns):
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.wait([serving])
        assert file.get_held_tasks("task_manager") == []

    for turns in range(12):
        run_in_virtual_time(main(turns))
    assert file.get_status_summary()["status_counts"]["pending"] == 3


def test_a_bridge_that_was_killed_takes_up_what_it_held(make: Any, manager: Any) -> None:
    file = make()
    task_id = file.create_task("square", {"number": 4})
    # As a bridge of this name did that lives no more.
    assert file.get_next_task("task_manager")["id"] == task_id
    serve_in_virtual_time(StateFileBridge(file, manager), manager, until_empty=True)
    assert file.get_task(task_id)["result_data"]["output"] == 16


def test_a_result_that_comes_too_late_changes_nothing(make: Any, manager: Any, clock: Any) -> None:
    file = make(task_timeout_hours=1)
    task_id = file.create_task("square", {"number": 4})

    async def main() -> None:
        running = asyncio.ensure_future(rehearse(manager, make_workers(2)))
        bridge = StateFileBridge(file, manager, task_types=["square"])
        serving = asyncio.ensure_future(bridge.serve(until_empty=True))
        while file.get_task(task_id)["status"] == "pending":
            await asyncio.sleep(0.1)
        clock.pass_hours(2)
        assert file.get_next_task("another")["id"] == task_id
        await serving
        await manager.stop()
        await running

    run_in_virtual_time(main())
    assert file.get_task(task_id)["locked_by"] == "another"
    assert file.complete_task(task_id, "another", result_data={"output": "mine"}) is True


def test_data_that_no_message_can_carry_fails_the_task(make: Any, manager: Any) -> None:
    file = make()
    task_id = file.create_task("square", {"number": 2**100})
    serve_in_virtual_time(StateFileBridge(file, manager), manager, until_empty=True)
    assert file.get_task(task_id)["status"] == "failed"
    assert "64 bits" in file.get_task(task_id)["result_data"]["error"]


@pytest.mark.parametrize("options", [{"at_once": 0}, {"look_every_s": 0}])
def test_arguments_out_of_range_are_refused(make: Any, manager: Any, options: Any) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        StateFileBridge(make(), manager, **options)


@pytest.mark.ceylon
def test_over_real_ceylon(tmp_path: Path) -> None:
    file = StateFileTaskManager(tmp_path / "tea.json")
    ids = [file.create_task("square", {"number": number}) for number in range(4)]
    agents = Handlers()

    @agents.task("square")
    def at_once(task: Any) -> int:
        return task.data["number"] ** 2

    async def main() -> None:
        manager = TaskManager(expected_workers=2, port=0, quiet=True)
        workers = [WorkerAgent(name, 5, handlers=agents) for name in ("Ada", "Ben")]
        await manager.start(b"", workers)
        await asyncio.wait_for(StateFileBridge(file, manager).serve(until_empty=True), DEADLINE_S)
        await manager.stop()

    asyncio.run(main())
    outputs = [file.get_task(task_id)["result_data"]["output"] for task_id in ids]
    assert outputs == [0, 1, 4, 9]
