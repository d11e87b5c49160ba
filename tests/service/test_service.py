"""The manager as a service: started, given tasks at any time, asked, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from muster.agents import MemoryStore, TaskManager, WorkerAgent, run_in_virtual_time
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import (
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    NotConnected,
    Task,
    TaskResult,
    UnknownTask,
    WorkersMissing,
)

Make = Callable[[], Any]


def play(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_in_virtual_time(story())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_a_task_added_while_it_runs_goes_through_all_the_labels_to_its_stored_result(
    hall: Make,
) -> None:
    async def story() -> Any:
        at = hall()
        manager, worker = at.manager(num_workers=1), at.worker("Ada", time_scale=1.0)
        await manager.start()
        manager.add_task(Task(task_id="first", task_data={"page": 1}))
        seen = [manager.get_task_status("first")]
        await worker.start()
        await until(lambda: manager.get_task_status("first") != "Pending")
        seen.append(manager.get_task_status("first"))
        assert manager.get_task_result("first") is None
        await until(lambda: manager.get_task_status("first") != "In Progress")
        seen.append(manager.get_task_status("first"))
        result = manager.get_task_result("first")
        await manager.stop()
        return seen, result

    seen, result = play(story)
    assert seen == ["Pending", "In Progress", "Completed"]
    assert (result.task_id, result.worker, result.success) == ("first", "Ada", True)


def test_it_runs_until_it_is_stopped_whether_there_is_work_or_not(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager, worker = at.manager(), at.worker("Ada")
        await manager.start()
        await worker.start()
        for task_id in ("one", "two"):
            manager.add_task(Task(task_id=task_id))
            await until(lambda task_id=task_id: manager.get_task_status(task_id) == "Completed")
            await asyncio.sleep(300)
        ended_before = manager.board.has_ended
        await manager.stop()
        return ended_before, manager.board.has_ended

    assert play(story) == (False, True)


def test_where_nobody_is_idle_tasks_wait_in_the_order_of_their_adding(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager, worker = at.manager(), at.worker("Ada")
        assigned: list[Any] = []
        manager.watch(
            lambda each: (
                assigned.append(each.task_id) if each.what is OccurrenceKind.TASK_ASSIGNED else None
            )
        )
        await manager.start()
        await worker.start()
        for number in range(1, 4):
            manager.add_task(Task(task_id=number))
        await until(lambda: manager.get_task_status(1) == "In Progress")
        states = manager.get_all_task_status()
        await until(lambda: manager.get_task_status(3) == "Completed")
        await manager.stop()
        return states, assigned

    states, assigned = play(story)
    assert states == {1: "In Progress", 2: "Pending", 3: "Pending"}
    assert assigned == [1, 2, 3]


def test_a_failed_task_goes_to_another_worker_and_is_failed_only_when_all_have_failed_it(
    hall: Make,
) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager(num_workers=2)
        workers = [at.worker(name) for name in ("Ada", "Ben")]

        @workers[0].task("fetch")
        @workers[0].task("sum")
        async def refuse(task: Task) -> None:
            raise ConnectionError("no route")

        @workers[1].task("fetch")
        async def fetch(task: Task) -> str:
            return f"page {task.data}"

        @workers[1].task("sum")
        async def refuse_too(task: Task) -> None:
            raise ValueError("no numbers")

        await manager.start()
        for worker in workers:
            await worker.start()
        manager.add_task(Task(task_id="a", task_data=7, type="fetch"))
        manager.add_task(Task(task_id="b", task_data=8, type="sum"))
        await until(
            lambda: not {"Pending", "In Progress"} & {*manager.get_all_task_status().values()}
        )
        await manager.stop()
        return manager

    manager = play(story)
    assert manager.get_all_task_status() == {"a": "Completed", "b": "Failed"}
    assert manager.get_task_result("a").output == "page 7"
    assert not manager.get_task_result("b").success
    assert [each.attempts for each in manager.report().tasks] == [2, 2]


def test_reassigning_can_be_left_out(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager(num_workers=2, reassign_failed=False, policy="in_order")
        workers = [at.worker("Ada", 1), at.worker("Ben", 9)]
        await manager.start()
        for worker in workers:
            await worker.start()
        manager.add_task(Task(task_id=1, difficulty=5))
        await until(lambda: manager.get_task_status(1) == "Failed")
        await manager.stop()

    play(story)


def test_a_worker_that_keeps_failing_leaves_the_pool_for_a_while(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager(quarantine_after=2, quarantine_s=30, policy="in_order")
        worker = at.worker("Ada", 1)
        told: list[Any] = []
        manager.watch(
            lambda each: (
                told.append((each.what, round(each.at)))
                if each.what in {OccurrenceKind.WORKER_QUARANTINED, OccurrenceKind.WORKER_RELEASED}
                else None
            )
        )
        await manager.start()
        await worker.start()
        for number in (1, 2):
            manager.add_task(Task(task_id=number, difficulty=2))
        manager.add_task(Task(task_id=3))
        await until(lambda: manager.get_task_status(3) == "Completed")
        await manager.stop()
        return told

    assert play(story) == [
        (OccurrenceKind.WORKER_QUARANTINED, 4),
        (OccurrenceKind.WORKER_RELEASED, 34),
    ]


def test_a_task_is_recovered_by_the_best_worker_that_is_free(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager(num_workers=2, reassign_failed=False, policy="in_order")
        workers = [at.worker("Ada", 1), at.worker("Ben", 9)]
        await manager.start()
        for worker in workers:
            await worker.start()
        task = Task(task_id=1, difficulty=5)
        manager.add_task(task)
        await until(lambda: manager.get_task_status(1) == "Failed")
        again = await manager.recover_failed_task(task, manager.get_task_result(1))
        busy = await manager.recover_failed_task(
            task, TaskResult(task_id=1, worker="", success=True)
        )
        await until(lambda: manager.get_task_status(again) == "Completed")
        with pytest.raises(IllegalTransition):
            await manager.recover_failed_task(
                Task(task_id=again), TaskResult(task_id=again, worker="Ada", success=False)
            )
        await manager.stop()
        return again, busy, manager.get_task_result(again).worker

    assert play(story) == ("1-recovery-1", None, "Ben")


def test_nothing_is_recovered_while_nobody_is_free(hall: Make) -> None:
    async def story() -> Any:
        manager = hall().manager()
        await manager.start()
        task = Task(task_id=1)
        manager.add_task(task)
        failed = TaskResult(task_id=1, worker="Ada", success=False)
        recovered = await manager.recover_failed_task(task, failed)
        await manager.stop()
        return recovered

    assert play(story) is None


def test_tasks_come_in_batches(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager = at.manager()
        added: list[int] = []
        manager.ask = _counting(manager, added)
        await manager.start()
        await manager.batch_assign_tasks([Task(task_id=n) for n in range(1, 9)], batch_size=3)
        with pytest.raises(InvalidInput, match="batch_size is 0"):
            await manager.batch_assign_tasks([], batch_size=0)
        await manager.stop()
        return added, len(manager.tasks)

    assert play(story) == ([3, 6, 8], 8)


def _counting(manager: TaskManager, added: list[int]) -> Any:
    ask = manager.ask

    def count(question: Any) -> Any:
        answer = ask(question)
        if answer is None:
            added.append(len(manager.board.tasks))
        return answer

    return count


def test_a_service_goes_on_with_the_run_in_its_store(hall: Make) -> None:
    async def story() -> Any:
        store = MemoryStore()
        at = hall()
        first = at.manager(store=store)
        await first.start()
        first.add_task(Task(task_id="kept", task_data=1))
        kept = [record.task_id for record in read_snapshot(store.memory.read()).tasks]
        await first.stop()
        second, worker = (
            at.manager(name="second", store=MemoryStore(store.memory)),
            at.worker("Ada"),
        )
        await second.start()
        await worker.start()
        await until(lambda: second.get_task_status("kept") == "Completed")
        await second.stop()
        return kept

    assert play(story) == ["kept"]


def test_what_cannot_be_done_is_refused_with_the_reason(hall: Make) -> None:
    async def story() -> None:
        at = hall()
        manager = at.manager()
        await manager.start()
        with pytest.raises(UnknownTask, match="no task has the id 'nobody'"):
            manager.get_task_status("nobody")
        with pytest.raises(UnknownTask):
            manager.get_task_result("nobody")
        with pytest.raises(InvalidInput, match="'task_manager' was already started"):
            await manager.start()
        await manager.stop()
        with pytest.raises(InvalidTask, match="the run has ended"):
            manager.add_task(Task(task_id="late"))

    play(story)


def test_the_number_of_workers_has_two_names_and_is_said_once() -> None:
    assert TaskManager(num_workers=3).expected_workers == 3
    with pytest.raises(InvalidInput, match="which mean the same"):
        TaskManager(expected_workers=2, num_workers=2)
    with pytest.raises(InvalidInput, match="num_workers=3"):
        TaskManager(3)  # type: ignore[arg-type]


def test_a_hook_of_the_service_may_stop_it(hall: Make) -> None:
    class OneIsEnough(TaskManager):
        async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
            await self.stop()

    async def story() -> Any:
        at = hall()
        manager, worker = at.settle(OneIsEnough(quiet=True)), at.worker("Ada")
        await manager.start()
        await worker.start()
        for number in (1, 2):
            manager.add_task(Task(task_id=number))
        await manager.finished()
        await manager.stop()
        return manager.get_all_task_status()

    assert play(story)[1] == "Completed"


def test_what_a_service_failed_with_is_logged_and_raised_by_stop(
    hall: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        manager = hall().manager(num_workers=1, join_timeout_s=5)
        await manager.start()
        await asyncio.sleep(10)
        with pytest.raises(WorkersMissing, match="0 of 1 expected workers joined within 5 s"):
            await manager.stop()

    play(story)
    assert "a service failed" in caplog.text


# ---------------------------------------------------------------------------- the worker


def test_a_worker_tells_in_a_word_what_it_does(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager, worker = at.manager(), at.worker("Ada")
        seen = [worker.get_worker_status()]
        starting = asyncio.ensure_future(worker.start())
        await asyncio.sleep(1)
        seen.append(worker.get_worker_status())
        with pytest.raises(NotConnected, match="'Ada' is not connected to a manager"):
            await worker.ping()
        await manager.start()
        await starting
        await worker.ping()
        seen.append(worker.get_worker_status())
        manager.add_task(Task(task_id=1))
        await until(lambda: worker.has_task)
        seen.append(worker.get_worker_status())
        await until(lambda: not worker.has_task)
        await worker.stop()
        seen.append(worker.get_worker_status())
        await manager.stop()
        return seen

    assert play(story) == ["Stopped", "Connecting", "Idle", "Busy", "Stopped"]


def test_a_worker_that_stops_leaves_its_task_to_others(hall: Make) -> None:
    async def story() -> Any:
        at = hall()
        manager, workers = at.manager(), [at.worker("Ada"), at.worker("Ben")]
        await manager.start()
        await workers[0].start()
        manager.add_task(Task(task_id=1, difficulty=5))
        await until(lambda: workers[0].has_task)
        await workers[0].stop()
        await workers[1].start()
        await until(lambda: manager.get_task_status(1) == "Completed")
        await manager.stop()
        return manager.get_task_result(1).worker

    assert play(story) == "Ben"


def test_execute_task_does_a_task_without_a_manager() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("double")
        def double(task: Task) -> int:
            return task.task_data * 2

        good = await worker.execute_task(Task(task_id=1, task_data=21, type="double"))
        bad = await worker.execute_task(Task(task_id=2, task_data=None, type="double"))
        simulated = await WorkerAgent("Ben", 3).execute_task(Task(task_id=3, difficulty=4))
        return good, bad, simulated

    good, bad, simulated = play(story)
    assert (good.success, good.output, good.worker) == (True, 42, "Ada")
    assert not bad.success
    assert bad.error_message.startswith("TypeError: ")
    assert (simulated.success, simulated.execution_time) == (False, 4.0)


def test_a_worker_whose_start_is_given_up_stops(hall: Make) -> None:
    async def story() -> Any:
        worker = hall().worker("Ada")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(worker.start(), 3)
        await worker.stop()
        return worker.get_worker_status()

    assert play(story) == "Stopped"


# ---------------------------------------------------------------------------- from any thread


async def test_tasks_come_from_many_threads_and_are_stored_when_add_task_returns(
    hall: Make,
) -> None:
    store = MemoryStore()
    manager = hall().manager(store=store)

    def add(first: int) -> None:
        for number in range(first, first + 25):
            manager.add_task(Task(task_id=number))
            assert any(row.task_id == number for row in store.memory.read().tasks)
            assert manager.get_task_status(number) == "Pending"
            assert number in manager.get_all_task_status()

    with ThreadPoolExecutor(4) as threads:
        loop = asyncio.get_running_loop()
        early = [loop.run_in_executor(threads, add, first) for first in (1, 26)]
        await asyncio.gather(*early)
        await manager.start()
        late = [loop.run_in_executor(threads, add, first) for first in (51, 76, 101, 126)]
        await asyncio.gather(*late)
    await manager.stop()
    assert sorted(manager.get_all_task_status()) == list(range(1, 151))


async def test_a_refusal_reaches_the_thread_that_asked(hall: Make) -> None:
    manager = hall().manager()
    await manager.start()
    with pytest.raises(UnknownTask):
        await asyncio.to_thread(manager.cancel_task, "nobody")
    await manager.stop()
    with pytest.raises(InvalidTask):
        await asyncio.to_thread(manager.add_task, Task(task_id=1))
