"""`muster manager` that fails before its run begins leaves its store closed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.store.sqlite import SqliteStore

Invoke = Callable[..., Any]


@pytest.mark.parametrize(
    "options",
    [
        ("--ticket-file", "no/such/folder/ticket"),
        ("--trace", "no/such/folder/trace.jsonl"),
        ("--metrics", "PORT"),
        ("--web", "PORT"),
        ("--port", "PORT"),
    ],
    ids=lambda options: options[0],
)
def test_a_manager_that_fails_before_its_run_has_closed_its_store(
    invoke: Invoke, tmp_path: Path, options: tuple[str, str]
) -> None:
    Path("tasks.jsonl").write_text('{"id": 1, "description": "brew", "difficulty": 1}\n')
    with socket.socket() as other, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        given = [each.replace("PORT", str(port)) for each in options]
        command = ["manager", "--tasks", "tasks.jsonl", "--port", 0, "--store", "run.db"]
        ended = invoke(*command, "--workers", 1, "--join-timeout", 1, *given)
    assert ended.code == 2, ended
    SqliteStore(tmp_path / "run.db").close()


def test_each_problem_of_a_tasks_file_is_on_its_own_line_and_foreign_text_on_one(
    invoke: Invoke, tmp_path: Path
) -> None:
    name = "tasks\nmuster: forged.jsonl"
    (tmp_path / name).write_text(
        '{"id": 1, "description": "brew", "difficulty": 1, "skilll\\nforged": 2}\n'
        '{"id": 2, "description": "brew", "difficulty": "hard\\nforged"}\n'
        '{"id": 3}\n'
    )
    ended = invoke("manager", "--tasks", name, "--workers", 1)
    assert ended.code == 2
    heading, *problems = ended.err.splitlines()
    assert heading == r"muster: tasks\nmuster: forged.jsonl: 3 problems:"
    assert [line[:9] for line in problems] == ["  line 1:", "  line 2:", "  line 3:"]
    assert all(line.isprintable() for line in problems)
