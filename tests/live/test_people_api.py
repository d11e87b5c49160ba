"""Questions are listed and answered by the HTTP API, and parts are streamed as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from muster.agents import TaskContext
from muster.agents.live import part_stream
from muster.messages import Task

Make = Callable[..., Any]


async def employ(here: Any) -> None:
    worker = await here.employ("Ada", 8, slots=2)

    @worker.task("publish")
    async def publish(task: Task, context: TaskContext) -> str:
        return await context.ask("Publish?", ["yes", "no"], expires_s=3_600)

    @worker.task("count")
    async def count(task: Task, context: TaskContext) -> AsyncGenerator[Any, None]:
        for number in range(task.data):
            yield {"number": number}
        if context.attempt == 1:
            raise ValueError("again")


async def test_a_question_is_listed_and_answered_once(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as api:
        await employ(here)
        result = here.manager.submit_nowait(Task(id=1, type="publish"))
        while not (found := (await api.get("/api/questions")).json()):
            await asyncio.sleep(0.01)
        assert [(each["task_id"], each["question"], each["text"]) for each in found] == [
            (1, 1, "Publish?")
        ]
        assert found[0]["choices"] == ["yes", "no"]
        assert found[0]["expires_at"] == pytest.approx(found[0]["asked_at"] + 3_600)
        place = "/api/tasks/1/answer"
        cases = [
            ({"answer": "maybe"}, 422, "none of the choices: 'yes', 'no'"),
            ({"answer": ""}, 422, "answer"),
            ({}, 422, "answer"),
            ({"answer": "yes", "question": 2}, 409, "has not asked a question 2"),
        ]
        for body, status, words in cases:
            refused = await api.post(place, json=body)
            assert (refused.status_code, words in refused.json()["error"]) == (status, True)
        assert (await api.post(place, content="answer=yes")).status_code == 415
        unknown = await api.post("/api/tasks/9/answer", json={"answer": "yes"})
        assert unknown.status_code == 404
        elsewhere = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        forged = await api.post(place, json={"answer": "yes"}, headers=elsewhere)
        assert forged.status_code == 403
        assert (await api.post(place, json={"answer": "yes", "by": "Cleo"})).status_code == 204
        assert (await asyncio.wrap_future(result)).output == "yes"
        late = await api.post(place, json={"answer": "no"})
        assert (late.status_code, "asks nothing any more" in late.json()["error"]) == (409, True)
        story = (await api.get("/api/tasks/1/story")).json()["story"]
        told = [(each["what"], each["detail"]) for each in story]
        assert ("question_answered", "'yes' by Cleo") in told


async def test_parts_are_streamed_as_events(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as api:
        await employ(here)
        await here.manager.submit(Task(id=1, type="count", data=3, max_attempts=2))
        answer = await api.get("/api/tasks/1/parts")
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [each.split("\n") for each in answer.text.strip().split("\n\n")]
        assert [name for name, _ in events] == [*["event: part"] * 3, "event: end"]
        parts = [json.loads(data.removeprefix("data: ")) for _, data in events]
        assert parts[0] == {"attempt": 2, "number": 1, "data": {"number": 0}}
        assert parts[-1] == {"error": None}
        failed = await here.manager.submit(Task(id=2, type="count", data=1))
        assert not failed.success
        last = (await api.get("/api/tasks/2/parts")).text
        assert "ValueError: again" in last
        assert (await api.get("/api/tasks/9/parts")).status_code == 404


async def test_too_many_streams_are_refused(
    house: Make, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_stream, "MAX_STREAMS", 0)
    async with house() as here, client(here.manager) as api:
        here.manager.add_task(Task(id=1, type="count", data=3))
        assert (await api.get("/api/tasks/1/parts")).status_code == 503
