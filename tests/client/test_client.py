"""A client submits tasks to a manager elsewhere, over a network that loses and repeats frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from muster.agents import (
    Client,
    Handlers,
    MemoryNetwork,
    MemoryStore,
    TaskManager,
    WorkerAgent,
    run_in_virtual_time,
)
from muster.agents.client.conversation import ClientConversation
from muster.agents.manager.clients import MANY_TASKS, MAX_UNREAD
from muster.agents.runtime.ports import claim_port
from muster.agents.simulation.memory_network import SeededFaults
from muster.agents.store.memory import SharedRows
from muster.messages import (
    DuplicateTask,
    EncodeError,
    IllegalTransition,
    InvalidInput,
    InvalidTask,
    JoinRefused,
    ManagerUnavailable,
    MusterError,
    RunEnded,
    Task,
    TaskResult,
    TaskStatus,
    UnknownDependency,
    UnknownTask,
)

handlers = Handlers()


@handlers.task("double")
async def double(task: Task) -> int:
    return task.data * 2


@handlers.task("last")
async def last(task: Task) -> str:
    await asyncio.sleep(task.data)
    return "done"


@handlers.task("fail")
async def fail(task: Task) -> None:
    await asyncio.sleep(task.data)
    raise ValueError("as it was told")


class Place:
    """A manager, a worker and clients, over one memory network."""

    def __init__(self, **faults: Any) -> None:
        self.network = MemoryNetwork(faults=SeededFaults(**faults) if faults else None)
        self.running: list[asyncio.Future[None]] = []
        self.links: dict[str, Any] = {}
        self.managers = 0

    async def open(self, **options: Any) -> TaskManager:
        self.managers += 1
        manager = TaskManager(quiet=True, name=f"boss {self.managers}", **options)
        manager._shell.driver.stay(reassigns_failed=False)
        link = self.links[manager.name] = self.network.join(manager.name, manager.receive)
        self.running.append(asyncio.ensure_future(manager.serve_over(link)))
        return manager

    async def work(self) -> WorkerAgent:
        worker = WorkerAgent("Ada", 5, handlers=handlers, slots=4)
        link = self.network.join("Ada", worker.receive)
        self.running.append(asyncio.ensure_future(worker.serve_over(link)))
        return worker

    async def client(self, name: str = "Cleo") -> OverMemory:
        client = OverMemory(self.network, name)
        await client.start()
        return client

    async def close(self) -> None:
        for each in self.running:
            each.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


class OverMemory(Client):
    """A client whose conversation goes over a memory network."""

    def __init__(self, network: MemoryNetwork, name: str) -> None:
        self.name = name
        self.network = network
        self._conversation = self._awaited = ClientConversation(name, lambda: False, lambda: False)
        self.link: Any = None
        self._running: Any = None

    async def start(self) -> None:
        self._conversation.open()
        self.link = self.network.join(self.name, self._conversation.receive)
        self._running = asyncio.ensure_future(self._conversation.run(self.link, None, None))
        joined = asyncio.ensure_future(self._conversation.joined.wait())
        await asyncio.wait([joined, self._running], return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()
        if self._conversation.failure is not None:
            raise self._conversation.failure

    async def stop(self) -> None:
        self._conversation.leave()
        await self._running

    def vanish(self) -> None:
        """End as a killed process does: without a word."""
        self._running.cancel()
        self.link.leave()


def play(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return run_in_virtual_time(story())


def doubling(number: int, **fields: Any) -> Task:
    return Task(id=number, description="double it", type="double", data=number, **fields)


def lasting(number: int, seconds: float) -> Task:
    return Task(id=number, description="take time", type="last", data=seconds)


@pytest.mark.parametrize("seed", range(5))
def test_each_task_of_a_client_has_its_result_once_over_a_bad_network(seed: int) -> None:
    async def story() -> Any:
        place = Place(seed=seed, loss=0.2, duplicate=0.1, delay_s=0.05)
        manager = await place.open()
        await place.work()
        client = await place.client()
        outputs = [result.output async for result in client.map("double", range(300))]
        done = manager.report().counts
        await client.stop()
        await place.close()
        return outputs, done

    outputs, done = play(story)
    assert outputs == [2 * number for number in range(300)]
    assert done["completed"] == 300


def test_a_client_that_is_killed_loses_no_task_and_another_finds_its_results() -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        first = await place.client()
        waiting = asyncio.ensure_future(first.submit(lasting(1, 30.0)))
        await asyncio.sleep(1)
        first.vanish()
        second = await place.client("Dora")
        result = await second.result(1)
        await second.stop()
        waiting.cancel()
        await place.close()
        return result

    result = play(story)
    assert (result.task_id, result.success, result.output) == (1, True, "done")


def test_two_clients_may_wait_for_the_same_task() -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        first, second = await place.client("Cleo"), await place.client("Dora")
        submitted = asyncio.ensure_future(first.submit(lasting(1, 5.0)))
        await asyncio.sleep(1)
        again = await asyncio.wait_for(second.result(1), 60)
        mine = await submitted
        await place.close()
        return mine.output, again.output

    assert play(story) == ("done", "done")


def test_a_manager_that_comes_back_with_its_store_gives_the_results_that_are_waited_for() -> None:
    async def story() -> Any:
        place, memory = Place(), SharedRows()
        first = await place.open(store=MemoryStore(memory))
        await place.work()
        client = await place.client()
        waiting = [asyncio.ensure_future(client.submit(lasting(n, 60.0))) for n in range(1, 9)]
        await asyncio.sleep(2)
        # As a killed process does: it says nothing and writes nothing more.
        place.links[first.name].leave()
        place.running[0].cancel()
        await asyncio.wait([place.running[0]])
        memory.release()
        await asyncio.sleep(20)
        await place.open(store=MemoryStore(memory))
        results = await asyncio.gather(*waiting)
        await client.stop()
        await place.close()
        return [result.output for result in results]

    assert play(story) == ["done"] * 8


ERRORS: list[tuple[Callable[[], Task], type[MusterError], str]] = [
    (lambda: doubling(1), DuplicateTask, "already exists"),
    (lambda: doubling(2, depends_on=(99,)), UnknownDependency, "depends on 99"),
    (lambda: Task(id=3, description="odd", type="double", data=object()), EncodeError, "data"),
]


@pytest.mark.parametrize(("make", "kind", "told"), ERRORS)
def test_what_the_manager_says_against_a_task_is_raised_at_the_client(
    make: Callable[[], Task], kind: type[MusterError], told: str
) -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        await client.submit(Task(id=1, description="the first", type="double", data=5))
        with pytest.raises(kind, match=told):
            await client.submit(make())
        # The client goes on.
        result = await client.submit(doubling(50))
        await client.stop()
        await place.close()
        return result.output

    assert play(story) == 100


def test_questions_and_orders_of_a_client() -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        waiting = [asyncio.ensure_future(client.submit(lasting(n, 50.0))) for n in range(1, 7)]
        await asyncio.sleep(1)
        seen: dict[str, Any] = {"counts": await client.counts(), "status": await client.status(6)}
        seen["why"] = await client.why(6)
        seen["workers"] = await client.workers()
        await client.set_priority(6, 9)
        await client.cancel(5, "not needed")
        for wrong in (client.status(77), client.why(77), client.cancel(77), client.result(77)):
            with pytest.raises(UnknownTask, match="77"):
                await wrong
        with pytest.raises(IllegalTransition, match="5"):
            await client.cancel(5)
        assert await client.retry([5]) == [5]
        assert await client.retry() == []
        with pytest.raises(IllegalTransition, match="5"):
            await client.retry([5])
        with pytest.raises(UnknownTask, match="77"):
            await client.retry([77])
        await client.cancel(5, "not needed")
        with pytest.raises(InvalidInput, match="task_id is 0"):
            await client.status(0)
        seen["results"] = await asyncio.gather(*waiting)
        await client.stop()
        await place.close()
        return seen

    seen = play(story)
    assert seen["counts"][TaskStatus.IN_PROGRESS] == 4
    assert seen["counts"][TaskStatus.PENDING] == 2
    assert seen["status"] is TaskStatus.PENDING
    assert seen["why"]
    assert [each["name"] for each in seen["workers"]] == ["Ada"]
    results: list[TaskResult] = seen["results"]
    assert [result.success for result in results] == [True, True, True, True, False, True]
    assert "not needed" in str(results[4].error_message)


def test_whoever_waits_learns_that_the_run_or_the_client_has_ended() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        first, second = await place.client("Cleo"), await place.client("Dora")
        waiting = [
            asyncio.ensure_future(client.submit(doubling(number)))
            for number, client in enumerate((first, second), 1)
        ]
        await asyncio.sleep(1)
        await first.stop()
        manager._shell.end("stopped")
        faults = await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(RunEnded):
            await second.submit(doubling(3))
        await place.close()
        return faults

    faults = play(story)
    assert [type(fault) for fault in faults] == [RunEnded, RunEnded]
    assert "client was closed" in str(faults[0])
    assert "stopped" in str(faults[1])


def test_a_manager_refuses_a_client_that_allow_does_not_name() -> None:
    async def story() -> None:
        place = Place()
        await place.open(allow=["Ada", "Dora"])
        dora = await place.client("Dora")
        with pytest.raises(JoinRefused, match="no client called 'Cleo'"):
            await place.client("Cleo")
        await dora.stop()
        await place.close()

    play(story)


def test_a_silent_client_is_dropped_and_nothing_is_kept_for_it() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open(lost_after_s=10.0)
        client = await place.client()
        waiting = asyncio.ensure_future(client.submit(doubling(1)))
        await asyncio.sleep(1)
        client.vanish()
        before = len(manager._shell._clients._clients), len(manager._shell.awaited._waiting)
        await asyncio.sleep(15)
        after = len(manager._shell._clients._clients), len(manager._shell.awaited._waiting)
        waiting.cancel()
        await place.close()
        return before, after

    assert play(story) == ((1, 1), (0, 0))


def test_results_come_as_they_are_completed_by_task_or_by_id() -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        await client.add_tasks([lasting(1, 9.0), lasting(2, 1.0)])
        given = [1, lasting(3, 5.0), 2, lasting(3, 5.0)]
        order = [result.task_id async for result in client.as_completed(given)]
        with pytest.raises(UnknownTask, match="77"):
            async for _ in client.as_completed([1, 77]):
                pass
        with pytest.raises(InvalidInput, match="must be a list"):
            await client.wait(lasting(1, 9.0))  # type: ignore[arg-type]
        await client.stop()
        await place.close()
        return order

    assert play(story) == [2, 3, 1]


@handlers.task
def add(x: int, y: int = 1) -> int:
    return x + y


@pytest.mark.parametrize("given", ["", 0, None, True, 3.5, ["7"]])
def test_what_is_no_task_id_is_refused_by_name(given: Any) -> None:
    async def story() -> None:
        place = Place()
        await place.open()
        client = await place.client()
        with pytest.raises(InvalidInput, match="it must be an integer above 0, or text of"):
            await client.result(given)
        with pytest.raises(InvalidInput, match="it must be an integer above 0, or text of"):
            await client.wait([given])
        with pytest.raises(InvalidInput, match="it must be an integer above 0, or text of"):
            async for _ in client.as_completed([given]):
                pass
        await client.stop()
        await place.close()

    play(story)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (add, r"is a typed function; make a task with its `task\(…\)`"),
        (7, "7 is not a task"),
        ("id", "'id' is not a task"),
    ],
)
def test_what_is_no_task_ends_a_submission_of_many_with_what_to_write(
    given: Any, told: str, in_order: bool
) -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        await place.work()
        client = await place.client()
        outputs: list[Any] = []
        for submits in (client, manager):
            tasks = [doubling(1), doubling(2), given]
            results = submits.submit_many(tasks, batch_size=2, in_order=in_order)
            outputs += [(await results.__anext__()).output for _ in range(2)]
            with pytest.raises(InvalidTask, match=told):
                await results.__anext__()
        await client.stop()
        await place.close()
        return outputs

    assert play(story) == [2, 4, 2, 4]


WAITS: list[tuple[dict[str, Any], list[int], list[int]]] = [
    ({}, [1, 4, 2, 3], []),
    ({"return_when": "first"}, [1], [2, 3, 4]),
    ({"return_when": "first_failed"}, [1, 4], [2, 3]),
    ({"timeout_s": 6.5}, [1, 4, 2], [3]),
    ({"timeout_s": 0.5, "return_when": "first"}, [], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("options", "done", "not_done"), WAITS)
def test_waiting_for_several_tasks(
    options: dict[str, Any], done: list[int], not_done: list[int]
) -> None:
    async def story() -> Any:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        await client.add_tasks([lasting(1, 1.0), lasting(2, 6.0), lasting(3, 9.0)])
        failing = Task(id=4, description="fail", type="fail", data=2.0, max_attempts=1)
        waited = await client.wait([1, 2, 3, failing], **options)
        left = len(client._conversation._requests._waiting)
        await client.stop()
        await place.close()
        return [result.task_id for result in waited.done], waited.not_done, left

    # What is not waited for any more is not kept either.
    assert play(story) == (done, not_done, 0)


def test_the_reply_to_a_submission_shares_the_frame_of_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Longer than the pace of the link, which is no direct connection.
    monkeypatch.setattr("muster.agents.manager.clients.REPLY_WITHIN_S", 0.05)

    async def story() -> Any:
        place = Place()
        place.network = MemoryNetwork(latency_s=0.0001)
        await place.open()
        await place.work()
        client = await place.client()
        loop = asyncio.get_running_loop()
        await client.submit(doubling(1))
        await asyncio.sleep(0.5)
        arrived: list[tuple[str, float]] = []
        take = client._conversation._arrived

        def note(sender: str, message: Any) -> None:
            arrived.append((type(message).__name__, loop.time()))
            take(sender, message)

        client._conversation._manager_session.endpoint._arrived = note
        for number in range(2, 12):
            await client.submit(doubling(number))
        # A task that takes long does not hold the reply back for long.
        began_at = loop.time()
        await client.add_tasks([lasting(100, 60.0)])
        took_s = loop.time() - began_at
        await client.stop()
        await place.close()
        return arrived, took_s

    arrived, took_s = play(story)
    replies = [at for kind, at in arrived if kind == "ManagerReply"]
    assert len(replies) == 11
    assert replies[:10] == [at for kind, at in arrived if kind == "TaskResult"]
    assert took_s < 0.1


def test_between_the_submissions_of_many_tasks_others_have_their_turn() -> None:
    turns: list[str] = []

    async def story() -> Any:
        place = Place()
        manager = await place.open()
        client = await place.client()
        add_tasks = manager._shell.driver.add_tasks

        def note(tasks: Any, *packed: Any) -> None:
            turns.append(f"{len(tasks)} tasks")
            asyncio.get_running_loop().call_soon(turns.append, "others")
            add_tasks(tasks, *packed)

        manager._shell.driver.add_tasks = note  # pyright: ignore[reportAttributeAccessIssue]
        many = range(MANY_TASKS)
        adding = [
            asyncio.ensure_future(client.add_tasks([doubling(1 + number) for number in each]))
            for each in (many, [MANY_TASKS], many, [MANY_TASKS + 1])
        ]
        # It is answered after what was sent before it.
        counting = asyncio.ensure_future(client.counts())
        await asyncio.gather(*adding)
        counts = await counting
        await client.stop()
        await place.close()
        return counts[TaskStatus.PENDING]

    assert play(story) == MANY_TASKS + 2
    some = f"{MANY_TASKS} tasks"
    assert turns == [some, "others", "1 tasks", some, "others", "others", "1 tasks", "others"]


def test_few_messages_of_a_client_wait_at_a_time() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        client = await place.client()
        (served,) = manager._shell._clients._clients.values()
        waiting: list[int] = []
        take = manager._shell._clients._take

        def note(*given: Any) -> None:
            waiting.append(len(served.unread))
            take(*given)

        manager._shell._clients._take = note  # pyright: ignore[reportAttributeAccessIssue]
        asked = [client.add_tasks([doubling(1 + number) for number in range(MANY_TASKS)])]
        asked += [client.status(1) for _ in range(3 * MAX_UNREAD)]
        replies = await asyncio.gather(*asked)
        await client.stop()
        await place.close()
        return len(replies), max(waiting)

    assert play(story) == (1 + 3 * MAX_UNREAD, MAX_UNREAD - 1)


def test_what_waits_behind_a_message_that_raises_is_read() -> None:
    async def story() -> Any:
        place = Place()
        manager = await place.open()
        client = await place.client()
        raised: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
        take, taken = manager._shell._clients._take, 0

        def break_once(*given: Any) -> None:
            nonlocal taken
            taken += 1
            if taken == 2:
                raise RuntimeError("broken")
            take(*given)

        manager._shell._clients._take = break_once  # type: ignore[method-assign]
        adding = client.add_tasks([doubling(1 + number) for number in range(MANY_TASKS)])
        asked = [
            asyncio.ensure_future(each) for each in (adding, client.status(1), client.counts())
        ]
        await asked[0]
        counts = await asked[2]
        asked[1].cancel()
        await client.stop()
        await place.close()
        return counts[TaskStatus.PENDING], [str(each["exception"]) for each in raised]

    assert play(story) == (MANY_TASKS, ["broken"])


def test_only_its_own_process_may_make_a_manager_forget() -> None:
    async def story() -> None:
        place = Place()
        await place.open()
        await place.work()
        client = await place.client()
        with pytest.raises(InvalidInput, match="forget"):
            async for _ in client.submit_many([doubling(1)], forget=True):
                pass
        await client.stop()
        await place.close()

    play(story)


def test_a_client_that_is_not_connected_says_so() -> None:
    async def story() -> None:
        client = OverMemory(MemoryNetwork(), "Cleo")
        with pytest.raises(InvalidTask):
            await client.submit("a word")  # type: ignore[arg-type]
        with pytest.raises(RunEnded, match="not connected"):
            await client.submit(doubling(1))

    play(story)


async def test_a_client_without_a_manager_gives_up_in_time() -> None:
    ticket = str(TaskManager(port=claim_port(), quiet=True).ticket())
    with pytest.raises(ManagerUnavailable, match=r"within 0\.5 s"):
        await Client(ticket, connect_timeout_s=0.5).start()
