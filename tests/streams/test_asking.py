"""Handlers ask people: the slot is free, the answer is kept, and each question is asked once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryNetwork,
    MemoryStore,
    TaskContext,
    TaskManager,
    WorkerAgent,
    run_in_virtual_time,
)
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.simulation.memory_network import SeededFaults
from muster.agents.store.memory import SharedRows
from muster.messages import (
    AnswerExpired,
    IllegalTransition,
    InvalidInput,
    MusterError,
    Task,
    TaskStatus,
    UnknownTask,
)

from ..client.test_client import OverMemory, Place

handlers = Handlers()
begun: list[tuple[Any, int]] = []


@handlers.task("publish")
async def publish(task: Task, context: TaskContext) -> str:
    begun.append((task.id, context.attempt))
    answer = await context.ask("Publish?", choices=["yes", "no"], **(task.data or {}))
    return f"answered {answer}"


@handlers.task("in a thread")
def in_a_thread(task: Task, context: TaskContext) -> str:
    return context.ask("Publish?").result()


@handlers.task("twice")
async def twice(task: Task, context: TaskContext) -> list[str]:
    first = await context.ask("Who?")
    if context.attempt == 1:
        raise ConnectionError("gone")
    return [first, await context.ask("Who?")]


@handlers.task("together")
async def together(task: Task, context: TaskContext) -> list[str]:
    return list(await asyncio.gather(context.ask("Who?"), context.ask("Where?")))


@handlers.task("carefully")
async def carefully(task: Task, context: TaskContext) -> str:
    try:
        return await context.ask("Publish?", expires_s=30)
    except AnswerExpired as fault:
        return str(fault)


@handlers.task("wrong")
async def wrong(task: Task, context: TaskContext) -> str:
    return await context.ask(**task.data)


@handlers.task("quick")
async def quick(task: Task) -> str:
    return "done"


async def work(place: Place, name: str = "Ada", slots: int = 1) -> asyncio.Future[None]:
    worker = WorkerAgent(name, 5, handlers=handlers, slots=slots)
    link = place.links[name] = place.network.join(name, worker.receive)
    running = asyncio.ensure_future(worker.serve_over(link))
    place.running.append(running)
    return running


async def open_place(**options: Any) -> tuple[Place, TaskManager, OverMemory]:
    place = Place()
    manager = await place.open(**options)
    await work(place)
    return place, manager, await place.client()


async def asked(source: Any, count: int = 1) -> list[Any]:
    """The questions, once there are so many."""
    while True:
        found = source.questions()
        found = found if isinstance(found, list) else await found
        if len(found) == count:
            return found
        await asyncio.sleep(0.1)


def test_a_task_waits_for_a_person_and_its_slot_is_free() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        result = client.submit_nowait(Task(id=1, type="publish"))
        (question,) = await asked(client)
        assert (question.task_id, question.number, question.text) == (1, 1, "Publish?")
        assert question.choices == ("yes", "no")
        assert manager.questions() == [question]
        assert (await client.submit(Task(id=2, type="quick"))).success
        assert await client.status(1) is TaskStatus.IN_PROGRESS
        assert any("waits for a person: Publish?" in line for line in await client.why(1))
        await asyncio.sleep(3_600)
        await client.answer(1, "yes", by="Cleo")
        assert (await asyncio.wrap_future(result)).output == "answered yes"
        assert await client.questions() == []
        assert "'yes' by Cleo" in [describe_facts(each) for each in manager.board.story(1)]
        await place.close()

    run_in_virtual_time(play())


@pytest.mark.parametrize("killed", ["worker", "manager", "both"])
@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_nobody_is_asked_twice_whoever_is_killed(killed: str, when: str) -> None:
    async def play() -> None:
        begun.clear()
        place, rows = Place(), SharedRows()
        faults = SeededFaults(5, loss=0.1, duplicate=0.1, delay_s=0.2)
        place.network = MemoryNetwork(faults=faults)
        manager = await place.open(store=MemoryStore(rows))
        worker = await work(place)
        client = await place.client()
        result = client.submit_nowait(Task(id=1, type="publish", max_attempts=2))
        await asked(client)
        if when == "after the answer":
            faults.partition([place.links["Ada"].address])
            await client.answer(1, "yes")
        if killed in ("worker", "both"):
            worker.cancel()
            place.links["Ada"].leave()
        if killed in ("manager", "both"):
            place.running[0].cancel()
            place.links[manager.name].leave()
        await asyncio.sleep(1)
        faults.heal()
        if killed in ("manager", "both"):
            manager = await place.open(store=MemoryStore(rows))
        if killed in ("worker", "both"):
            await work(place, "Bo")
        if when == "before the answer":
            await asyncio.sleep(20)
            await asked(client)
            await client.answer(1, "no")
        answer = "no" if when == "before the answer" else "yes"
        assert (await asyncio.wrap_future(result)).output == f"answered {answer}"
        story = [each.what.value for each in manager.board.story(1)]
        assert story.count("question_asked") == story.count("question_answered") == 1
        assert len(begun) == (1 if killed == "manager" else 2)
        await place.close()

    run_in_virtual_time(play())


def test_a_thread_a_second_attempt_and_several_questions_at_once() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        threaded = client.submit_nowait(Task(id=1, type="in a thread"))
        await asked(client)
        manager.answer(1, "free text")
        assert (await asyncio.wrap_future(threaded)).output == "free text"

        retried = client.submit_nowait(Task(id=2, type="twice", max_attempts=2))
        await asked(client)
        await client.answer(2, "Ada")
        (second,) = await asked(client)
        assert (second.number, second.text) == (2, "Who?")
        await client.answer(2, "Bo")
        assert (await asyncio.wrap_future(retried)).output == ["Ada", "Bo"]

        several = client.submit_nowait(Task(id=3, type="together"))
        await asked(client, 2)
        with pytest.raises(InvalidInput, match="asks 2 questions; say which one"):
            await client.answer(3, "me")
        await client.answer(3, "here", question=2)
        await client.answer(3, "me")
        assert (await asyncio.wrap_future(several)).output == ["me", "here"]
        await place.close()

    asyncio.run(play())


def test_a_question_expires_with_an_error_or_its_default() -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        failed = await client.submit(Task(id=1, type="publish", data={"expires_s": 60}))
        assert not failed.success
        assert failed.error_message is not None
        assert failed.error_message.startswith("AnswerExpired: nobody has answered 'Publish?'")
        default = {"expires_s": 60, "default": "no"}
        assert (
            await client.submit(Task(id=2, type="publish", data=default))
        ).output == "answered no"
        caught = await client.submit(Task(id=3, type="carefully"))
        assert "expired after 30 s" in caught.output
        with pytest.raises(IllegalTransition, match="task 1 is failed, so it asks nothing"):
            await client.answer(1, "yes")
        await place.close()

    run_in_virtual_time(play())


def test_a_cancelled_task_asks_nothing_any_more() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        result = client.submit_nowait(Task(id=1, type="publish"))
        await asked(client)
        await client.cancel(1)
        assert not (await asyncio.wrap_future(result)).success
        assert await client.questions() == []
        with pytest.raises(IllegalTransition, match="task 1 is cancelled"):
            await client.answer(1, "yes")
        assert (await client.submit(Task(id=2, type="quick"))).success
        assert not manager._shell._worker_calls._questions._waiting
        await place.close()

    run_in_virtual_time(play())


@pytest.mark.parametrize(
    ("task_id", "answer", "question", "kind", "words"),
    [
        (1, "maybe", None, InvalidInput, "'maybe' is none of the choices: 'yes', 'no'"),
        (1, "", None, InvalidInput, "the answer is ''; it must be text that is not blank"),
        (1, None, None, InvalidInput, "the answer is None"),
        (1, "yes", 2, IllegalTransition, "task 1 has not asked a question 2"),
        (1, "yes", "first", InvalidInput, "question is 'first'; it must be an integer"),
        (2, "yes", None, IllegalTransition, "task 2 is completed, so it asks nothing any more"),
        (99, "yes", None, UnknownTask, "no task has the id 99"),
    ],
)
def test_a_bad_answer_is_refused_with_what_would_be_right(
    task_id: int, answer: Any, question: Any, kind: type[MusterError], words: str
) -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        client.submit_nowait(Task(id=1, type="publish"))
        await client.submit(Task(id=2, type="quick"))
        await asked(client)
        with pytest.raises(kind, match=words):
            await client.answer(task_id, answer, question=question)
        await place.close()

    run_in_virtual_time(play())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"text": ""}, "the question is ''; it must be text that is not blank"),
        ({"text": "Who?", "choices": []}, "choices is empty; give 1 or more"),
        ({"text": "Who?", "choices": ["a", "a"]}, "the choice 'a' occurs twice"),
        ({"text": "Who?", "expires_s": -1}, "expires_s is -1"),
    ],
)
def test_a_bad_question_fails_its_attempt_with_what_would_be_right(
    data: dict[str, Any], words: str
) -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        result = await client.submit(Task(id=1, type="wrong", data=data))
        assert result.error_message is not None
        assert words in result.error_message
        await place.close()

    run_in_virtual_time(play())


def test_a_client_can_not_ask_in_the_name_of_a_task() -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        with pytest.raises(InvalidInput, match="ask_person is not for those"):
            await client._ask("ask_person", text="Who?")
        await place.close()

    run_in_virtual_time(play())
