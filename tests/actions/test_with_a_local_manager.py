"""The API documentation's wrappers around the actions, as tasks of a `LocalTaskManager`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from muster.agents import LocalTaskManager, TaskState
from muster.agents.actions import (
    SearxngEngine,
    batch_web_search,
    download_file,
    periodic_health_check,
    reminder_timer,
)


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_the_documented_wrappers(
    server: Any, tmp_path: Path, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(connection: Any) -> None:
        is_search = connection.request.target.startswith("/search")
        await connection.answer(b'{"results": []}' if is_search else b"content")

    server.behaviour = serve
    monkeypatch.chdir(tmp_path)
    manager = LocalTaskManager(max_concurrent_tasks=5)

    async def download_wrapper(task):
        return await download_file(task, f"{server.url}/file.zip", "./downloads/file.zip")

    task_id = manager.create_task("Download", download_wrapper)

    async def reminder_wrapper(task):
        return await reminder_timer(task, 0.01, "One minute is up!")

    reminder_id = manager.create_task("Reminder", reminder_wrapper)

    async def health_wrapper(task):
        return await periodic_health_check(task, f"{server.url}/health", 0, 20)

    health_id = manager.create_task("Health Check", health_wrapper)

    async def search_wrapper(task):
        queries = ["python asyncio", "task management", "concurrent programming"]
        engine = SearxngEngine(server.url)
        return await batch_web_search(task, queries, delay_seconds=0.01, engine=engine)

    search_id = manager.create_task("Batch Search", search_wrapper)

    runner = asyncio.create_task(manager.run_tasks())
    await until(lambda: manager.get_stats()["completed"] == 4)
    assert left_in(tmp_path / "downloads") == {"file.zip": b"content"}
    results = {each.id: each.result for each in manager.list_tasks()}
    assert results[task_id]["size_bytes"] == 7
    assert results[reminder_id] == "One minute is up!"
    assert results[health_id]["checks"] == 20
    assert results[search_id]["queries"] == 3
    assert {each.progress for each in manager.list_tasks()} == {100.0}
    manager.stop()
    await runner


async def test_a_download_that_is_cancelled_as_a_task_leaves_nothing(
    server: Any, tmp_path: Path, until: Any
) -> None:
    async def serve(connection: Any) -> None:
        await connection.head("200 OK", {"Content-Length": "1000000", "ETag": '"1"'})
        await connection.send(bytes(500_000))
        await asyncio.sleep(30)

    server.behaviour = serve
    manager = LocalTaskManager()

    async def download_wrapper(task):
        return await download_file(task, server.url, tmp_path / "file.zip")

    task_id = manager.create_task("Download", download_wrapper)
    runner = asyncio.create_task(manager.run_tasks())
    task = manager.get_task(task_id)
    assert task is not None
    await until(lambda: task.progress >= 40)
    assert manager.cancel_task(task_id)
    assert task.state is TaskState.CANCELLED
    manager.stop()
    await runner
    assert left_in(tmp_path) == {}
