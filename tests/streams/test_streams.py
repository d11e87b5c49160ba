"""Handlers that yield: their parts arrive in order, bounded, and begin anew with each attempt."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryStore,
    TaskContext,
    TaskManager,
    WorkerAgent,
    run_in_virtual_time,
)
from muster.agents.execution import part_sender, streaming
from muster.agents.manager import task_parts
from muster.agents.store.memory import SharedRows
from muster.agents.submission.parts import StreamedPart
from muster.messages import (
    DuplicateTask,
    InvalidInput,
    RunEnded,
    Task,
    TaskFailed,
    UnknownTask,
    WrongCall,
)

from ..client.test_client import OverMemory, Place

handlers = Handlers()


@handlers.task("count")
async def count(task: Task) -> AsyncGenerator[int, None]:
    for number in range(task.data):
        yield number


@handlers.task("slow")
async def slow(task: Task) -> AsyncGenerator[int, None]:
    for number in range(task.data):
        await asyncio.sleep(1)
        yield number


@handlers.task("in a thread")
def in_a_thread(task: Task, context: TaskContext) -> Generator[str, None, str | None]:
    yield from task.data
    return None if context.attempt > 1 else f"{len(task.data)} words"


@handlers.task("joined")
async def joined(task: Task, context: TaskContext) -> AsyncGenerator[str, None]:
    for word in task.data:
        yield word
    context.result(" ".join(task.data))


@handlers.task("second try")
async def second_try(task: Task, context: TaskContext) -> AsyncGenerator[str, None]:
    for word in ("once", "upon"):
        yield f"{word} {context.attempt}"
    if context.attempt == 1:
        raise ConnectionError("the model is away")


@handlers.task("bad")
async def bad(task: Task) -> AsyncGenerator[Any, None]:
    yield "good"
    yield {"lock": threading.Lock(), "long": "x" * 300_000}[task.data]


@handlers.task("for ever")
async def for_ever(task: Task) -> AsyncGenerator[int, None]:
    number = 0
    try:
        while True:
            number += 1
            yield number
            await asyncio.sleep(0.1)
    finally:
        closed.append(task.id)


@handlers.task("no generator")
async def no_generator(task: Task, context: TaskContext) -> str:
    if task.data:
        context.result("x")
    return "done"


@handlers.task("eager")
async def eager(task: Task) -> AsyncGenerator[int, None]:
    for number in range(task.data):
        made.append(number)
        yield number


@handlers.task("endless thread")
def endless(task: Task) -> Generator[int, None, None]:
    try:
        while True:
            yield 1
    finally:
        ended.set()


closed: list[int | str] = []
made: list[int] = []
ended = threading.Event()


async def open_place(**faults: Any) -> tuple[Place, TaskManager, OverMemory]:
    place = Place(**faults)
    # With so many losses a worker may not be heard for ten seconds; here none is to be lost.
    manager = await place.open(lost_after_s=60.0)
    worker = WorkerAgent("Ada", 5, handlers=handlers, slots=4)
    link = place.network.join("Ada", worker.receive)
    place.running.append(asyncio.ensure_future(worker.serve_over(link)))
    client = await place.client()
    return place, manager, client


async def note(stream: AsyncGenerator[StreamedPart, None], seen: list[Any]) -> None:
    async for part in stream:
        seen.append(part.data)  # noqa: PERF401 - what came before the error counts


async def read(stream: AsyncGenerator[StreamedPart, None]) -> list[Any]:
    return [part.data async for part in stream]


@pytest.mark.parametrize("reader", ["client", "manager"])
@pytest.mark.parametrize(
    "faults",
    [{}, *({"seed": seed, "loss": 0.2, "duplicate": 0.2, "delay_s": 0.5} for seed in range(3, 9))],
    ids=lambda faults: f"faults {faults['seed']}" if faults else "calm",
)
def test_all_parts_arrive_in_order_and_are_the_output(reader: str, faults: dict[str, Any]) -> None:
    async def play() -> None:
        place, manager, client = await open_place(**faults)
        source = client if reader == "client" else manager
        parts = [part async for part in source.stream(Task(id=1, type="count", data=500))]
        assert [part.data for part in parts] == list(range(500))
        assert [part.number for part in parts] == list(range(1, 501))
        assert {(part.attempt, part.missed, part.begins_anew) for part in parts} == {(1, 0, False)}
        assert (await client.result(1)).output == list(range(500))
        await place.close()

    run_in_virtual_time(play())


@pytest.mark.parametrize(
    ("task_type", "parts", "output"),
    [
        ("in a thread", ["a", "b"], "2 words"),
        ("joined", ["a", "b"], "a b"),
        ("count", 3, [0, 1, 2]),
        ("no generator", None, "done"),
    ],
)
def test_what_the_output_is(task_type: str, parts: Any, output: Any) -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        seen = await read(client.stream(Task(id=1, type=task_type, data=parts)))
        assert seen == (list(range(parts)) if isinstance(parts, int) else parts or [])
        assert (await client.result(1)).output == output
        await place.close()

    asyncio.run(play())


def test_parts_come_while_the_task_runs_and_a_late_reader_gets_those_before() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        stream = client.stream(Task(id=1, type="slow", data=5))
        assert (await anext(stream)).data == 0
        assert loop.time() - started_at < 2
        await asyncio.sleep(2)
        assert await read(manager.stream(1)) == [0, 1, 2, 3, 4]
        # It has been settled for long.
        assert await read(client.stream(1)) == [0, 1, 2, 3, 4]
        assert await read(stream) == [1, 2, 3, 4]
        await place.close()

    run_in_virtual_time(play())


def test_a_retry_begins_anew_and_says_so() -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        task = Task(id=1, type="second try", max_attempts=2)
        parts = [part async for part in client.stream(task)]
        anew = [part for part in parts if part.begins_anew]
        assert [(part.attempt, part.number) for part in anew] == [(2, 1)]
        assert [part.data for part in parts if part.attempt == 2] == ["once 2", "upon 2"]
        assert await read(client.stream(1)) == ["once 2", "upon 2"]
        await place.close()

    run_in_virtual_time(play())


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (Task(id=1, type="bad", data="lock"), "EncodeError: part 2 can't be sent: part.*lock"),
        (Task(id=1, type="bad", data="long"), "part 2 can't be sent: it has 300,0.*smaller parts"),
        (Task(id=1, type="for ever", timeout=0.35), "timed out|timeout"),
        (Task(id=1, type="no generator", data=1), "context.result is for handlers that are gen"),
    ],
    ids=["no plain form", "too large", "never ends", "no generator"],
)
def test_a_stream_that_goes_wrong_ends_in_the_error_after_its_parts(task: Task, error: str) -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        seen: list[Any] = []
        stream = client.stream(task)
        with pytest.raises(TaskFailed, match=f"(?i){error}"):
            await note(stream, seen)
        if task.type == "for ever":
            assert seen[:3] == [1, 2, 3]
            assert 1 in closed
        await place.close()

    closed.clear()
    run_in_virtual_time(play())


def test_what_cannot_be_streamed_is_refused() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        for source in (client, manager):
            with pytest.raises(UnknownTask, match="99"):
                await read(source.stream(99))
        await client.submit(Task(id=1, type="count", data=1))
        with pytest.raises(DuplicateTask, match="data"):
            await read(client.stream(Task(id=1, type="count", data=2)))
        with pytest.raises(InvalidInput, match="attempt is 'x'"):
            await client._ask("read_parts", task_id=1, attempt="x")
        slow = client.stream(Task(id=2, type="slow", data=100))
        await anext(slow)
        await manager.stop()
        with pytest.raises(RunEnded):
            await read(slow)
        await place.close()

    run_in_virtual_time(play())


def test_a_generator_is_not_advanced_while_the_manager_takes_nothing() -> None:
    made.clear()

    async def play() -> None:
        place, manager, client = await open_place()
        take, manager._shell.parts._take = manager._shell.parts._take, lambda *_: False
        reading = asyncio.ensure_future(read(client.stream(Task(id=1, type="eager", data=1_000))))
        await asyncio.sleep(1)
        assert len(made) == part_sender.WINDOW_PARTS
        manager._shell.parts._take = take
        assert not reading.done()
        reading.cancel()
        await place.close()

    run_in_virtual_time(play())


def test_a_slow_reader_misses_the_oldest_parts_and_is_told_how_many() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        stream = client.stream(Task(id=1, type="count", data=3_000))
        first = await anext(stream)
        await asyncio.sleep(10)
        kept = manager._shell.parts._streams[1].kept
        assert len(kept) == task_parts.KEPT_PARTS
        parts = [first, *[part async for part in stream]]
        missed = sum(part.missed for part in parts)
        assert missed > 0
        assert len(parts) + missed == 3_000
        assert parts[-1].data == 2_999
        for before, after in itertools.pairwise(parts):
            assert after.number == before.number + after.missed + 1
        await place.close()

    run_in_virtual_time(play())


def test_what_is_kept_of_all_tasks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_parts, "ALL_KEPT_BYTES", 500)
    monkeypatch.setattr(task_parts, "KEPT_STREAMS", 10)

    async def play() -> None:
        place, manager, client = await open_place()
        parts = manager._shell.parts
        parts._next_sweep = 10
        for number in range(1, 60):
            await client.submit(Task(id=number, type="count", data=30))
            assert parts.size == sum(each.size for each in parts._streams.values()) <= 500
            assert len(parts._streams) <= 12
        assert await read(client.stream(59)) == list(range(30))
        late = [part async for part in client.stream(20)]
        assert late == []
        await place.close()

    run_in_virtual_time(play())


def test_the_output_of_a_long_stream_lists_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MAX_LISTED_PARTS", 10)

    async def play() -> None:
        place, _manager, client = await open_place()
        assert (await client.submit(Task(type="count", data=10))).output == list(range(10))
        assert (await client.submit(Task(type="count", data=11))).output is None
        await place.close()

    run_in_virtual_time(play())


def test_a_cancelled_thread_stops_at_its_next_part() -> None:
    async def play() -> None:
        place, _manager, client = await open_place()
        stream = client.stream(Task(id=1, type="endless thread"))
        await anext(stream)
        await client.cancel(1)
        with pytest.raises(TaskFailed, match="by a client"):
            await read(stream)
        assert await asyncio.to_thread(ended.wait, 10)
        await place.close()

    asyncio.run(play())


def test_a_reader_that_goes_leaves_nothing_at_the_manager() -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        await manager.batch_assign_tasks([Task(id=1, type="slow", data=20)])
        other = await place.client("Otto")
        reading = [asyncio.ensure_future(read(each.stream(1))) for each in (client, other, manager)]
        await asyncio.sleep(2.5)
        parts = manager._shell.parts
        assert len(parts._streams[1].readers) == 3
        other.vanish()
        reading[2].cancel()
        await asyncio.sleep(12)
        assert len(parts._streams[1].readers) == 1
        assert await reading[0] == list(range(20))
        assert not parts._streams[1].readers
        await place.close()

    run_in_virtual_time(play())


@handlers.task
async def say(words: list[str], times: int = 1) -> AsyncGenerator[str, None]:
    for word in words * times:
        yield word


@pytest.mark.parametrize("reader", ["client", "manager"])
def test_a_typed_generator_is_streamed_with_its_arguments(reader: str) -> None:
    async def play() -> None:
        place, manager, client = await open_place()
        source = client if reader == "client" else manager
        assert await read(source.stream(say, ["a", "b"], times=2)) == ["a", "b", "a", "b"]
        assert (await client.submit(say, ["a"])).output == ["a"]
        with pytest.raises(WrongCall, match="times"):
            source.stream(say, ["a"], times="often")
        await place.close()

    run_in_virtual_time(play())


async def parts_alone(task: Task) -> AsyncGenerator[str, None]:
    yield "alone"


async def parts_by_name(task: Task, *, context: TaskContext) -> AsyncGenerator[str, None]:
    yield f"by name {context.attempt}"


async def parts_by_context(context: TaskContext, task: Task) -> AsyncGenerator[str, None]:
    yield f"by context {task.id}"


def parts_with_a_default(
    task: Task, context: TaskContext | None = None
) -> Generator[str, None, None]:
    yield "none" if context is None else "some"


def parts_of_a_factor(factor: int, task: Task) -> Generator[int, None, None]:
    yield factor


class Parts:
    def __call__(self, task: Task) -> Generator[str, None, None]:
        yield "called"

    async def method(self, task: Task) -> AsyncGenerator[str, None]:
        yield "method"


@pytest.mark.parametrize(
    ("function", "parts"),
    [
        (parts_alone, ["alone"]),
        (parts_by_name, ["by name 1"]),
        (parts_by_context, ["by context 1"]),
        (parts_with_a_default, ["some"]),
        (partial(parts_of_a_factor, 7), [7]),
        (Parts(), ["called"]),
        (Parts().method, ["method"]),
    ],
)
def test_a_generator_may_have_any_form_of_a_handler(function: Any, parts: list[Any]) -> None:
    async def play() -> None:
        own = Handlers()
        own.task("parts")(function)
        place = Place()
        await place.open()
        worker = WorkerAgent("Ada", 5, handlers=own)
        link = place.network.join("Ada", worker.receive)
        place.running.append(asyncio.ensure_future(worker.serve_over(link)))
        client = await place.client()
        assert await read(client.stream(Task(id=1, type="parts"))) == parts
        assert (await client.result(1)).output == parts
        await place.close()

    asyncio.run(play())


def test_a_task_that_is_executed_without_a_manager_has_its_parts_as_output() -> None:
    worker = WorkerAgent("Ada", 5, handlers=handlers)
    result = asyncio.run(worker.execute_task(Task(id=1, type="count", data=200)))
    assert result.output == list(range(200))


def test_a_reviewer_and_a_generator_in_another_process_are_refused() -> None:
    others = Handlers()
    with pytest.raises(InvalidInput, match="a reviewer returns its grade once"):

        @others.review("count")
        def review(task: Task, result: Any) -> Generator[float, None, None]:
            yield 1.0

    @others.task("plain")
    def plain(task: Task) -> Generator[int, None, None]:
        yield 1

    with pytest.raises(InvalidInput, match="'plain' is a plain generator, whose parts"):
        others.refuse_contexts()


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_goes_on_after_the_manager_is_replaced(seed: int) -> None:
    async def play() -> None:
        place = Place(seed=seed, loss=0.1, duplicate=0.1, delay_s=0.3)
        rows = SharedRows()
        await place.open(store=MemoryStore(rows))
        worker = WorkerAgent("Ada", 5, handlers=handlers, slots=4)
        link = place.network.join("Ada", worker.receive)
        place.running.append(asyncio.ensure_future(worker.serve_over(link)))
        client = await place.client()
        reading = asyncio.ensure_future(_all(client.stream(Task(id=1, type="slow", data=30))))
        await asyncio.sleep(8.5)
        place.running[0].cancel()
        place.links["boss 1"].leave()
        await asyncio.sleep(2)
        second = await place.open(store=MemoryStore(rows))
        parts = await reading
        assert {part.attempt for part in parts} == {1}
        numbers = [part.number for part in parts]
        assert numbers == sorted(set(numbers))
        assert numbers[:5] == list(range(1, 6))
        assert numbers[-1] == 30
        assert len(parts) + sum(part.missed for part in parts) == 30
        assert second.board.find(1).result.output == list(range(30))
        await place.close()

    run_in_virtual_time(play())


async def _all(stream: AsyncGenerator[StreamedPart, None]) -> list[StreamedPart]:
    return [part async for part in stream]
