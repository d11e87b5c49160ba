"""The background actions as handlers of a worker, over a network in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, TaskContext
from muster.agents.actions import action_handlers
from muster.messages import AddressRefused, InvalidInput, Task, TaskAssignment, TaskResult


@pytest.fixture
def perform(tmp_path: Path) -> Any:
    """Does a task of a type and data by the handlers, as a worker would; told of progress."""

    async def do(task_type: str, data: Any, told: list[float], **options: Any) -> Any:
        from muster.agents.execution.handlers import current_context

        task = Task(id=1, description="any", type=task_type, data=data)
        assignment = TaskAssignment(task=task)
        handlers: Handlers = action_handlers(tmp_path, **{"allow": ["127.0.0.1"], **options})
        loop = asyncio.get_running_loop()
        current_context.set(TaskContext(assignment, lambda percent, _: told.append(percent), loop))
        return await handlers.run(assignment, None)

    return do


def test_there_is_one_for_each_action() -> None:
    assert set(action_handlers()) == {
        "batch_web_search",
        "download_file",
        "periodic_health_check",
        "reminder_timer",
    }


async def test_a_task_of_an_action_is_done_and_tells_its_progress(
    server: Any, perform: Any, tmp_path: Path
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(b"tea")

    server.behaviour = serve
    told: list[float] = []
    done = await perform("download_file", {"url": server.url, "destination": "a/tea.txt"}, told)
    assert (tmp_path / "a" / "tea.txt").read_bytes() == b"tea"
    assert done["size_bytes"] == 3
    assert told[-1] == 100.0
    report = await perform("periodic_health_check", {"url": server.url, "max_checks": 1}, told)
    assert report["healthy"] == 1
    assert await perform("reminder_timer", {"duration_seconds": 0, "message": "up"}, told) == "up"


async def test_what_an_action_gives_back_can_travel(server: Any, perform: Any) -> None:
    from muster.messages import decode_message, encode_message

    class Engine:
        name = "none"

        async def search(self, query: str) -> list[Any]:
            return [{"title": query, "url": "x", "snippet": ""}]

    async def serve(connection: Any) -> None:
        await connection.answer(b"tea")

    server.behaviour = serve
    orders = {
        "download_file": {"url": server.url, "destination": "tea.txt"},
        "periodic_health_check": {"url": server.url, "max_checks": 1},
        "batch_web_search": {"queries": ["tea"]},
        "reminder_timer": {"duration_seconds": 0, "message": "up"},
    }
    for task_type, data in orders.items():
        output = await perform(task_type, data, [], engine=Engine())
        result = TaskResult(task_id=1, worker="Ada", success=True, output=output)
        assert decode_message(encode_message(result)) == result


@pytest.mark.parametrize("destination", ["../out", "/etc/passwd", "a/../../out", ".", "", 7, None])
async def test_a_download_stays_within_the_workers_folder(perform: Any, destination: Any) -> None:
    data = {"url": "http://127.0.0.1", "destination": destination}
    with pytest.raises(InvalidInput, match="inside the worker's download folder"):
        await perform("download_file", data, [])


@pytest.mark.parametrize("destination", ["tea\0.txt", "tea\ud800.txt"], ids=ascii)
async def test_a_destination_that_no_file_can_have_is_refused(
    perform: Any, destination: str
) -> None:
    data = {"url": "http://127.0.0.1", "destination": destination}
    with pytest.raises(InvalidInput, match="destination is"):
        await perform("download_file", data, [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "needs a dict"),
        ({"queries": ["a"], "speed": 9}, "unexpected keyword argument 'speed'"),
        ({}, "missing a required argument: 'queries'"),
        ({"queries": ["a"], "engine": "x"}, "is not allowed"),
        ({"queries": ["a"], "task": 1}, "multiple values"),
        ({7: 1}, "has wrong arguments"),
    ],
)
async def test_data_that_does_not_fit_is_refused_with_what_is_wrong(
    perform: Any, data: Any, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        await perform("batch_web_search", data, [])


def test_the_command_line_finds_them_by_their_module() -> None:
    from muster.agents.command.user_modules import find_handlers

    assert "download_file" in set(find_handlers(["muster.agents.actions.for_workers"]))


async def test_a_download_that_a_worker_is_told_to_stop_leaves_nothing(
    server: Any, tmp_path: Path, until: Any
) -> None:
    from muster.agents.execution.task_runner import TaskRunner
    from muster.messages import CancelTask, TaskProgress

    async def serve(connection: Any) -> None:
        await connection.head("200 OK", {"Content-Length": "1000000", "ETag": '"1"'})
        await connection.send(bytes(500_000))
        await asyncio.sleep(30)

    server.behaviour = serve
    handlers = action_handlers(tmp_path, allow=["127.0.0.1"])
    results: list[TaskResult] = []
    progress: list[TaskProgress] = []

    async def perform(assignment: TaskAssignment) -> TaskResult:
        output = await handlers.run(assignment, None)
        return TaskResult(task_id=1, worker="Ada", success=True, output=output)

    jobs = TaskRunner("Ada", 1, perform, results.append, progress.append)
    data = {"url": server.url, "destination": "file.zip"}
    jobs.take(TaskAssignment(task=Task(id=1, description="any", type="download_file", data=data)))
    await until(lambda: progress and progress[-1].percent >= 40)
    jobs.cancel(CancelTask(task_id=1, reason="cancelled: by the user"))
    await until(lambda: results)
    assert (results[0].success, results[0].error_message) == (False, "cancelled: by the user")
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


# ------------------------------------------------------------- where a task's address may lead


ORDERS = {
    "download_file": {"destination": "tea.txt"},
    "periodic_health_check": {"max_checks": 1},
}


@pytest.mark.parametrize("task_type", ORDERS)
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1", "2130706433"],
)
async def test_a_task_is_not_taken_to_an_address_that_is_not_public(
    server: Any, perform: Any, task_type: str, host: str
) -> None:
    data = {"url": f"http://{host}:{server.port}/", **ORDERS[task_type]}
    with pytest.raises(AddressRefused):
        await perform(task_type, data, [], allow=[])
    assert server.requests == []


@pytest.mark.parametrize("task_type", ORDERS)
async def test_nor_by_a_redirect(server: Any, perform: Any, task_type: str) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(b"", "302 Found", {"Location": "http://127.0.0.2/secrets"})

    server.behaviour = serve
    data = {"url": server.url, **ORDERS[task_type]}
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
        await perform(task_type, data, [], allow=["127.0.0.1"])
    assert len(server.requests) == 1


@pytest.mark.parametrize("task_type", ORDERS)
async def test_the_environment_allows_what_scraping_may_reach_as_well(
    server: Any, perform: Any, task_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(connection: Any) -> None:
        await connection.answer(b"tea")

    server.behaviour = serve
    data = {"url": server.url, **ORDERS[task_type]}
    monkeypatch.setenv("MUSTER_WEB_ALLOW", "10.0.0.0/8, 127.0.0.1")
    await perform(task_type, data, [], allow=None)
    monkeypatch.setenv("MUSTER_WEB_ALLOW", "everything")
    with pytest.raises(InvalidInput, match="neither a network nor an address"):
        await perform(task_type, data, [], allow=None)


@pytest.mark.parametrize("task_type", ORDERS)
async def test_a_task_cannot_choose_how_its_requests_are_sent(perform: Any, task_type: str) -> None:
    data = {"url": "http://example.org", "transport": None, **ORDERS[task_type]}
    with pytest.raises(InvalidInput, match="only the worker sets it"):
        await perform(task_type, data, [])
