"""`context.log` is bound to its attempt; the program's own configuration of logging is kept."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from typing import Any

import pytest
import structlog
from muster.agents import TaskContext, TaskManager, WorkerAgent, rehearse
from muster.agents.runtime.log import FIELDS
from muster.messages import Task
from structlog.testing import LogCapture

MAY_TAKE_S = 60.0


def run(*, in_thread: bool) -> None:
    worker = WorkerAgent("Ada", 5)

    def talk(task: Task, context: TaskContext) -> None:
        context.log.info("brewing %s", "Assam", litres=2)
        context.log.bind(pot=7).warning("100% hot")

    async def talk_in_the_loop(task: Task, context: TaskContext) -> None:
        talk(task, context)

    worker.task("brew")(talk if in_thread else talk_in_the_loop)
    manager = TaskManager([Task(id="t", description="Tea", type="brew")], 1, quiet=True)
    asyncio.run(asyncio.wait_for(rehearse(manager, [worker]), MAY_TAKE_S))
    assert manager.report().exit_code == 0


@pytest.mark.parametrize("in_thread", [True, False])
def test_it_writes_to_a_standard_logger_with_its_fields(
    caplog: pytest.LogCaptureFixture, in_thread: bool
) -> None:
    with caplog.at_level(logging.INFO, "muster.handler"):
        run(in_thread=in_thread)
    first, second = (each for each in caplog.records if each.name == "muster.handler")
    assert first.getMessage() == "brewing Assam task='t' attempt=1 worker='Ada' litres=2"
    assert second.getMessage() == "100% hot task='t' attempt=1 worker='Ada' pot=7"
    assert (first.levelname, second.levelname) == ("INFO", "WARNING")
    fields: dict[str, Any] = getattr(first, FIELDS)
    assert fields["event"] == "brewing Assam"
    assert (fields["task"], fields["attempt"], fields["worker"]) == ("t", 1, "Ada")


def test_it_follows_the_structlog_configuration_of_the_program() -> None:
    capture = LogCapture()
    before = structlog.get_config()
    was_configured = structlog.is_configured()
    structlog.configure(processors=[capture])
    try:
        configured = structlog.get_config()
        run(in_thread=True)
        assert structlog.get_config() == configured
    finally:
        structlog.configure(**before)
        if not was_configured:
            structlog.reset_defaults()
    assert [entry["event"] for entry in capture.entries] == ["brewing Assam", "100% hot"]
    assert all(
        (entry["task"], entry["attempt"], entry["worker"]) == ("t", 1, "Ada")
        for entry in capture.entries
    )


EMBEDDED = """
import asyncio, logging
import structlog
logging.basicConfig(level=logging.ERROR, format="mine: %(message)s")
root = logging.getLogger()
before = (list(root.handlers), root.level, root.handlers[0].formatter, structlog.is_configured())
from muster.agents import TaskManager, WorkerAgent, rehearse
from muster.messages import Task

worker = WorkerAgent("Ada", 5)

@worker.task("brew")
async def brew(task, context):
    context.log.info("unseen")
    context.log.error("seen")
    raise ValueError("cold")

manager = TaskManager([Task(id=1, description="Tea", type="brew")], 1, quiet=True)
asyncio.run(rehearse(manager, [worker]))
after = (list(root.handlers), root.level, root.handlers[0].formatter, structlog.is_configured())
assert after == before, (before, after)
assert logging.getLogger("muster").handlers == []
assert logging.getLogger("muster").level == logging.NOTSET
assert logging.getLogger("muster.handler").handlers == []
"""


def test_embedding_leaves_the_programs_logging_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EMBEDDED],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mine: seen task=1 attempt=1 worker='Ada'" in done.stderr
    assert "unseen" not in done.stderr
