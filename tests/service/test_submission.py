"""Tasks that are submitted for their results: one at a time, or any number with backpressure."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any

import pytest
from muster.agents import Handlers, MemoryStore, TaskManager, run_in_virtual_time
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.messages import (
    DuplicateTask,
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    RunEnded,
    Task,
    TaskResult,
    UnknownDependency,
)

Make = Callable[[], Any]

handlers = Handlers()


@handlers.task("double")
async def double(task: Task) -> int:
    return task.data * 2


@handlers.task("reject")
async def reject(task: Task) -> None:
    raise ValueError("no such column")


@handlers.task("last")
async def take(task: Task) -> None:
    await asyncio.sleep(task.data)


def doubling(number: int, **fields: Any) -> Task:
    return Task(task_id=number, type="double", data=number, **fields)


def play(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_in_virtual_time(story())


async def open_hall(at: Any, **options: Any) -> TaskManager:
    manager = at.manager(reassign_failed=False, **options)
    await manager.start()
    for name in ("Ada", "Ben"):
        await at.worker(name, handlers=handlers, slots=2).start()
    return manager


# ----------------------------------------------------------------------------------- one at a time


def test_a_submitted_task_gives_its_recorded_result(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        result = await manager.submit(doubling(21))
        kept = manager.get_task_result(21)
        await manager.stop()
        return result, kept

    result, kept = play(story)
    assert (result.task_id, result.success, result.output) == (21, True, 42)
    assert result is kept


def test_the_result_is_there_in_the_loop_turn_in_which_it_is_recorded(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        loop, told = asyncio.get_running_loop(), []

        async def submit(number: int) -> None:
            await manager.submit(doubling(number))
            told.append("result")

        await submit(1)
        manager.watch(
            lambda each: (
                loop.call_soon(told.append, "next turn")
                if each.what is OccurrenceKind.TASK_COMPLETED
                else None
            )
        )
        await submit(2)
        await asyncio.sleep(0.1)
        await manager.stop()
        return told

    assert play(story) == ["result", "result", "next turn"]


def test_what_fails_is_cancelled_or_suits_nobody_has_a_result_with_the_reason(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall(), unmatched_after_s=5.0)
        failing = Task(task_id="fails", type="reject")
        cancelled = Task(task_id="cancelled", type="last", data=60)
        depends = doubling(1, depends_on=("fails",))
        hopeless = Task(task_id="hopeless", type="nobody knows this")
        submitted = [
            asyncio.ensure_future(manager.submit(task))
            for task in (failing, cancelled, depends, hopeless)
        ]
        await asyncio.sleep(0.5)
        manager.cancel_task("cancelled", "not needed")
        results = await asyncio.gather(*submitted)
        await manager.stop()
        return results

    results: list[TaskResult] = play(story)
    assert [each.success for each in results] == [False] * 4
    reasons = [each.error_message or "" for each in results]
    assert reasons[:3] == [
        "ValueError: no such column",
        "cancelled: not needed",
        "dependency: task fails failed",
    ]
    assert reasons[3].startswith("nobody can: ")
    assert [each.worker != "" for each in results] == [True, True, False, False]


def test_a_task_that_cannot_be_taken_is_refused_as_by_add_task(hall: Make) -> None:
    async def story() -> None:
        manager = await open_hall(hall())
        await manager.submit(doubling(1))
        with pytest.raises(DuplicateTask, match="data is 1 there and 2 now"):
            await manager.submit(Task(task_id=1, type="double", data=2))
        with pytest.raises(UnknownDependency):
            await manager.submit(doubling(2, depends_on=("unknown",)))
        await manager.stop()

    play(story)


def test_whoever_stops_waiting_has_not_cancelled_his_task(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(manager.submit(Task(task_id=1, type="last", data=10)), 2)
        await asyncio.sleep(20)
        result = manager.get_task_result(1)
        await manager.stop()
        return result

    assert play(story).success


def test_a_task_that_the_end_of_the_run_leaves_unsettled_raises_that(hall: Make) -> None:
    async def story() -> None:
        manager = await open_hall(hall())
        waiting = asyncio.ensure_future(manager.submit(Task(task_id=7, type="last", data=60)))
        await asyncio.sleep(1)
        await manager.stop()
        with pytest.raises(RunEnded, match="before task 7 was settled"):
            await waiting
        with pytest.raises(RunEnded, match="no further tasks can be submitted"):
            await manager.submit(doubling(8))

    play(story)


def test_a_run_that_breaks_lets_nobody_wait(hall: Make) -> None:
    class Broken(MemoryStore):
        breaks = False

        def write(self, rows: Any) -> None:
            if self.breaks:
                raise OSError("the disk is gone")
            super().write(rows)

    async def story() -> None:
        store = Broken()
        manager = await open_hall(hall(), store=store)
        waiting = asyncio.ensure_future(manager.submit(Task(task_id=7, type="last", data=5)))
        await asyncio.sleep(1)
        store.breaks = True
        with pytest.raises(RunEnded):
            await waiting
        with pytest.raises(OSError, match="the disk is gone"):
            await manager.stop()

    play(story)


def test_what_a_resumed_run_has_done_has_its_result_at_once(hall: Make) -> None:
    async def story() -> Any:
        store = MemoryStore()
        first = await open_hall(hall(), store=store)
        before = await first.submit(doubling(3))
        await first.stop()
        second = hall().manager(store=MemoryStore(store.memory))
        await second.start()
        after = await second.submit(doubling(3))
        await second.stop()
        return before, after

    before, after = play(story)
    assert before == after
    assert after.output == 6


# ------------------------------------------------------------------------------------ any number


class Source:
    """Gives tasks, and knows how many it gave."""

    def __init__(self, count: int, **fields: Any) -> None:
        self.left = iter(range(1, count + 1))
        self.fields = fields
        self.drawn = 0

    def __iter__(self) -> Iterator[Task]:
        return self

    def __next__(self) -> Task:
        task = doubling(next(self.left), **self.fields)
        self.drawn += 1
        return task


async def take_all(results: AsyncIterator[TaskResult], into: list[TaskResult]) -> None:
    """Take results as they come, so that they are there though another is never to come."""
    async for result in results:
        into.append(result)  # noqa: PERF401


def batches_of(manager: TaskManager) -> list[int]:
    """How many tasks were added at a time, as it is told from now on."""
    sizes: list[int] = []
    add_tasks = manager._shell.driver.add_tasks

    def note(tasks: Any) -> None:
        sizes.append(len(tasks))
        add_tasks(tasks)

    manager._shell.driver.add_tasks = note  # type: ignore[method-assign]
    return sizes


def test_many_tasks_are_drawn_by_the_batch_as_there_is_room(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        source, sizes, most, taken = Source(1_000), batches_of(manager), 0, []
        async for result in manager.submit_many(source, batch_size=20, max_waiting=50):
            # The one that is taken counts no more.
            taken.append(result.output)
            most = max(most, source.drawn - len(taken) + 1)
        await manager.stop()
        return taken, sizes, most

    taken, sizes, most = play(story)
    assert sorted(taken) == [2 * number for number in range(1, 1_001)]
    assert sizes == [20] * 50
    assert most <= 50


def test_a_consumer_that_is_slow_holds_back_the_source(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        source = Source(1_000)
        async with aclosing(manager.submit_many(source, batch_size=5, max_waiting=10)) as results:
            async for _ in results:
                await asyncio.sleep(60)
                break
            drawn = source.drawn
        await manager.stop()
        return drawn

    assert play(story) <= 11


@pytest.mark.parametrize("max_waiting", [1, 2, 3, 7])
def test_few_may_wait(hall: Make, max_waiting: int) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        results = [each async for each in manager.submit_many(Source(9), max_waiting=max_waiting)]
        await manager.stop()
        return [each.output for each in results]

    assert sorted(play(story)) == [2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_no_tasks_give_no_results(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        results = [each async for each in manager.submit_many([])]
        await manager.stop()
        return results

    assert play(story) == []


@pytest.mark.parametrize("in_order", [True, False])
def test_results_come_as_they_are_recorded_or_in_the_order_of_the_tasks(
    hall: Make, in_order: bool
) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        tasks = [Task(task_id=n, type="last", data=s) for n, s in enumerate([9, 3, 6, 1, 1], 1)]
        results = [each.task_id async for each in manager.submit_many(tasks, in_order=in_order)]
        await manager.stop()
        return results

    # Four at a time: the fifth begins when the fourth is done.
    assert play(story) == ([1, 2, 3, 4, 5] if in_order else [4, 5, 2, 3, 1])


def test_tasks_of_a_source_that_lets_wait_are_added_meanwhile(hall: Make) -> None:
    async def source() -> AsyncIterator[Task]:
        for number in range(1, 7):
            if number in (3, 4):
                await asyncio.sleep(10)
            yield doubling(number)

    async def story() -> Any:
        manager = await open_hall(hall())
        loop, sizes = asyncio.get_running_loop(), batches_of(manager)
        began_at = loop.time()
        results = manager.submit_many(source(), batch_size=100)
        at = {each.task_id: round(loop.time() - began_at) async for each in results}
        await manager.stop()
        return sizes, at

    sizes, at = play(story)
    assert sizes == [2, 1, 3]
    assert at == {1: 0, 2: 0, 3: 10, 4: 20, 5: 20, 6: 20}


def test_a_source_that_is_asynchronous_is_held_back_too(hall: Make) -> None:
    drawn = 0

    async def source() -> AsyncIterator[Task]:
        nonlocal drawn
        for number in range(1, 101):
            drawn += 1
            yield doubling(number)

    async def story() -> Any:
        manager = await open_hall(hall())
        sizes, taken, most = batches_of(manager), 0, 0
        async for _ in manager.submit_many(source(), batch_size=4, max_waiting=10):
            taken += 1
            most = max(most, drawn - taken + 1)
        await manager.stop()
        return taken, most, sizes

    taken, most, sizes = play(story)
    assert taken == 100
    assert most <= 10
    # Batches do not shrink to single tasks when there is little room.
    assert sum(sizes) / len(sizes) > 2


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("in_order", [True, False])
def test_a_source_that_breaks_is_told_of_after_the_results_of_what_it_gave(
    hall: Make, is_async: bool, in_order: bool
) -> None:
    def source() -> Iterator[Task]:
        yield from (doubling(number) for number in range(1, 6))
        raise ConnectionError("the source is gone")

    async def async_source() -> AsyncIterator[Task]:
        for task in source():
            yield task

    async def story() -> Any:
        manager = await open_hall(hall())
        seen: list[TaskResult] = []
        tasks = async_source() if is_async else source()
        with pytest.raises(ConnectionError, match="the source is gone"):
            await take_all(manager.submit_many(tasks, batch_size=2, in_order=in_order), seen)
        await manager.stop()
        return [each.output for each in seen]

    assert sorted(play(story)) == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("in_order", [True, False])
def test_a_batch_that_cannot_be_taken_ends_it_after_the_results_of_the_others(
    hall: Make, in_order: bool
) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        tasks = [doubling(number) for number in (1, 2, 3, 1, 4, 5)]
        tasks[3].data = 7
        seen: list[TaskResult] = []
        with pytest.raises(DuplicateTask):
            await take_all(manager.submit_many(tasks, batch_size=2, in_order=in_order), seen)
        known = [task.id for task in manager.tasks]
        await manager.stop()
        return [each.output for each in seen], known

    seen, known = play(story)
    assert (sorted(seen), known) == ([2, 4], [1, 2])


def test_a_batch_of_an_asynchronous_source_that_cannot_be_taken_ends_it(hall: Make) -> None:
    async def source() -> AsyncIterator[Task]:
        yield doubling(1)
        await asyncio.sleep(1)
        yield Task(task_id=1, type="double", data=2)
        await asyncio.sleep(3_600)
        yield doubling(2)

    async def story() -> Any:
        manager = await open_hall(hall())
        began_at = asyncio.get_running_loop().time()
        with pytest.raises(InvalidTask):
            await take_all(manager.submit_many(source()), [])
        took_s = asyncio.get_running_loop().time() - began_at
        await manager.stop()
        return took_s

    assert play(story) < 2


@pytest.mark.parametrize("in_order", [True, False])
def test_the_end_of_the_run_is_told_after_the_results_that_there_are(
    hall: Make, in_order: bool
) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        tasks = [Task(task_id=n, type="last", data=s) for n, s in enumerate([60, 1, 2, 60], 1)]
        seen: list[TaskResult] = []
        results = manager.submit_many(tasks, in_order=in_order)
        consuming = asyncio.ensure_future(take_all(results, seen))
        await asyncio.sleep(5)
        await manager.stop()
        with pytest.raises(RunEnded):
            await consuming
        return [each.task_id for each in seen]

    assert play(story) == [2, 3]


def test_the_end_of_the_run_ends_waiting_for_a_source_that_gives_nothing(hall: Make) -> None:
    async def source() -> AsyncIterator[Task]:
        yield doubling(1)
        await asyncio.Event().wait()

    async def story() -> Any:
        manager = await open_hall(hall())
        seen: list[TaskResult] = []
        consuming = asyncio.ensure_future(take_all(manager.submit_many(source()), seen))
        await asyncio.sleep(5)
        await manager.stop()
        with pytest.raises(RunEnded):
            await consuming
        with pytest.raises(RunEnded):
            await take_all(manager.submit_many(Source(3)), seen)
        return [each.task_id for each in seen]

    assert play(story) == [1]


def test_whoever_leaves_lets_what_was_added_go_on_and_adds_nothing_more(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        source = Source(100)
        async for _ in manager.submit_many(source, batch_size=3, max_waiting=6):
            break
        gc.collect()
        await asyncio.sleep(10)
        states, drawn = manager.get_all_task_status(), source.drawn
        listeners = manager._awaited._end_listeners
        await manager.stop()
        return states, drawn, listeners

    states, drawn, listeners = play(story)
    assert len(states) == drawn <= 9
    assert set(states.values()) == {"Completed"}
    assert listeners == set()


def test_results_that_were_taken_are_forgotten_if_that_is_wanted(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        most = 0
        results = manager.submit_many(Source(300), batch_size=10, max_waiting=20, forget=True)
        async for result in results:
            # Whoever has a result may still ask for its task.
            assert manager.get_task_result(result.task_id) is result
            most = max(most, len(manager.board.tasks))
        left = len(manager.board.tasks)
        check_invariants(manager.board)
        await manager.stop()
        return most, left

    most, left = play(story)
    assert most <= 40
    assert left == 0


def test_what_a_task_depends_on_is_forgotten_after_it(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        manager.add_task(doubling(1_000_000))
        chain = [doubling(n, depends_on=(n - 1,) if n > 1 else ()) for n in range(1, 51)]
        chain.append(doubling(51, depends_on=(1_000_000,)))
        results = manager.submit_many(chain, batch_size=5, max_waiting=60, forget=True)
        outputs = [each.output async for each in results]
        left = [task.id for task in manager.tasks]
        await manager.stop()
        return outputs, left

    outputs, left = play(story)
    assert len(outputs) == 51
    assert left == [1_000_000]


def test_only_what_is_settled_is_forgotten(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        await manager.submit(doubling(1))
        manager.add_task(Task(task_id=2, type="last", data=60))
        with pytest.raises(IllegalTransition):
            manager.forget_tasks([1, 2])
        kept = len(manager.tasks)
        manager.forget_tasks([1])
        left = [task.id for task in manager.tasks]
        await manager.stop()
        return kept, left

    assert play(story) == (2, [2])


def test_forgotten_tasks_are_gone_from_the_store(hall: Make) -> None:
    async def story() -> Any:
        store = MemoryStore()
        manager = await open_hall(hall(), store=store)
        async for _ in manager.submit_many(Source(30), batch_size=10, forget=True):
            pass
        await manager.stop()
        return MemoryStore(store.memory).load()

    assert play(story).tasks == ()


@pytest.mark.parametrize("numbers", [{"batch_size": 0}, {"max_waiting": 0}])
def test_numbers_that_make_no_sense_are_refused_at_once(numbers: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="must be 1 or more"):
        TaskManager().submit_many([], **numbers)


def test_a_single_task_is_not_taken_for_many() -> None:
    with pytest.raises(InvalidInput, match="submit"):
        TaskManager().submit_many(doubling(1))  # type: ignore[arg-type]


# --------------------------------------------------------------------------------- other threads


def test_any_thread_submits_with_a_loop_of_its_own_or_without(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())

        async def in_its_own_loop() -> Any:
            first = await manager.submit(doubling(1))
            many = manager.submit_many([doubling(n) for n in range(2, 500)], batch_size=7)
            return [first.output, *[each.output async for each in many]]

        def elsewhere() -> Any:
            assert threading.current_thread() is not threading.main_thread()
            future = manager.submit_nowait(doubling(500))
            return [*asyncio.run(in_its_own_loop()), future.result(10).output]

        outputs = await asyncio.to_thread(elsewhere)
        await manager.stop()
        return outputs

    assert sorted(asyncio.run(story())) == [2 * number for number in range(1, 501)]


def test_a_future_that_is_cancelled_is_waited_for_no_longer(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())
        future: Future[TaskResult] = manager.submit_nowait(Task(task_id=1, type="last", data=5))
        assert future.cancel()
        await asyncio.sleep(10)
        status = manager.get_task_status(1)
        unsettled = manager.submit_nowait(Task(task_id=2, type="last", data=60))
        await manager.stop()
        return status, unsettled

    status, unsettled = play(story)
    assert status == "Completed"
    assert isinstance(unsettled.exception(0), RunEnded)


def test_a_loop_that_has_closed_disturbs_nobody(hall: Make) -> None:
    async def story() -> Any:
        manager = await open_hall(hall())

        async def leave_early() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(manager.submit(Task(task_id=1, type="last", data=0.3)), 0.05)

        await asyncio.to_thread(lambda: asyncio.run(leave_early()))
        result = await manager.submit(Task(task_id=2, type="last", data=0.5))
        status = manager.get_task_status(1)
        await manager.stop()
        return status, result.success

    assert asyncio.run(story()) == ("Completed", True)
