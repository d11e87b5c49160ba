"""The tools of an MCP server are the task types of a worker, over a real network."""

from __future__ import annotations

import asyncio

import pytest
from muster.messages import Task, TaskStatus, WrongCall

from .conftest import DEADLINE_S, Team

pytestmark = [pytest.mark.ceylon, pytest.mark.processes]


def test_a_tool_does_a_task_and_progress_is_ours(team: Team) -> None:
    assert team.submit("t.add", {"x": 2}).output == "5"
    counting = team.client.submit_nowait(Task(id="counting", type="t.count", data={"to": 3}))

    def story() -> str:
        tasks = team.manager.ask(lambda: dict(team.manager.board.tasks))
        return str(tasks["counting"].story) if "counting" in tasks else ""

    # What a call tells just before it ends may come too late; this one goes on.
    team.until(lambda: "at 3" in story())
    (team.folder / "counted").touch()
    assert counting.result(DEADLINE_S).output == "counted"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"x": 1, "z": 2}, "t.add has no parameter 'z'; it takes x: integer, y: integer = 3"),
        ({"x": "one"}, "x: 'one': Input should be a valid integer"),
        (None, "t.add needs 'x'"),
    ],
)
def test_wrong_arguments_are_refused_where_the_task_is_submitted(
    team: Team, given: object, told: str
) -> None:
    task = Task(type="t.add", data=given)
    with pytest.raises(WrongCall) as raised:
        team.run(team.client.add_tasks([task]))
    assert told in str(raised.value)
    with pytest.raises(WrongCall):
        team.run(team.manager.submit(task))
    assert task.id not in team.manager.ask(lambda: team.manager.board.tasks)


def test_an_error_of_the_tool_is_a_failure_and_its_text_stays_data(team: Team) -> None:
    result = team.submit("t.fail", {"text": "\x1b[31m<b>no"})
    assert not result.success
    assert result.error_message == "ToolFailed: fail: \x1b[31m<b>no"


def test_pictures_are_bytes(team: Team) -> None:
    picture = {"type": "image", "mime_type": "image/png", "data": b"\x89PNG"}
    assert team.submit("t.picture").output == [{"type": "text", "text": "a picture"}, picture]


def test_the_server_gets_nothing_of_our_environment(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_SECRET", "secret")
    names = set(team.submit("t.environment").output.split())
    assert names <= {
        "HOME",
        "LANG",
        "LC_CTYPE",
        "LOGNAME",
        "PATH",
        "SHELL",
        "TERM",
        "TMPDIR",
        "USER",
    }


def test_a_call_that_was_begun_says_so_and_one_that_may_be_repeated_is(team: Team) -> None:
    ended = team.submit("t.die", max_attempts=3)
    assert ended.attempt == 1
    assert "WorkInterrupted: begun, but not known to be done" in ended.error_message
    assert "it was killed by signal 9" in ended.error_message
    # The server is back, and a tool that only reads is called again within the attempt.
    assert team.submit("t.die_once").output == "alive"
    assert team.submit("t.add", {"x": 1, "y": 1}).output == "2"


def test_cancelling_a_task_cancels_the_call(team: Team) -> None:
    task = Task(type="t.wait")
    team.run(team.client.add_tasks([task]))
    team.until((team.folder / "began").exists)
    team.run(team.client.cancel(task.id))
    team.until((team.folder / "cancelled").exists)
    assert team.run(team.client.status(task.id)) is TaskStatus.CANCELLED


def test_task_types_come_and_go_with_the_tools(team: Team) -> None:
    async def types() -> set[object]:
        return {each["type"] for each in await team.client.task_types()}

    async def until(wanted: bool) -> None:
        while ("t.fresh" in await types()) is not wanted:
            await asyncio.sleep(0.05)

    # A task in the meantime is not disturbed.
    running = team.client.submit_nowait(Task(type="greet", data={"name": "Eve", "times": 2}))
    assert team.submit("t.offer", {"name": "fresh"}).success
    team.run(until(wanted=True))
    assert team.submit("t.fresh").output == "called fresh"
    assert team.submit("t.offer", {"name": ""}).success
    team.run(until(wanted=False))
    assert running.result(60).output == "hello Eve, hello Eve"


def test_the_manager_knows_the_functions_of_its_workers(team: Team) -> None:
    told = {each["type"]: each for each in team.run(team.client.task_types())}
    assert told["t.add"]["description"] == "Adds."
    assert told["t.add"]["parameters"]["required"] == ["x"]
    assert told["greet"]["workers"] == ["Ada"]
    assert told["greet"]["description"] == "Greets."
    assert told["greet"]["parameters"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "times": {"type": "integer", "default": 1},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


def test_a_client_reads_the_report_and_the_diagram(team: Team) -> None:
    team.submit("greet", {"name": "Eve"}, id="told")
    report = team.run(team.client.report())
    assert "told" in {each.id for each in report.tasks}
    assert team.run(team.client.diagram()).startswith("sequenceDiagram")
