"""What a worker keeps of what it did."""

from __future__ import annotations

import time
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.agents.simulation.rehearsal import rehearse
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.agents.worker.history import MAX_BYTES, MAX_RESULTS, TaskHistory
from muster.messages import InvalidInput, Task, TaskResult


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


# ---------------------------------------------------------------------------- as a list


def test_what_is_there_already_is_not_appended() -> None:
    history = TaskHistory()
    history.add(result(1), 10)
    history.append(history[0])
    history.append(result(1))
    assert history == [result(1)]


def test_the_workers_result_takes_the_place_of_the_one_that_a_handler_appended() -> None:
    history = TaskHistory()
    history.add(TaskResult(1, "Ada", False, 1.0, "no"), 10)
    history.append(result(1))
    assert len(history) == 2
    known = TaskResult(task_id=1, worker="Ada", success=True, execution_time=2.0, attempt=2)
    history.add(known, 10)
    assert [(each.attempt, each.execution_time) for each in history] == [(1, 1.0), (2, 2.0)]


def test_different_results_of_one_task_may_be_appended() -> None:
    history = TaskHistory()
    history.append(result(1))
    history.append(TaskResult(1, "Ada", False))
    assert [each.success for each in history] == [True, False]


def test_what_is_appended_gives_way_as_well() -> None:
    history = TaskHistory(max_results=3)
    for number in range(1, 6):
        history.append(result(number))
    assert [each.task_id for each in history] == [3, 4, 5]
    history.add(result(1), 10)
    assert [each.task_id for each in history] == [4, 5, 1]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda h: h.append(result(4)), [1, 2, 3, 4]),
        (lambda h: h.extend([result(4), result(1)]), [1, 2, 3, 4]),
        (lambda h: h.insert(0, result(4)), [4, 1, 2, 3]),
        (lambda h: h.pop(), [1, 2]),
        (lambda h: h.pop(0), [2, 3]),
        (lambda h: h.remove(result(2)), [1, 3]),
        (lambda h: h.clear(), []),
        (lambda h: h.reverse(), [3, 2, 1]),
        (lambda h: h.__delitem__(slice(None, -1)), [3]),
        (lambda h: h.__setitem__(0, result(4)), [4, 2, 3]),
        (lambda h: h.__setitem__(slice(0, 2), [result(4)]), [4, 3]),
        (lambda h: h.__iadd__([result(4)]), [1, 2, 3, 4]),
    ],
)
def test_it_can_be_changed_as_a_list_can(change: Any, left: list[int]) -> None:
    history = TaskHistory(map(result, (1, 2, 3)))
    change(history)
    assert [each.task_id for each in history] == left
    history.add(result(9), 10)
    assert [each.task_id for each in history] == [*left, 9]


def test_it_can_be_read_as_a_list_can() -> None:
    history, listed = TaskHistory([result(1), result(2)]), [result(1), result(2)]
    assert history == listed
    assert listed == history
    assert history != listed[:1]
    assert history[:1] == listed[:1]
    assert history + [result(3)] == [*listed, result(3)]  # noqa: RUF005 - it is asked to add
    assert (history.index(result(2)), history.count(result(2)), result(3) in history) == (
        1,
        1,
        False,
    )
    assert repr(history) == repr(listed)
    assert list(reversed(history)) == listed[::-1]
    assert history.copy() == listed
    assert not TaskHistory()


@pytest.mark.parametrize("value", [None, {"task_id": 1}, "done"])
def test_it_takes_nothing_but_results(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"takes muster.messages.TaskResult, not"):
        TaskHistory().append(value)


def test_a_full_history_is_appended_to_in_little_time() -> None:
    history = TaskHistory(map(result, range(1, MAX_RESULTS + 1)))
    # The processor's time, which other programs do not add to.
    began_at = time.process_time()
    for number in range(MAX_RESULTS + 1, MAX_RESULTS + 21):
        history.append(result(number))
    assert time.process_time() - began_at < 1.0
