"""Tasks files made for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from muster.agents.command.tasks_file import read_tasks
from muster.messages import InvalidInput, Task


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str, str | bytes], list[Task]]:
    """Reads the tasks of a file with this name and content."""

    def go(name: str, content: str | bytes) -> list[Task]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_tasks(path)

    return go


@pytest.fixture
def problems_of(
    read: Callable[[str, str | bytes], list[Task]], tmp_path: Path
) -> Callable[[str, str | bytes], list[str]]:
    """Tells what is wrong with a file of this name and content."""

    def go(name: str, content: str | bytes) -> list[str]:
        with pytest.raises(InvalidInput) as caught:
            read(name, content)
        text = str(caught.value)
        start = f"{tmp_path / name}: "
        assert text.startswith(start)
        headline, *rest = text[len(start) :].split("\n  ")
        return rest or [headline]

    return go
