"""What a client asks of a manager that its tasks do not need: ids, state, skills, reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from muster.agents import Client, MemoryStore, TaskManager, run_in_virtual_time
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.manager.settled_tasks import MAX_KEPT, MAX_TOLD, SettledTasks
from muster.agents.skills.policy_skills import WORKERS_PER_ANSWER
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidInput, Limit, ManagerRequest, Task, TaskStatus, UnknownTask
from muster.messages.wording import short_id

from .test_client import Place

A_UUID = "0f8c1a52-7a3d-4b7e-9d55-3c1e2f4a5b6c"


def ask(story: Callable[[TaskManager, Client], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """What a story returns that has a manager with a worker, and a client."""

    async def play() -> Any:
        place = Place()
        manager = await place.open(**options)
        await place.work()
        client = await place.client()
        try:
            return await story(manager, client)
        finally:
            await client.stop()
            await place.close()

    return run_in_virtual_time(play())


def test_a_task_is_found_by_what_somebody_may_have_typed() -> None:
    async def story(_: TaskManager, client: Client) -> Any:
        await client.gather([Task(id=each, type="double", data=1) for each in (7, "8", A_UUID)])
        possible: list[list[Any]] = [[7, "7"], [8, "8"], [short_id(A_UUID)]]
        found = [await client.find(each) for each in possible]
        with pytest.raises(UnknownTask, match="9"):
            await client.find([9, "9"])
        with pytest.raises(InvalidInput, match="task_ids is empty"):
            await client.find([])
        return found

    assert ask(story) == [7, "8", A_UUID]


def test_the_reason_of_a_failure_has_the_traceback_of_its_handler() -> None:
    async def story(_: TaskManager, client: Client) -> Any:
        await client.gather([Task(id=1, type="fail", data=0.1, max_attempts=1)])
        return await client.why(1)

    assert 'raise ValueError("as it was told")' in "\n".join(ask(story))


def test_a_manager_tells_what_its_tasks_wait_for() -> None:
    async def story(manager: TaskManager, client: Client) -> Any:
        tasks = [Task(id=each, type="last", data=50.0) for each in range(1, 8)]
        await client.add_tasks([*tasks, Task(id=9, type="last", data=1.0, depends_on=[7])])
        await client.add_tasks([Task(id=10, type="knit", data=1)])
        await asyncio.sleep(5.0)
        before = await client.state()
        await client.pause()
        return before, await client.state(), manager.name

    before, after, name = ask(story, limits=[Limit("last", concurrent=2)])
    assert (before["manager"], before["paused"], after["paused"]) == (name, False, True)
    assert {each: count for each, count in before["counts"].items() if count} == {
        TaskStatus.IN_PROGRESS: 2,
        TaskStatus.PENDING: 7,
    }
    assert before["waiting"] == {"blocked": 1, "limited": 5, "nobody can": 1}
    assert before["limits"] == "5 wait for a limit: 2 of 2 last tasks in progress"
    assert any("knit" in each for each in before["reasons"]), before["reasons"]
    assert 0.0 < before["at"] < after["at"] + 1.0


def test_all_skills_come_however_many_workers_there_are() -> None:
    names = [f"worker {number:02}" for number in range(2 * WORKERS_PER_ANSWER + 5)]
    policy = AdaptivePolicy()
    for name in names:
        policy.scorecards.load_row(name, {"types": {}})

    async def story(_: TaskManager, client: Client) -> Any:
        return await client.skills()

    assert set(ask(story, policy=policy)["workers"]) >= set(names)


def test_a_manager_that_learns_no_skills_says_so() -> None:
    async def story(_: TaskManager, client: Client) -> Any:
        with pytest.raises(InvalidInput, match="learns none"):
            await client.skills()

    ask(story, policy="in_order")


def test_a_client_that_leaves_waits_no_longer_than_until_its_goodbye_is_acknowledged() -> None:
    async def play() -> float:
        place = Place()
        await place.open()
        client = await place.client()
        began_at = asyncio.get_running_loop().time()
        await client.stop()
        took_s = asyncio.get_running_loop().time() - began_at
        await place.close()
        return took_s

    assert run_in_virtual_time(play()) < 1.0


def test_who_follows_gets_each_result_from_then_on_whoever_submitted_it() -> None:
    async def story(manager: TaskManager, client: Client) -> Any:
        await client.gather([Task(id=1, type="double", data=1)])
        followed: list[Any] = []

        async def follow() -> None:
            async for result in client.follow():
                followed.append(result.task_id)  # noqa: PERF401 - there is no end

        following = asyncio.ensure_future(follow())
        await asyncio.sleep(1.0)
        own = manager.submit_nowait(Task(id=2, type="double", data=1))
        await client.gather([Task(id=each, type="double", data=1) for each in range(3, 20)])
        await client.gather([Task(id=20, type="fail", data=0.1, max_attempts=1)])
        await client.add_tasks([Task(id=21, type="last", data=500.0)])
        await client.cancel(21)
        await asyncio.sleep(5.0)
        await client.pause()
        await client.add_tasks([Task(id=22, type="last", data=500.0)])
        await client.cancel(22)
        await asyncio.sleep(5.0)
        following.cancel()
        assert own.done()
        return followed

    assert sorted(ask(story)) == [*range(2, 23)]


def test_who_follows_goes_on_with_the_manager_that_comes_back() -> None:
    async def play() -> Any:
        place = Place()
        rows = SharedRows()
        await place.open(store=MemoryStore(rows))
        await place.work()
        client = await place.client()
        followed: list[Any] = []

        async def follow() -> None:
            async for result in client.follow():
                followed.append(result.task_id)  # noqa: PERF401 - there is no end

        following = asyncio.ensure_future(follow())
        await asyncio.sleep(1.0)
        await client.gather([Task(id=1, type="double", data=1)])
        await asyncio.sleep(1.0)
        place.running[0].cancel()
        place.links["boss 1"].leave()
        await asyncio.sleep(60.0)
        await place.open(store=MemoryStore(rows))
        await client.gather([Task(id=2, type="double", data=1)])
        await client.gather([Task(id=3, type="double", data=1)])
        await asyncio.sleep(5.0)
        following.cancel()
        await client.stop()
        await place.close()
        return followed

    followed = run_in_virtual_time(play())
    assert followed[0] == 1
    assert followed[-1] == 3


def test_who_falls_behind_is_told_how_much_has_passed_by() -> None:
    replies: list[Any] = []
    notes: list[Any] = []
    settled = SettledTasks(notes.append, lambda _, reply: replies.append(reply.value))

    def ask(**arguments: Any) -> Any:
        settled.take("c", ManagerRequest(number=1, method="settled", arguments=arguments))
        return replies.pop()

    position = ask()
    for number in range(MAX_KEPT + 7):
        notes[0](number + 1)
    told = ask(log_id=position["log_id"], after=position["after"])
    assert told["missed"] == 7
    assert told["task_ids"] == [*range(8, 8 + MAX_TOLD)]
    told = ask(log_id=position["log_id"], after=told["after"])
    assert (told["missed"], told["task_ids"][0]) == (0, 8 + MAX_TOLD)
    with pytest.raises(InvalidInput, match="after is 'x'"):
        ask(after="x")
