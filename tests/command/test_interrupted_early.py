"""Ctrl-C that follows the very first line of a command ends it in order, with its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import SqliteStore
from muster.agents.command import main

INTERRUPTED = """
import os, signal, sys
from muster.agents.command import main

class Interrupting:
    is_done = False

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        written = self.stream.write(text)
        self.stream.flush()
        if text.strip() and not Interrupting.is_done:
            Interrupting.is_done = True
            os.kill(os.getpid(), signal.SIGINT)
        return written

    def __getattr__(self, name):
        return getattr(self.stream, name)

sys.stdout, sys.stderr = Interrupting(sys.stdout), Interrupting(sys.stderr)
main(sys.argv[1:])
"""
MANAGER = ("manager", "--tasks", "tasks.jsonl", "--workers", 1, "--port", 0)
STANDBY = (*MANAGER, "--standby", "--store", "new.db")


PREPARES = """
import asyncio
from muster.scenarios.scenario import Scenario

class Prepares(Scenario):
    async def play(self, *, processes=False, seen=None):
        try:
            print("preparing")
            await asyncio.sleep(3600)
        finally:
            print("tidied up")
"""


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "first", "code"),
    [
        ((*MANAGER, "--ticket-file", "ticket"), "join with: ", 1),
        ((*MANAGER, "--metrics", 0), "metrics at ", 1),
        ((*STANDBY, "--metrics", 0), "metrics at ", 1),
        (("run", "all_well", "--web", 0), "live page: ", 1),
        (("mcp", "--store", "kept.db", "--http", 0), "MCP server: ", 0),
    ],
    ids=["manager", "manager-metrics", "standby", "run", "mcp"],
)
def test_ctrl_c_after_the_first_line_ends_a_command_in_order(
    tmp_path: Path,
    start: Callable[..., Any],
    arguments: tuple[object, ...],
    first: str,
    code: int,
) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"id": 1}\n')
    SqliteStore(tmp_path / "kept.db").close()
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    ended = start(*arguments, script="interrupted.py").end()
    assert first in ended.out + ended.err
    assert (ended.code, "Traceback" in ended.err, "error" in ended.err) == (code, False, False)
    assert ("Policy: adaptive" in ended.out) is bool(code)


@pytest.mark.processes
@pytest.mark.slow
def test_ctrl_c_before_a_scenario_has_a_manager_ends_it_in_order(
    tmp_path: Path, start: Callable[..., Any]
) -> None:
    (tmp_path / "prepares.py").write_text(PREPARES)
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    ended = start("run", "prepares.py", script="interrupted.py").end()
    assert (ended.code, ended.out) == (1, "preparing\ntidied up\n")
    assert ended.err == "muster: stopped before the run began\n"


class _InterruptedImport:
    def find_spec(self, name: str, *_: object) -> None:
        if name == "muster.agents.command.app":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_loaded_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "muster.agents.command.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_InterruptedImport(), *sys.meta_path])
    with pytest.raises(SystemExit) as ending:
        main(["scenarios"])
    assert ending.value.code == 130
