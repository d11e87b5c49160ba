"""Whatever a model server does, each task ends in a result, and only the model's own faults count.

The rules write to real connections, as servers do that are overloaded, broken or hostile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import NamedTuple

import pytest
from muster.agents import ModelLimits, TaskManager, WorkerAgent
from muster.agents.kernel.model.records import Attempt, AttemptOutcome
from muster.messages import Task, TaskResult
from muster.scenarios.model_server import (
    ModelCall,
    ModelReply,
    Rule,
    stream_event,
    stream_head,
)
from pydantic import BaseModel

from .conftest import Ask


class Place(BaseModel):
    town: str


Write = Callable[[asyncio.StreamWriter], Awaitable[None]]

POSTPONED, DECLINED, FAILED = (
    AttemptOutcome.POSTPONED,
    AttemptOutcome.DECLINED,
    AttemptOutcome.FAILED,
)


def writes(*parts: bytes, every_s: float = 0.0, then_s: float = 0.0) -> ModelReply:
    """A reply that writes parts to the connection, and then closes it."""

    async def write(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every_s)
        await asyncio.sleep(then_s)

    return ModelReply(write=write)


def body(content: bytes, kind: str = "application/json", more: str = "") -> ModelReply:
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{more}content-length: {len(content)}\r\n\r\n"
    )
    return writes(head.encode() + content)


def error(status: int, code: str, message: str = "no") -> ModelReply:
    content = json.dumps({"error": {"message": message, "code": code}}).encode()
    head = f"HTTP/1.1 {status} Fault\r\nconnection: close\r\ncontent-type: text/json\r\n"
    return writes(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)


class Fault(NamedTuple):
    """What a server does, and what becomes of the attempt."""

    reply: ModelReply
    outcome: AttemptOutcome
    told: str
    is_paid: bool = False


FAULTS = {
    "429": Fault(ModelReply("slow down", status=429), POSTPONED, "answered 429: slow down"),
    "500": Fault(ModelReply("oops", status=500), POSTPONED, "answered 500: oops"),
    "503": Fault(ModelReply("overloaded", status=503), POSTPONED, "answered 503: overloaded"),
    "408": Fault(ModelReply("late", status=408), POSTPONED, "answered 408: late"),
    "hangs": Fault(ModelReply("late", delay_s=120), POSTPONED, "not done within 3 s"),
    "hangs in the midst": Fault(
        writes(stream_head(), stream_event("two "), then_s=120), POSTPONED, "not done within", True
    ),
    "drips": Fault(
        writes(stream_head(), *[b":"] * 1_000, every_s=0.02), POSTPONED, "not done within", True
    ),
    "closes at once": Fault(writes(), POSTPONED, "can't be reached"),
    "cuts off the head": Fault(writes(b"HTTP/1.1 200 OK\r\ncont"), POSTPONED, "can't be reached"),
    "is no HTTP": Fault(writes(b"SSH-2.0-OpenSSH\r\n"), POSTPONED, "can't be reached"),
    "cuts off a stream": Fault(
        writes(stream_head(), stream_event("two ")), POSTPONED, "broke off its answer", True
    ),
    "cuts off an event": Fault(
        writes(stream_head(), stream_event("two ")[:20]), POSTPONED, "broke off its answer", True
    ),
    "cuts off a chunk": Fault(
        writes(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\nff\r\ndata: "
        ),
        POSTPONED,
        "can't be reached",
        True,
    ),
    "cuts off a body": Fault(
        writes(
            b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"'
        ),
        POSTPONED,
        "can't be reached",
        True,
    ),
    "an error in a stream": Fault(
        writes(stream_head(), stream_event("a"), b'data: {"error": {"message": "died"}}\n\n'),
        POSTPONED,
        "broke off its answer: died",
        True,
    ),
    "invalid JSON": Fault(
        writes(stream_head(), b"data: {no json\n\n"), POSTPONED, "no answer that can be read", True
    ),
    "another shape": Fault(
        writes(stream_head(), b'data: {"choices": 7}\n\n'), POSTPONED, "that can be read", True
    ),
    "a number": Fault(writes(stream_head(), b"data: 7\n\n"), POSTPONED, "can be read", True),
    "no object": Fault(body(b"[1, 2]"), POSTPONED, "no answer that can be read", True),
    "HTML": Fault(body(b"<html>hi", "text/html"), POSTPONED, "no answer that can be read", True),
    "compressed": Fault(
        body(zlib.compress(b" " * 9_000_000), more="content-encoding: deflate\r\n"),
        POSTPONED,
        "compressed with 'deflate', which nobody asked for",
    ),
    "a huge body": Fault(body(b" " * 9_000_000), FAILED, "sent more than 4,194,304 bytes", True),
    "redirects": Fault(
        writes(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
        FAILED,
        "answered 302",
    ),
    "401": Fault(ModelReply("bad key", status=401), DECLINED, "refuses this worker, 401: bad key"),
    "403": Fault(ModelReply("not you", status=403), DECLINED, "refuses this worker, 403"),
    "404": Fault(ModelReply("no model", status=404), DECLINED, "refuses this worker, 404"),
    "no quota": Fault(error(429, "insufficient_quota"), DECLINED, "refuses this worker, 429: no"),
    "too long": Fault(error(400, "context_length_exceeded"), DECLINED, "the prompt is too long"),
    "400": Fault(error(400, "invalid"), FAILED, "answered 400: no"),
    "64 calls": Fault(
        writes(
            stream_head(),
            *(
                b'data: {"choices": [{"delta": {"tool_calls": [{"index": %d, "id": "x"}]}}]}\n\n'
                % n
                for n in range(99)
            ),
        ),
        POSTPONED,
        "it calls more than 64 tools at once",
        True,
    ),
}


def first(manager: TaskManager) -> tuple[Attempt, TaskResult]:
    result = manager.get_task_result(1)
    assert result is not None
    return manager.board.tasks[1].attempts[0], result


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_server_ends_in_a_result(ask: Ask, name: str) -> None:
    fault = FAULTS[name]
    task = Task(1, "Go", type="prompt", max_attempts=1)
    # Only what hangs is to end by the clock; the others may take long on a busy machine.
    max_s = 3.0 if "not done within" in fault.told else 60.0
    manager = ask(lambda call: fault.reply, task, limits=ModelLimits(max_s=max_s))
    attempt, result = first(manager)
    assert fault.told in str(result.error_message)
    assert attempt.outcome is fault.outcome
    assert (attempt.cost > 0) is fault.is_paid
    worker = manager.board.workers["Model"]
    assert worker.failures_in_a_row == (fault.outcome is FAILED)
    assert "\n" not in str(result.error_message)


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        ("0.25", 0.25, 0.25),
        ("7", 7, 7),
        ("1e9", 3_600, 3_600),
        (1_000.0, 900, 1_000),
        (-1_000.0, 0, 0),
        ("nan", 1, 1),
        ("soon", 1, 1),
        ("-5", 0, 0),
    ],
    ids=["part", "seconds", "too long", "date", "past date", "nan", "words", "negative"],
)
def test_retry_after_is_followed_within_bounds(
    ask: Ask, header: str | float, least_s: float, most_s: float
) -> None:
    if isinstance(header, float):
        header = formatdate(time.time() + header, usegmt=True)
    reply = ModelReply("slow down", status=429, headers={"Retry-After": header})
    manager = ask(lambda call: reply, Task(1, "Go", type="prompt", max_attempts=1))
    _, result = first(manager)
    assert result.retry_after_s is not None
    assert least_s <= result.retry_after_s <= most_s


def test_a_task_is_tried_again_after_a_fault_and_its_worker_is_not_blamed(ask: Ask) -> None:
    replies = [
        ModelReply("slow down", status=429, headers={"Retry-After": "0.1"}),
        ModelReply("fine"),
    ]
    task = Task(1, "Go", type="prompt", max_attempts=2)
    manager = ask(lambda call: replies.pop(0), task)
    attempt, result = first(manager)
    assert (attempt.outcome, result.output, result.attempt) == (POSTPONED, "fine", 2)


def test_another_worker_gets_what_a_server_refuses(ask: Ask) -> None:
    other = WorkerAgent("Zoe", 5)
    other.task("prompt")(lambda task: "by hand")
    manager = ask(lambda call: ModelReply("bad key", status=401), "go", workers=[other])
    _, result = first(manager)
    assert result.output == "by hand"


@pytest.mark.parametrize("is_one_line", [True, False], ids=["one line", "many events"])
def test_a_server_that_sends_100_mb_is_left_with_little_memory(ask: Ask, is_one_line: bool) -> None:
    piece = b"x" * 65_536 if is_one_line else b": " + b"x" * 65_532 + b"\n\n"
    sent = 0

    async def write(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(stream_head() + b"data: " * is_one_line)
        with contextlib.suppress(OSError):
            for _ in range(100 * 16):
                writer.write(piece)
                await writer.drain()
                sent += len(piece)

    tracemalloc.start()
    try:
        task = Task(1, "Go", type="prompt", max_attempts=1)
        manager = ask(lambda call: ModelReply(write=write), task)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    attempt, result = first(manager)
    assert "bytes" in str(result.error_message)
    assert attempt.outcome is FAILED
    assert sent < 50_000_000
    assert peak < 50_000_000


def plain(call: ModelCall) -> ModelReply:
    content = {
        "choices": [
            {"message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    return body(json.dumps(content).encode())


def old(call: ModelCall) -> ModelReply:
    """A server that tells no tokens."""
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    return writes(stream_head() + stream_event("whole") + end)


@pytest.mark.parametrize("rule", [plain, old])
def test_servers_that_do_not_stream_or_count_can_be_used(ask: Ask, rule: Rule) -> None:
    manager = ask(rule, "go")
    attempt, result = first(manager)
    assert result.output == "whole"
    assert attempt.cost > 0


def test_a_server_that_does_not_know_an_option_is_asked_without_it(ask: Ask) -> None:
    asked: list[ModelCall] = []

    def rule(call: ModelCall) -> ModelReply:
        asked.append(call)
        if len(asked) == 1:
            return error(400, "unknown", "unknown field stream_options")
        return ModelReply("fine")

    manager = ask(rule, "one", "two")
    assert [first(manager)[1].error_message, len(asked)] == [None, 3]


def test_a_server_that_does_not_know_schemas_is_asked_without(ask: Ask) -> None:
    asked: list[ModelCall] = []

    def rule(call: ModelCall) -> ModelReply:
        asked.append(call)
        if call.schema is not None:
            return error(400, "invalid", "This response_format type is unavailable now")
        return ModelReply('{"town": "Kandy"}')

    manager = ask(rule, "one", "two", output=Place)
    assert first(manager)[1].output == {"town": "Kandy"}
    assert len(asked) == 3
    assert "JSON schema" in asked[1].system


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"error": {"message": "the provider is gone", "code": 502}}, ": the provider is gone"),
        ({"answer": 1}, ": answer.choices: {'answer': 1}: Field required"),
    ],
    ids=["an error", "no answer"],
)
def test_what_is_no_answer_is_told_in_one_line(ask: Ask, content: object, told: str) -> None:
    task = Task(1, "Go", type="prompt", max_attempts=1)
    message = first(ask(lambda call: body(json.dumps(content).encode()), task))[1].error_message
    assert "sent no answer that can be read" in str(message)
    assert f"{told};" in f"{message};"


def test_no_key_is_in_any_text(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_MODEL_KEY", "sk-secret-of-the-house")
    # The server quotes the key, as many do.
    manager = ask(lambda call: "no", "go", keys=["another"])
    _, result = first(manager)
    told = str(result.error_message)
    assert "Incorrect API key provided: [key]" in told
    assert "secret-of-the-house" not in repr(manager.board.tasks[1].story) + told
    assert "secret-of-the-house" not in manager.report().model_dump_json()
