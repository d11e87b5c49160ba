"""A manager that is killed with -9 during a wait: the next one waits the rest, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_snapshot
from muster.agents.store.sqlite import read_store
from muster.messages import StoreUnusable

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

WAIT_S = 8.0

HANDLERS = """
import time
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("retried")
def retried(task):
    with Path("begun").open("a") as file:
        print(time.time(), file=file, flush=True)
    if len(Path("begun").read_text().splitlines()) == 1:
        raise ConnectionError("refused")
    return "done"
"""


def is_waiting(store: Path) -> bool:
    """Whether the task is kept as one that waits until a time."""
    try:
        (task,) = read_snapshot(read_store(store)).tasks
    except (StoreUnusable, ValueError):
        # The store, or the task in it, is not there yet.
        return False
    return task.wait_until is not None


def test_the_rest_of_a_wait_is_waited_once(start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "retried.py").write_text(HANDLERS)
    retry = {"max_attempts": 3, "wait_s": WAIT_S, "jitter": 0, "on": ["ConnectionError"]}
    task = {"id": 1, "type": "retried", "retry": retry}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task))
    managing = ("manager", "--tasks", "tasks.jsonl", "--port", 0, "--ticket-file", "ticket")
    first = start(*managing, "--store", "run.db")
    start("worker", "--join", "ticket", "--name", "Ada", "--skill", 5, "--handlers", "retried")
    # Asked here and not by a command, which may take as long to start as the wait is.
    first.wait_until(lambda: is_waiting(tmp_path / "run.db"))
    first.process.kill()
    first.process.wait()
    told = start("why", 1, "--store", "run.db").end().out
    assert "(retry 2 of 3 after ConnectionError)" in told
    ended = start(*managing, "--store", "run.db", "--report", "report.json").end()
    assert ended.code == 0
    (reported,) = json.loads((tmp_path / "report.json").read_text())["tasks"]
    assert (reported["status"], reported["attempts"]) == ("completed", 2)
    first_at, second_at = map(float, (tmp_path / "begun").read_text().splitlines())
    assert second_at - first_at >= WAIT_S - 0.5
