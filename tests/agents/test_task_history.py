"""What a worker keeps of what it did."""

from __future__ import annotations

from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.rehearsal import rehearse
from muster.agents.task_history import MAX_BYTES, TaskHistory
from muster.agents.virtual_time import run_in_virtual_time
from muster.messages import Task, TaskResult


def result(number: int) -> TaskResult:
    return TaskResult(task_id=number, worker="Ada", success=True)


def test_the_oldest_give_way_when_there_are_too_many() -> None:
    history = TaskHistory(max_results=3)
    for number in range(1, 6):
        history.add(result(number), 10)
    assert [each.task_id for each in history] == [3, 4, 5]
    assert len(history) == 3
    assert history[-1].task_id == 5
    assert [each.task_id for each in history[:2]] == [3, 4]


def test_the_oldest_give_way_when_they_take_too_much() -> None:
    history = TaskHistory(max_bytes=100)
    for number, size in enumerate((40, 40, 40, 90), 1):
        history.add(result(number), size)
    assert [each.task_id for each in history] == [4]


def test_the_last_one_stays_however_large_it_is() -> None:
    history = TaskHistory(max_bytes=100)
    history.add(result(1), 1_000)
    assert [each.task_id for each in history] == [1]
    history.add(result(2), 1)
    assert [each.task_id for each in history] == [2]


def test_a_worker_does_not_keep_all_large_results() -> None:
    handlers = Handlers()

    @handlers.task("large")
    async def large(task: Task) -> bytes:
        return bytes(MAX_BYTES // 4)

    tasks = [Task(id=number, description="large", type="large") for number in range(1, 11)]
    worker = WorkerAgent("Ada", 5, handlers=handlers)
    manager = TaskManager(tasks, expected_workers=1, quiet=True)
    run_in_virtual_time(rehearse(manager, [worker]))
    assert manager.report().success_rate == 1.0
    assert [each.task_id for each in worker.task_history] == [8, 9, 10]
