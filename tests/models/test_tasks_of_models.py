"""A language model does tasks: prompts, structured output, tools, limits, costs and parts."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from muster.agents import (
    ModelHandlers,
    ModelLimits,
    TaskContext,
    TaskManager,
    WorkerAgent,
    rehearse,
)
from muster.agents.kernel.model.records import Attempt, AttemptOutcome
from muster.agents.mcp.server import McpServer
from muster.agents.models.tool import Tool
from muster.messages import Payload, Task
from muster.messages.usage import ModelUsage
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer, Rule
from pydantic import BaseModel, Field

from .conftest import PRICE, Ask


class City(BaseModel):
    name: str
    people: int = Field(ge=0)


def attempts(manager: TaskManager, task_id: int = 1) -> list[Attempt]:
    return manager.board.tasks[task_id].attempts


def result(manager: TaskManager, task_id: int = 1) -> Any:
    found = manager.get_task_result(task_id)
    assert found is not None
    return found


def test_the_answer_is_the_output_and_its_tokens_are_told_and_paid(ask: Ask) -> None:
    manager = ask(lambda call: f"you said {call.text}", "two leaves")
    assert result(manager).output == "you said two leaves"
    (attempt,) = attempts(manager)
    assert attempt.usage == ModelUsage("small", 2, 4)
    assert attempt.cost == 10
    assert manager.board.spending.by_model["small"].cost == 10


@pytest.mark.parametrize(
    ("task", "heard"),
    [
        (Task(1, "Say hi", type="prompt"), ["Say hi"]),
        (Task(1, "for people", type="prompt", data="hi"), ["hi"]),
        (Task(1, type="prompt", data={"prompt": "hi", "more": 1}), ["hi"]),
        (Task(1, "Add", type="prompt", data={"x": [1, 2]}), ['Add\n\n{"x": [1, 2]}']),
        (
            Task(
                1,
                type="prompt",
                data={
                    "messages": [
                        {"role": "user", "content": "one"},
                        {"role": "assistant", "content": "1"},
                        {"role": "user", "content": "two"},
                    ]
                },
            ),
            ["one", "1", "two"],
        ),
    ],
    ids=["description", "text", "prompt", "data", "messages"],
)
def test_the_data_of_a_task_are_the_prompt(ask: Ask, task: Task, heard: list[str]) -> None:
    def rule(call: ModelCall) -> str:
        assert call.system == "Be brief."
        assert [each["content"] for each in call.messages[1:]] == heard
        return "good"

    assert result(ask(rule, task, system="Be brief.")).output == "good"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"messages": []}, "messages is []; it must be a list of messages"),
        ({"messages": "hi"}, "messages is 'hi'; it must be a list"),
        ({"messages": [{"role": "boss", "content": "hi"}]}, "message 1 is"),
        ({"messages": [{"role": "user"}]}, "message 1 is"),
        (" ", "the prompt is blank; give the task data, or a description"),
        (None, "the prompt is blank; give the task data, or a description"),
    ],
    ids=repr,
)
def test_data_that_are_no_prompt_fail_for_good_and_cost_nothing(
    ask: Ask, data: Any, told: str
) -> None:
    manager = ask(lambda call: "no", Task(1, type="prompt", data=data, max_attempts=3))
    (attempt,) = attempts(manager)
    assert told in str(result(manager).error_message)
    assert (attempt.cost, attempt.usage) == (0, None)


def test_results_of_earlier_tasks_follow_the_prompt(ask: Ask) -> None:
    def rule(call: ModelCall) -> str:
        return "42" if call.text == "first" else call.text

    second = Task(2, "second", type="prompt", depends_on=[1])
    manager = ask(rule, "first", second)
    assert result(manager, 2).output == 'The results of earlier tasks:\n{"1": "42"}'


# ------------------------------------------------------------------ structured output


@pytest.mark.parametrize(
    ("texts", "output"),
    [
        (['{"name": "Kandy", "people": 5}'], {"name": "Kandy", "people": 5}),
        (['```json\n{"name": "Kandy", "people": 5}\n```'], {"name": "Kandy", "people": 5}),
        (
            ['Sure!\n```json\n{"name": "Kandy", "people": 5}\n```\nAnything else?'],
            {"name": "Kandy", "people": 5},
        ),
        (['It is {"name": "Kandy", "people": 5}.'], {"name": "Kandy", "people": 5}),
        (
            ['<think>{"name"?}</think>\n{"name": "Kandy", "people": 5}'],
            {"name": "Kandy", "people": 5},
        ),
        (
            ['{"name": "Galle"} or {"name": "Kandy"}?', '{"name": "Kandy", "people": 5}'],
            {"name": "Kandy", "people": 5},
        ),
        (["Kandy!", '{"name": "Kandy", "people": 5}'], {"name": "Kandy", "people": 5}),
        (['{"name": "Kandy", "people": -1}', "5"], None),
    ],
    ids=[
        "valid",
        "fenced",
        "fenced in prose",
        "in prose",
        "after thoughts",
        "two",
        "repaired",
        "broken twice",
    ],
)
def test_structured_output_is_checked_with_one_round_of_repair(
    ask: Ask, texts: list[str], output: Any
) -> None:
    asked: list[ModelCall] = []

    def rule(call: ModelCall) -> str:
        asked.append(call)
        return texts[len(asked) - 1]

    manager = ask(rule, Task(1, "Largest?", type="prompt", max_attempts=1), output=City)
    told = result(manager)
    assert told.output == output
    assert len(asked) == len(texts)
    assert asked[0].schema == City.model_json_schema()
    assert "JSON schema" in asked[0].system
    if output is None:
        assert "ModelFailed: its answer is no City: " in told.error_message
        assert "City: City" not in told.error_message
        assert attempts(manager)[0].outcome is AttemptOutcome.FAILED
        # It is no fault of anybody's code.
        assert told.error_traceback is None
    else:
        assert told.output_as(City) == City(name="Kandy", people=5)


# ------------------------------------------------------------------ tools


def weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    return f"{days} days of sun in {city}"


async def population(city: str, context: TaskContext) -> dict[str, Any]:
    return {"city": city, "people": 125_000, "asked by": context.task.id}


def fails(city: str) -> str:
    raise ValueError(f"no {city}")


class Gone:
    """A source of tools that has some at one time, and none at another."""

    def __init__(self) -> None:
        self.times = 0

    async def list_tools(self) -> Sequence[Tool]:
        self.times += 1
        return [Remote()] if self.times == 1 else []


class Remote:
    name = "remote"
    description = "Elsewhere."
    schema: Mapping[str, Any] = {"type": "object", "properties": {}}

    async def call(self, arguments: Mapping[str, Payload], context: TaskContext) -> Payload:
        return ["from", "afar"]


def with_tools(*calls: tuple[str, dict[str, Any]]) -> Rule:
    """A rule that calls tools at once, and then answers with their results."""

    def rule(call: ModelCall) -> ModelReply:
        if not call.tool_results:
            return ModelReply("I look it up. ", calls=calls)
        return ModelReply(" | ".join(call.tool_results))

    return rule


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        ([("weather", {"city": "Galle", "days": 3})], "3 days of sun in Galle"),
        (
            [("population", {"city": "Galle"}), ("weather", {"city": "Ella"})],
            '{"city": "Galle", "people": 125000, "asked by": 1} | 1 days of sun in Ella',
        ),
        ([("fails", {"city": "Galle"})], "error: ValueError: no Galle"),
        ([("weather", {"town": "x"})], "error: WrongCall: weather() has no parameter 'town'"),
        ([("missing", {})], "error: there is no tool 'missing'; there are: weather, population"),
        ([("remote", {})], '["from", "afar"]'),
    ],
    ids=lambda each: each[0][0] if isinstance(each, list) else "",
)
def test_tools_are_called_and_their_faults_are_told_to_the_model(
    ask: Ask, calls: list[Any], told: str
) -> None:
    manager = ask(with_tools(*calls), "go", tools=[weather, population, fails, Gone()])
    assert told in result(manager).output
    assert attempts(manager)[0].usage == ModelUsage("small", *tokens_of(manager))


def tokens_of(manager: TaskManager) -> tuple[int, int]:
    used = manager.board.spending.by_model["small"]
    assert used.tokens_in > 0
    return used.tokens_in, used.tokens_out


def test_an_mcp_server_gives_its_tools_under_names_that_models_take(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = McpServer(sys.executable, prefix="clock.")
    schema = {"type": "object", "properties": {"zone": {"type": "string"}}}
    tool = server._read_tool({"name": "get/time", "description": "Now.", "inputSchema": schema})
    server.tools = {"get/time": tool}

    async def call(name: str, arguments: Mapping[str, Any], *_: object, **__: object) -> str:
        return f"{name} {arguments['zone']}"

    monkeypatch.setattr(server, "call", call)
    manager = ask(with_tools(("clock_get_time", {"zone": "UTC"})), "go", tools=[server])
    assert result(manager).output == "get/time UTC"


def test_a_tool_that_is_gone_is_told_to_the_model(ask: Ask) -> None:
    manager = ask(with_tools(("remote", {})), "one", "two", tools=[Gone()])
    assert result(manager, 1).output == '["from", "afar"]'
    assert result(manager, 2).output == "error: there is no tool 'remote'; there are: none"


def test_what_a_tool_returns_is_bounded(ask: Ask) -> None:
    def flood() -> str:
        return "x" * 500_000

    manager = ask(with_tools(("flood", {})), "go", tools=[flood])
    assert len(result(manager).output) < 101_000
    assert "more characters were cut off" in result(manager).output


@pytest.mark.parametrize(
    ("first", "second", "payments"),
    [
        ([["a", "b"]], [["a", "b"]], {"a": 1, "b": 1}),
        ([["a", "b"]], [["b"], ["a"]], {"a": 1, "b": 1}),
        ([["a"]], [["c"], ["a"]], {"a": 1, "c": 1}),
        ([["a"], ["a"]], [["a", "a"]], {"a": 2}),
        ([["a"]], [["a"], ["a"]], {"a": 2}),
    ],
)
def test_tool_calls_that_are_tasks_are_not_done_again_by_another_attempt(
    ask: Ask, first: list[list[str]], second: list[list[str]], payments: dict[str, int]
) -> None:
    paid: Counter[str] = Counter()
    cashier = WorkerAgent("Cashier", 5, slots=4)

    @cashier.task("pay")
    async def pay(task: Task) -> str:
        paid[str(task.data)] += 1
        return f"paid {task.data}"

    async def pay_by_task(to: str, context: TaskContext) -> Payload:
        # The calls of a turn run at once, so which is the first to submit is a matter of chance.
        await asyncio.sleep(0.02 if to == "a" else 0.0)
        return await context.submit("pay", to)

    def calls(turn: list[str]) -> ModelReply:
        return ModelReply(calls=[("pay_by_task", {"to": each}) for each in turn])

    cut_off = ModelReply("So", finish="length")
    replies = iter([*map(calls, first), cut_off, *map(calls, second), ModelReply("Done.")])
    task = Task("order", type="prompt", data="Pay.", max_attempts=2)
    manager = ask(lambda _: next(replies), task, tools=[pay_by_task], workers=[cashier])
    assert paid == payments
    assert manager.get_task_result("order").success  # type: ignore[union-attr]


def test_what_a_tool_waits_for_another_task_does_not_count_for_the_time_of_the_model(
    ask: Ask,
) -> None:
    other = WorkerAgent("Other", 5)

    @other.task("think")
    async def think(task: Task) -> str:
        await asyncio.sleep(3.5)
        return "thought"

    async def have_thought(context: TaskContext) -> Payload:
        """Have another worker think."""
        return await context.submit("think")

    manager = ask(
        with_tools(("have_thought", {})),
        "go",
        tools=[have_thought],
        workers=[other],
        limits=ModelLimits(max_s=3.0),
    )
    assert result(manager).output == "thought"


# ------------------------------------------------------------------ limits


def endless(call: ModelCall) -> ModelReply:
    return ModelReply("once more", calls=[("weather", {"city": "x"})], tokens_in=10, tokens_out=10)


async def slow_tool() -> str:
    await asyncio.sleep(60)
    return "late"


@pytest.mark.parametrize(
    ("limits", "told", "most"),
    [
        (ModelLimits(max_turns=3), "it was not done after 3 turns", 90),
        (ModelLimits(max_tokens=100), "it needs more than 100 tokens", 150),
        (ModelLimits(max_cost=100), "it costs more than 100", 130),
    ],
    ids=["turns", "tokens", "cost"],
)
def test_a_loop_of_tools_ends_at_each_limit(
    ask: Ask, limits: ModelLimits, told: str, most: float
) -> None:
    task = Task(1, "Go", type="prompt", max_attempts=1)
    manager = ask(endless, task, tools=[weather], limits=limits)
    assert told in result(manager).error_message
    (attempt,) = attempts(manager)
    assert attempt.outcome is AttemptOutcome.FAILED
    assert 0 < attempt.cost <= most


def test_a_loop_of_tools_ends_at_its_time(ask: Ask) -> None:
    def rule(call: ModelCall) -> ModelReply | str:
        return "done" if call.tool_results else ModelReply("", calls=[("slow_tool", {})])

    task = Task(1, "Go", type="prompt", max_attempts=1)
    manager = ask(rule, task, tools=[slow_tool], limits=ModelLimits(max_s=3.0))
    assert "was not done within 3 s" in result(manager).error_message
    assert attempts(manager)[0].cost > 0


def test_an_answer_is_broken_off_as_soon_as_it_passes_a_limit(ask: Ask) -> None:
    task = Task(1, "Go", type="prompt", max_attempts=1)
    limits = ModelLimits(max_tokens=1_000)
    manager = ask(lambda call: "word " * 50_000, task, limits=limits)
    assert "it needs more than 1,000 tokens" in result(manager).error_message
    used = attempts(manager)[0].usage
    assert used is not None
    assert used.tokens_out <= 1_001


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (ModelReply("", finish="content_filter"), "it refused: the server filters"),
        (ModelReply("Once", finish="length"), "was cut off at the server's maximum"),
        (ModelReply(""), "it answered nothing"),
        (ModelReply("bad schema", status=400), "answered 400: bad schema"),
    ],
    ids=["filter", "length", "nothing", "400"],
)
def test_refusals_and_broken_answers_are_failures_that_count(
    ask: Ask, reply: ModelReply, told: str
) -> None:
    manager = ask(lambda call: reply, Task(1, "Go", type="prompt", max_attempts=1))
    assert told in result(manager).error_message
    assert attempts(manager)[0].outcome is AttemptOutcome.FAILED


# ------------------------------------------------------------------ parts, many at once, cancel


def test_the_text_is_streamed_in_parts_that_come_to_the_output() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def rule(call: ModelCall) -> ModelReply:
            async def write(writer: asyncio.StreamWriter) -> None:
                from muster.scenarios.model_server import stream_event, stream_head

                writer.write(stream_head() + stream_event("two "))
                await writer.drain()
                await gate.wait()
                writer.write(stream_event("leaves") + b"data: [DONE]\n\n")
                end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
                writer.write(end)

            return ModelReply(write=write)

        async with ModelServer(rule) as server:
            handlers = ModelHandlers("small", server.url)
            stream = handlers._perform(
                Task(1, "Go", type="prompt"), context_of(Task(1, "Go", type="prompt"))
            )
            assert isinstance(stream, AsyncGenerator)
            first = await asyncio.wait_for(anext(stream), 30)
            await stream.aclose()
            assert first == "two "

    asyncio.run(main())


def context_of(task: Task) -> TaskContext:
    from muster.messages import TaskAssignment

    context = TaskContext(TaskAssignment(task=task), lambda *_: None, asyncio.get_running_loop())
    context.open_stream()
    return context


def test_fifty_calls_at_once_share_one_pool_of_connections(ask: Ask) -> None:
    here = {"now": 0, "most": 0}
    gate = asyncio.Event()

    async def rule(call: ModelCall) -> str:
        here["now"] += 1
        here["most"] = max(here["most"], here["now"])
        if here["now"] == 50:
            gate.set()
        await asyncio.wait_for(gate.wait(), 60)
        here["now"] -= 1
        return f"answer to {call.text}"

    connections: list[int] = []
    manager = ask(
        rule,
        *(f"question {n}" for n in range(60)),
        slots=50,
        then=lambda server: connections.append(server.connection_count),
    )
    assert here["most"] >= 50
    assert [result(manager, n).output for n in (1, 60)] == [
        "answer to question 0",
        "answer to question 59",
    ]
    assert connections[0] <= 52


def test_a_cancellation_closes_the_request() -> None:
    async def main() -> None:
        began, closed = asyncio.Event(), asyncio.Event()

        async def write(writer: asyncio.StreamWriter) -> None:
            from muster.scenarios.model_server import stream_event, stream_head

            writer.write(stream_head() + stream_event("two "))
            began.set()
            try:
                while True:
                    writer.write(stream_event("more "))
                    await writer.drain()
                    await asyncio.sleep(0.01)
            except OSError:
                closed.set()

        def rule(call: ModelCall) -> ModelReply:
            return ModelReply("done") if call.text == "next" else ModelReply(write=write)

        async with ModelServer(rule) as server:
            handlers = ModelHandlers("small", server.url, price=PRICE)
            # The next one begins when the cancelled one has reported its end.
            tasks = [Task(1, "Go", type="prompt"), Task(2, "next", type="prompt")]
            manager = TaskManager(tasks, 1, quiet=True, policy="in_order")
            run = asyncio.ensure_future(
                rehearse(manager, [WorkerAgent("Model", 5, handlers=handlers)])
            )
            await asyncio.wait_for(began.wait(), 60)
            await asyncio.sleep(0.2)
            manager.cancel_task(1)
            await asyncio.wait_for(closed.wait(), 60)
            await asyncio.wait_for(run, 60)
            assert result(manager, 2).output == "done"
            (attempt,) = attempts(manager)
            assert attempt.outcome is AttemptOutcome.CANCELLED
            assert attempt.usage is not None
            assert attempt.cost > 0

    asyncio.run(main())
