"""`muster mcp` serves MCP's own client: tools, progress, resources, and functions as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from mcp import ClientSession
from mcp.shared.memory import create_connected_server_and_client_session
from muster.agents.mcp import serving
from muster.agents.mcp.http_guard import MAX_BODY_BYTES, HttpGuard
from muster.agents.mcp.offered_tools import OfferedTools
from muster.agents.mcp.run_access import RunAccess
from muster.agents.mcp.serving import McpService
from starlette.responses import PlainTextResponse

from .conftest import Team


def talk(
    team: Team, act: Callable[[ClientSession], Awaitable[None]], told: list[str] | None = None
) -> None:
    """Let the package's own client talk to the service; `told` takes the notifications."""
    notifications = [] if told is None else told

    async def take(message: Any) -> None:
        notifications.append(str(getattr(getattr(message, "root", None), "method", message)))

    async def converse() -> None:
        service = McpService(RunAccess(team.client))
        connecting = create_connected_server_and_client_session(
            service._server, message_handler=take
        )
        async with service._looking(), connecting as session:
            await act(session)

    team.run(converse())


async def call(session: ClientSession, name: str, /, **given: Any) -> Any:
    answer = await session.call_tool(name, given)
    text = answer.content[0].text
    return text if answer.isError else json.loads(text)


@pytest.mark.ceylon
@pytest.mark.processes
class TestWithARun:
    def test_a_client_hands_work_to_the_team(self, team: Team) -> None:
        async def act(session: ClientSession) -> None:
            added = await call(session, "submit_task", type="t.add", data={"x": 1}, id="by-mcp")
            assert added == {"task_id": "by-mcp"}
            result = await call(session, "wait_for_task", task_id="by-mcp")
            assert (result["success"], result["output"], result["worker"]) == (True, "4", "Ada")
            status = await call(session, "task_status", task_id="by-mcp")
            assert status == {"task_id": "by-mcp", "status": "completed"}
            assert (await call(session, "task_status"))["completed"] >= 1
            assert "is completed" in (await call(session, "why", task_id="by-mcp"))[0]
            assert [each["name"] for each in await call(session, "list_workers")] == ["Ada"]

        talk(team, act)

    def test_a_function_of_a_worker_is_a_tool(self, team: Team) -> None:
        async def act(session: ClientSession) -> None:
            tools = {each.name: each for each in (await session.list_tools()).tools}
            assert tools["run_greet"].inputSchema["required"] == ["name"]
            assert tools["run_t_add"].description.endswith("Adds.")
            greeted = await call(session, "run_greet", name="Eve")
            assert greeted["output"] == "hello Eve"

        talk(team, act)

    def test_what_is_wrong_is_told_in_one_line(self, team: Team) -> None:
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("submit_task", {"type": "t.add", "data": {"z": 1}}, "WrongCall: t.add has no param"),
            ("submit_task", {"type": "x", "sort": 1}, "WrongCall: submit_task has no parameter"),
            ("submit_task", {}, "WrongCall: submit_task needs 'type'"),
            ("submit_task", {"type": "x", "priority": 2**40}, "InvalidInput: the task can't be"),
            ("run_greet", {"nam": "Eve"}, "WrongCall"),
            ("run_t_fail", {}, "failed in attempt 1 at Ada: ToolFailed: fail"),
            ("wait_for_task", {"task_id": "none"}, "UnknownTask: no task has the id 'none'"),
            ("wait_for_task", {"task_id": 1, "timeout_s": 601}, "less than or equal to 600"),
            ("cancel_task", {"task_id": "none"}, "UnknownTask"),
            ("answer_question", {"task_id": "none", "answer": "x"}, "UnknownTask"),
            ("no\x1b[0m", {}, "InvalidInput: there is no tool 'no\\\\x1b[0m'; list the tools"),
        ]

        async def act(session: ClientSession) -> None:
            for name, given, told in wrong:
                text = await call(session, name, **given)
                assert told in str(text), name
                assert "\n" not in str(text)

        talk(team, act)

    def test_a_wait_tells_progress_and_ends_before_the_task(self, team: Team) -> None:
        messages: list[str] = []

        async def progress(_: float, __: float | None, message: str | None) -> None:
            messages.append(message or "")

        async def act(session: ClientSession) -> None:
            await call(session, "submit_task", type="t.wait", id="waiting")
            given = {"task_id": "waiting", "timeout_s": 1.5}
            answer = await session.call_tool("wait_for_task", given, progress_callback=progress)
            told = json.loads(answer.content[0].text)
            assert (told["status"], told["waited_s"]) == ("in_progress", 1.5)
            assert (await call(session, "cancel_task", task_id="waiting"))["cancelled"]
            assert not (await call(session, "wait_for_task", task_id="waiting"))["success"]

        talk(team, act)
        assert any("waiting is in progress" in each for each in messages)

    def test_functions_that_come_are_told(
        self, team: Team, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(serving, "LOOK_EVERY_S", 0.1)

        async def act(session: ClientSession) -> None:
            await session.list_tools()
            await call(session, "run_t_offer", name="fresh")
            while "run_t_fresh" not in {each.name for each in (await session.list_tools()).tools}:
                await asyncio.sleep(0.05)
            await call(session, "run_t_offer", name="")
            while not any("list_changed" in each for each in told):
                await asyncio.sleep(0.05)

        told: list[str] = []
        talk(team, act, told)

    def test_resources_are_the_report_and_the_diagram(self, team: Team) -> None:
        async def act(session: ClientSession) -> None:
            texts: list[str] = []
            for each in (await session.list_resources()).resources:
                content = (await session.read_resource(each.uri)).contents[0]
                texts.append(content.text)  # type: ignore[union-attr]
            assert texts[0].startswith("# ")
            assert "tasks" in json.loads(texts[1])
            assert texts[2].startswith("sequenceDiagram")

        team.submit("greet", {"name": "Eve"})
        talk(team, act)

    def test_waits_are_bounded(self, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
        async def tell(*_: object) -> None:
            pass

        tools = OfferedTools(RunAccess(team.client))
        monkeypatch.setattr("muster.agents.mcp.offered_tools.MAX_WAITS", 0)
        with pytest.raises(Exception, match="calls wait already, which is the limit"):
            team.run(tools.call("wait_for_task", {"task_id": "x"}, tell))


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, "/mcp", 200),
        ({"Authorization": ""}, "/mcp", 401),
        ({"Authorization": "Bearer other"}, "/mcp", 401),
        ({"Authorization": "Basic token"}, "/mcp", 401),
        ({"Host": "evil.example"}, "/mcp", 421),
        ({"Host": "127.0.0.1.evil.example"}, "/mcp", 421),
        ({"Origin": "http://evil.example"}, "/mcp", 403),
        ({"Origin": "null"}, "/mcp", 403),
        ({"Origin": "http://localhost:6274"}, "/mcp", 200),
        ({}, "/other", 404),
        ({"Content-Length": str(MAX_BODY_BYTES + 1)}, "/mcp", 413),
        ({"Content-Length": "x"}, "/mcp", 413),
    ],
)
async def test_only_requests_of_this_machine_with_the_token_are_taken(
    headers: dict[str, str], path: str, status: int
) -> None:
    guard = HttpGuard(PlainTextResponse("ok"), "/mcp", "token")
    async with AsyncClient(transport=ASGITransport(guard)) as client:
        sent = {"Host": "127.0.0.1:80", "Authorization": "Bearer token", **headers}
        answer = await client.post(f"http://127.0.0.1:80{path}", headers=sent)
    assert answer.status_code == status
