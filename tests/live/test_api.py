"""The HTTP API: what it does, and what it says of what it can't do."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import MemoryStore
from muster.agents.live.api_orders import MAX_TASKS_PER_CALL
from muster.agents.live.guard import MAX_BODY_BYTES, Admission
from muster.agents.store.sqlite import SqliteStore
from muster.messages import StoreLost, StoreUnusable

Make = Callable[..., Any]
JSON = {"Content-Type": "application/json"}


async def until(happens: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not happens():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), 60)


async def test_a_task_is_submitted_done_and_found_with_its_output(
    house: Make, client: Make
) -> None:
    async with house() as here, client(here.manager) as web:
        worker = await here.employ("Ada")
        worker.task("double")(lambda task: 2 * task.data)
        added = await web.post(
            "/api/tasks", json={"id": 7, "description": "x", "type": "double", "data": 21}
        )
        assert (added.status_code, added.json()) == (201, {"added": [7], "known": []})
        await until(lambda: here.manager.get_task_status(7) == "Completed")
        told = (await web.get("/api/tasks/7")).json()
        assert (told["status"], told["output"], told["worker"]) == ("completed", 42, "Ada")
        story = (await web.get("/api/tasks/7/story")).json()
        assert [line["what"] for line in story["story"]] == [
            "task_added",
            "task_assigned",
            "task_completed",
        ]
        assert story["why"][0] == "task 7 is completed: attempt 1 at Ada"


async def test_many_are_submitted_all_or_none(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        good = [{"id": number, "description": "x"} for number in (1, 2)]
        added = await web.post("/api/tasks", json=good)
        assert added.json() == {"added": [1, 2], "known": []}
        other = [{"id": 3, "description": "x"}, {"id": 1, "description": "y", "type": "z"}]
        refused = await web.post("/api/tasks", json=other)
        assert refused.status_code == 409
        told = refused.json()["error"]
        assert "a different task with the id 1 already exists" in told
        assert "description is 'x' there and 'y' now; type is '' there and 'z' now" in told
        assert list(here.manager.get_all_task_status()) == [1, 2]


@pytest.mark.parametrize(
    ("bodies", "answers"),
    [
        ([{"id": 1}, {"id": 1}], [(201, [1], []), (200, [], [1])]),
        ([[{"id": 1}, {"id": 1}]], [(201, [1], [])]),
        ([{"id": 1}, [{"id": 2}, {"id": 1}]], [(201, [1], []), (201, [2], [1])]),
        ([{"id": "1"}, [{"id": 1}]], [(201, ["1"], []), (201, [1], [])]),
    ],
)
async def test_the_same_task_is_added_once(
    house: Make, client: Make, bodies: list[Any], answers: list[Any]
) -> None:
    async with house() as here, client(here.manager) as web:
        got = [await web.post("/api/tasks", json=body) for body in bodies]
        assert [
            (each.status_code, each.json()["added"], each.json()["known"]) for each in got
        ] == answers


async def test_a_task_without_id_and_description_gets_both(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        for _ in range(2):
            answer = await web.post("/api/tasks", json={"type": "double", "data": 4})
            assert answer.status_code == 201
            (task_id,) = answer.json()["added"]
            told = (await web.get(f"/api/tasks/{task_id}")).json()
            assert (told["id"], told["description"]) == (task_id, "double")
        assert len(here.manager.get_all_task_status()) == 2


async def test_the_integer_and_the_text_are_two_tasks(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        both = [{"id": 7, "description": "number"}, {"id": "7", "description": "text"}]
        await web.post("/api/tasks", json=both)
        assert (await web.get("/api/tasks/7")).json()["description"] == "number"
        assert (await web.get("/api/tasks/%227%22")).json()["description"] == "text"
        await web.post("/api/tasks/%227%22/cancel", json={})
        assert here.manager.get_all_task_status() == {7: "Pending", "7": "Cancelled"}


async def test_an_id_of_any_characters_is_found_in_its_quotes(house: Make, client: Make) -> None:
    from urllib.parse import quote

    async with house() as here, client(here.manager) as web:
        for task_id in ("a/b", "a/story", "x/cancel", "..", "?#%", "é"):
            await web.post("/api/tasks", json={"id": task_id, "description": "x"})
            path = f"/api/tasks/{quote(json.dumps(task_id), safe='')}"
            assert (await web.get(path)).json()["id"] == task_id
            assert (await web.get(f"{path}/story")).json()["task"]["id"] == task_id
            assert (await web.put(f"{path}/priority", json={"priority": 4})).status_code == 204
            assert (await web.post(f"{path}/cancel", json={"reason": "no"})).status_code == 204
            assert (await web.get(path)).json()["error"] == "cancelled: no"


BREACHES = [
    ({"id": 1, "description": " "}, "description"),
    ({"id": 1, "description": "x", "difficulty": 11}, "difficulty"),
    ({"id": 0, "description": "x"}, "id"),
    ({"id": 1.5, "description": "x"}, "id"),
    ({"id": 1, "description": "x", "surprise": 1}, "surprise"),
    ([{"id": 1, "description": "x"}, {"id": 2, "description": " "}], "1.description"),
    ([], "body"),
    ("text", "body"),
    (None, "body"),
]


async def test_a_body_that_breaks_a_rule_is_told_by_its_field(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        for body, field in BREACHES:
            answer = await web.post("/api/tasks", content=json.dumps(body), headers=JSON)
            assert answer.status_code == 422, body
            assert field in [fault["field"] for fault in answer.json()["faults"]], body
        assert here.manager.get_all_task_status() == {}


NO_JSON = {
    "empty": b"",
    "cut off": b"{",
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "long number": b'{"id": ' + b"9" * 5000 + b"}",
}


async def test_what_is_no_json_is_told_so(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        for name, content in NO_JSON.items():
            answer = await web.post("/api/tasks", content=content, headers=JSON)
            assert answer.status_code == 422, name
            assert answer.json()["error"], name


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("NaN", "line 2, column 9: NaN is not a JSON number"),
        ("-Infinity", "line 2, column 9: -Infinity is not a JSON number"),
        ("1e400", "line 2, column 9: the number 1e400 is too large"),
        ('{"a": 1, "a": 2}', "line 2, column 18: an object has the name 'a' twice"),
    ],
)
async def test_json_that_files_may_not_have_is_refused_with_its_place(
    house: Make, client: Make, data: str, reason: str
) -> None:
    content = f'{{"id": 1,\n"data": {data}}}'
    async with house() as here, client(here.manager) as web:
        for method, path in (
            ("POST", "/api/tasks"),
            ("PUT", "/api/tasks/1/priority"),
            ("POST", "/api/tasks/1/cancel"),
            ("POST", "/api/retry"),
        ):
            answer = await web.request(method, path, content=content, headers=JSON)
            assert answer.status_code == 422, path
            assert answer.json() == {"error": f"the body is not JSON: {reason}"}, path
        assert here.manager.get_all_task_status() == {}


async def test_what_msgpack_cannot_carry_is_refused(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        for data in (2**70, "\ud800"):
            body = json.dumps({"id": 1, "description": "x", "data": data})
            answer = await web.post("/api/tasks", content=body, headers=JSON)
            assert answer.status_code == 422
        assert here.manager.get_all_task_status() == {}


async def test_too_many_tasks_and_too_large_bodies_are_refused(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        many = [{"id": number, "description": "x"} for number in range(1, MAX_TASKS_PER_CALL + 2)]
        answer = await web.post("/api/tasks", json=many)
        assert answer.status_code == 422
        assert "at most 1000 items" in answer.json()["error"]
        large = {"id": 1, "description": "x", "data": "y" * MAX_BODY_BYTES}
        assert (await web.post("/api/tasks", json=large)).status_code == 413
        assert here.manager.get_all_task_status() == {}


async def test_dependencies_that_nobody_added_or_that_go_in_a_circle_are_refused(
    house: Make, client: Make
) -> None:
    async with house() as here, client(here.manager) as web:
        orphan = {"id": 1, "description": "x", "depends_on": [2]}
        assert (await web.post("/api/tasks", json=orphan)).status_code == 422
        circle = [orphan, {"id": 2, "description": "x", "depends_on": [1]}]
        assert (await web.post("/api/tasks", json=circle)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/tasks/nobody", None),
        ("GET", "/api/tasks/nobody/story", None),
        ("GET", '/api/tasks/"unclosed', None),
        ("POST", "/api/tasks/8/cancel", {}),
        ("PUT", "/api/tasks/8/priority", {"priority": 1}),
        ("GET", "/api/nothing", None),
    ],
)
async def test_what_is_not_there_is_not_found(
    house: Make, client: Make, method: str, path: str, body: Any
) -> None:
    async with house() as here, client(here.manager) as web:
        answer = await web.request(method, path, json=body)
        assert answer.status_code == 404
        assert answer.json()["error"]


async def test_what_is_settled_cannot_be_cancelled_or_hurried(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        await web.post("/api/tasks", json={"id": 1, "description": "x"})
        assert (await web.post("/api/tasks/1/cancel", json={})).status_code == 204
        again = await web.post("/api/tasks/1/cancel", json={})
        assert again.status_code == 409
        assert "task 1 is cancelled" in again.json()["error"]
        late = await web.put("/api/tasks/1/priority", json={"priority": 1})
        assert late.status_code == 409


async def test_failed_tasks_are_tried_again_with_what_depends_on_them(
    house: Make, client: Make
) -> None:
    async with house() as here, client(here.manager) as web:
        worker = await here.employ("Ada")
        is_dry: list[bool] = []

        @worker.task("roll")
        def roll(task: Any) -> str:
            if not is_dry:
                raise ValueError("too wet")
            return "rolled"

        tasks = [
            {"id": 1, "description": "x", "type": "roll"},
            {"id": 2, "description": "x", "type": "roll", "depends_on": [1]},
            {"id": 3, "description": "x", "type": "roll"},
        ]
        await web.post("/api/tasks", json=tasks)
        await until(lambda: here.manager.get_task_status(3) == "Failed")
        await until(lambda: here.manager.get_task_status(2) == "Cancelled")
        is_dry.append(True)
        told = await web.post("/api/tasks/1/retry", json={"reason": "it dried"})
        assert (told.status_code, told.json()) == (200, {"retried": [1, 2]})
        await until(lambda: here.manager.get_task_status(2) == "Completed")
        lines = (await web.get("/api/tasks/1/story")).json()["story"]
        assert [each["detail"] for each in lines if each["what"] == "task_retried"] == ["it dried"]
        assert (await web.post("/api/retry", json={})).json() == {"retried": [3]}
        await until(lambda: here.manager.get_task_status(3) == "Completed")
        refused = await web.post("/api/retry", json={"tasks": [3]})
        assert refused.status_code == 409
        assert "only a failed or cancelled task can be tried again" in refused.json()["error"]
        assert (await web.post("/api/tasks/9/retry", json={})).status_code == 404


async def test_after_the_end_nothing_can_be_added_and_all_can_be_read(
    house: Make, client: Make
) -> None:
    async with house() as here, client(here.manager) as web:
        await web.post("/api/tasks", json={"id": 1, "description": "x"})
        await here.manager.stop()
        answer = await web.post("/api/tasks", json={"id": 2, "description": "x"})
        assert answer.status_code == 409
        assert (await web.get("/api/tasks/1")).json()["status"] == "pending"
        assert (await web.get("/api/stats")).json()["state"] == "stopped"
        ready = await web.get("/readyz")
        assert (ready.status_code, ready.json()["doors"]) == (503, "closed")


async def test_the_list_goes_on_after_the_number_that_it_tells(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        tasks = [{"id": number, "description": f"lot {number}"} for number in range(1, 8)]
        await web.post("/api/tasks", json=tasks)
        found, after = [], None
        while True:
            query = {"limit": 3, **({} if after is None else {"after": after})}
            part = (await web.get("/api/tasks", params=query)).json()
            found += [task["id"] for task in part["tasks"]]
            after = part["after"]
            if after is None:
                break
        assert found == list(range(1, 8))
        lots = (await web.get("/api/tasks", params={"text": "LOT 3"})).json()
        assert [task["id"] for task in lots["tasks"]] == [3]
        assert (await web.get("/api/tasks", params={"status": "lost"})).status_code == 422
        assert (await web.get("/api/tasks", params={"limit": 5000})).status_code == 422


async def test_workers_and_stats_tell_how_it_goes(house: Make, client: Make) -> None:
    async with house(expected_workers=2) as here, client(here.manager) as web:
        await here.employ("Ada", 7, slots=3)
        (worker,) = (await web.get("/api/workers")).json()
        assert (worker["name"], worker["state"], worker["slots"]) == ("Ada", "healthy", 3)
        stats = (await web.get("/api/stats")).json()
        assert (stats["state"], stats["workers"], stats["expected_workers"]) == ("waiting", 1, 2)


async def test_a_ticket_is_told_to_those_with_the_secret_and_does_not_carry_it(
    house: Make, client: Make
) -> None:
    async with house() as here:
        secret = here.manager.secret
        async with client(here.manager, Admission(secret=secret)) as web:
            assert (await web.get("/api/ticket")).status_code == 401
            token = {"Authorization": f"Bearer {secret.reveal()}"}
            ticket = (await web.get("/api/ticket", headers=token)).json()["ticket"]
            from muster.agents import Ticket

            assert Ticket.parse(ticket).secret is None
            assert Ticket.parse(ticket).sealed


async def test_it_is_ready_when_discoverys_store_and_workers_are(house: Make, client: Make) -> None:
    async with house(expected_workers=1, store=MemoryStore()) as here, client(here.manager) as web:
        early = await web.get("/readyz")
        assert (early.status_code, early.json()["workers"]) == (503, 0)
        await here.employ("Ada")
        ready = await web.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {
            "ready": True,
            "doors": "open",
            "store": "writable",
            "workers": 1,
            "expected_workers": 1,
        }


async def test_it_is_not_ready_with_a_store_that_cannot_be_written(
    house: Make, client: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(store=tmp_path / "run.db") as here, client(here.manager) as web:
        await here.employ("Ada")
        assert (await web.get("/readyz")).json()["store"] == "writable"

        def refuse(*_: object) -> None:
            raise StoreUnusable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "write", refuse)
            answer = await web.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["store"] == "the disk is full"


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
async def test_it_is_not_ready_with_a_store_whose_files_are_gone(
    house: Make, client: Make, tmp_path: Path, suffix: str
) -> None:
    answers: list[Any] = []

    async def run() -> None:
        async with house(store=tmp_path / "run.db") as here, client(here.manager) as web:
            await here.employ("Ada")
            os.unlink(f"{tmp_path}/run.db{suffix}")
            answers.append(await web.get("/readyz"))

    with pytest.raises(StoreLost):
        await run()
    assert answers[0].status_code == 503
    assert f"run.db{suffix}' was deleted while in use" in answers[0].json()["store"]


async def test_the_process_lives_and_its_loop_turns(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        answer = await web.get("/healthz")
        assert (answer.status_code, answer.json()["alive"]) == (200, True)


async def test_metrics_are_there_if_somebody_tells_them(house: Make, client: Make) -> None:
    async with house() as here:
        async with client(here.manager) as web:
            assert (await web.get("/metrics")).status_code == 404
        async with client(here.manager, metrics=lambda manager: b"tasks 0\n") as web:
            answer = await web.get("/metrics")
            assert answer.content == b"tasks 0\n"
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_the_openapi_document_tells_each_call(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        told = (await web.get("/openapi.json")).json()
        calls = {(method, path) for path, each in told["paths"].items() for method in each}
        assert calls == {
            ("post", "/api/tasks"),
            ("get", "/api/tasks"),
            ("get", "/api/tasks/{task_id}"),
            ("get", "/api/tasks/{task_id}/story"),
            ("post", "/api/tasks/{task_id}/cancel"),
            ("post", "/api/tasks/{task_id}/retry"),
            ("post", "/api/tasks/{task_id}/answer"),
            ("get", "/api/tasks/{task_id}/parts"),
            ("get", "/api/questions"),
            ("post", "/api/retry"),
            ("post", "/api/pause"),
            ("post", "/api/resume"),
            ("post", "/api/drain"),
            ("put", "/api/tasks/{task_id}/priority"),
            ("get", "/api/stats"),
            ("get", "/api/workers"),
            ("get", "/api/skills"),
            ("get", "/api/schedules"),
            ("get", "/api/ticket"),
            ("get", "/healthz"),
            ("get", "/readyz"),
        }


async def test_the_pages_load_nothing_from_elsewhere(house: Make, client: Make) -> None:
    async with house() as here, client(here.manager) as web:
        for path in ("/", "/docs"):
            page = await web.get(path)
            assert page.status_code == 200
            assert "http" not in page.text.replace("<!doctype html>", "")
            assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await web.get("/assets/page.js")).headers["content-type"].startswith("text/java")
        assert (await web.get("/assets/../application.py")).status_code == 404
