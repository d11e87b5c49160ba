"""A download whose process is killed at any moment is gone on with by the next."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
from muster.agents.actions import download_file

CONTENT = bytes(range(251)) * 40_000
DOWNLOAD = """
import asyncio, sys
from muster.agents.actions import download_file
class Task: progress = 0.0
asyncio.run(download_file(Task(), sys.argv[1], sys.argv[2]))
"""


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.slow
@pytest.mark.processes
async def test_a_killed_download_leaves_nothing_at_its_destination_and_goes_on(
    server: Any, told: Any, tmp_path: Path, until: Any
) -> None:
    async def serve(connection: Any) -> None:
        headers, first, status = {"ETag": '"1"'}, 0, "200 OK"
        if "range" in connection.request.headers:
            first = int(connection.request.headers["range"][len("bytes=") : -1])
            status = "206 Partial Content"
            headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        headers["Content-Length"] = str(len(CONTENT) - first)
        await connection.head(status, headers)
        for start in range(first, len(CONTENT), 50_000):
            await connection.send(CONTENT[start : start + 50_000])
            await asyncio.sleep(0.005)

    server.behaviour = serve
    target, part = tmp_path / "file.zip", tmp_path / "file.zip.part"
    for kill in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DOWNLOAD, server.url, str(target)
        )
        before = part.stat().st_size if part.exists() else 0
        await until(lambda before=before: part.exists() and part.stat().st_size > before + 300_000)
        process.kill()
        await process.wait()
        assert not target.exists()
        assert len(server.requests) == kill + 1
    left = part.stat().st_size
    assert left > 900_000
    done = await download_file(told, server.url, target)
    assert done["resumed_from_bytes"] == left
    assert done["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert left_in(tmp_path) == ["file.zip"]
