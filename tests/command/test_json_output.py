"""With --json, stdout has JSON and nothing else, whatever handlers and their processes print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOISE = """
import atexit, os, subprocess, sys

def noise(where):
    print("python", where)
    os.write(1, f"descriptor {where}\\n".encode())
    subprocess.run(["echo", "child", where], check=True)

noise("while it is imported")
atexit.register(noise, "at exit")
"""

SCENARIO = (
    NOISE
    + """
from muster.agents import Handlers, TaskManager, WorkerAgent
from muster.messages import Task
from muster.scenarios.scenario import Scenario

class Loud(Scenario):
    '''Loud: its handler prints.'''

    def manager(self, **options):
        tasks = [Task(1, "print", type="print")]
        return TaskManager(tasks, 1, quiet=True, **options)

    def workers(self):
        handlers = Handlers()

        @handlers.task("print")
        def work(task):
            noise("in a handler")

        return [WorkerAgent("Ada", 5, handlers=handlers)]
"""
)


@pytest.mark.processes
@pytest.mark.ceylon
@pytest.mark.parametrize(
    "command",
    [
        ("run", "--json"),
        pytest.param(("diagram",), marks=pytest.mark.slow),
        pytest.param(("run", "--processes", "--json"), marks=pytest.mark.slow),
    ],
)
def test_a_command_prints_only_its_output(
    start: Callable[..., Any], tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "loud.py").write_text(SCENARIO)
    ended = start(command[0], "loud.py", *command[1:]).end()
    assert ended.code == 0, ended.err
    if "--json" in command:
        assert json.loads(ended.out)["tasks"][0]["status"] == "completed"
    else:
        assert ended.out.startswith("sequenceDiagram\n")
        assert "while" not in ended.out
    # What was printed is not lost.
    places = ["while it is imported", "at exit"]
    for place in places if "--processes" in command else [*places, "in a handler"]:
        for kind in ("python", "descriptor", "child"):
            # A diagram needs stdout no more when the process exits.
            assert f"{kind} {place}\n" in (
                ended.err + ended.out if place == "at exit" else ended.err
            )


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.ceylon
def test_a_manager_with_workers_of_its_own_prints_only_its_report(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "loud.py").write_text(
        NOISE
        + "from muster.agents import Handlers\nhandlers = Handlers()\n"
        + "@handlers.task\ndef work(task):\n    noise('in a handler')\n"
    )
    (tmp_path / "tasks.jsonl").write_text('{"id": 1, "description": "d", "type": "work"}\n')
    ended = start(
        *("manager", "--tasks", "tasks.jsonl", "--port", 0, "--workers", "1:1"),
        *("--handlers", "loud", "--json"),
    ).end()
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["tasks"][0]["status"] == "completed"


def test_stdout_is_there_again_after_the_command(
    invoke: Callable[..., Any], tmp_path: Path
) -> None:
    first = invoke("run", "all_well", "--time-scale", 0.01, "--json")
    assert json.loads(first.out)["success_rate"] == 1.0
    second = invoke("scenarios")
    assert second.out.startswith("agent_team")
