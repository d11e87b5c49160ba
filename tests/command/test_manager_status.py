"""What `muster status --join` tells of a running manager, and what shells complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from muster.agents.command.manager_status import ManagerStatus, manager_lines, status_as_json
from muster.agents.manager.manager_state import ManagerState
from muster.agents.runtime.terminal_text import terminal_line
from muster.agents.submission.questions import OpenQuestion
from muster.messages import TaskStatus

WORKER = {"connected": True, "draining": False, "slots": 4, "running": 2, "completed": 1_200}


def state(**given: Any) -> ManagerState:
    counts = dict.fromkeys(TaskStatus, 0)
    counts |= {TaskStatus.IN_PROGRESS: 2, TaskStatus.PENDING: 1_007}
    waiting: Any = {"waiting": 1_000, "blocked": 4, "limited": 3, "delayed": 0}
    limits = "3 wait for a limit: 2 of 2 mail tasks in progress"
    told = ManagerState(
        manager="boss",
        at=0.0,
        paused=False,
        counts=counts,
        waiting=waiting,
        reasons=["4 tasks depend on task 7"],
        limits=limits,
    )
    return ManagerState(**(told | given))


def test_tasks_workers_and_questions_stand_there_line_by_line() -> None:
    question = OpenQuestion(7, 1, "Publish?", ("yes", "no"), asked_at=0.0, expires_at=None)
    drained = WORKER | {"name": "Ben", "draining": True}
    gone = WORKER | {"name": "Cid", "connected": False}
    workers = [WORKER | {"name": "Ada"}, drained, gone]
    assert list(manager_lines(ManagerStatus(state(paused=True), workers, [question], []))) == [
        "boss, paused: 1,009 tasks: 1,007 pending, 2 in progress",
        "  pending: 1,000 waiting, 4 blocked, 3 limited",
        "  3 wait for a limit: 2 of 2 mail tasks in progress",
        "  4 tasks depend on task 7",
        "workers:",
        "  Ada: 2/4 slots busy, 1,200 attempts ended",
        "  Ben: 2/4 slots busy, draining, 1,200 attempts ended",
        "  Cid: not connected, 1,200 attempts ended",
        "questions:",
        "  7: Publish?",
        "      muster answer 7 yes | no",
    ]


def test_a_name_with_control_characters_does_nothing_to_the_terminal() -> None:
    hostile = "A\x1b[2Jda\n"
    status = ManagerStatus(state(manager=hostile), [WORKER | {"name": hostile}], [], [])
    assert json.loads(status_as_json(status))["workers"][0]["name"] == hostile
    for line in manager_lines(status):
        assert terminal_line(line).isprintable()


@pytest.mark.parametrize(
    ("shell", "typed", "expected"),
    [
        ("bash", "muster res", "results\nresume\n"),
        ("bash", "muster status --jo", "--join\n"),
        ("zsh", "muster res", '"resume":"Let a paused manager'),
    ],
)
def test_shells_complete_commands_and_options(shell: str, typed: str, expected: str) -> None:
    asked = {
        "_MUSTER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
        "_TYPER_COMPLETE_ARGS": typed,
    }
    told = subprocess.run(
        [sys.executable, "-m", "muster.agents.command"],
        capture_output=True,
        check=True,
        text=True,
        timeout=180,
        env={**os.environ, **asked},
    )
    assert expected in told.stdout
