"""`muster manager --store`: a run that goes on after its manager was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.store.sqlite import read_store

pytestmark = [pytest.mark.ceylon, pytest.mark.processes, pytest.mark.slow]

Start = Callable[..., Any]

MANAGER = ("manager", "--workers", 1, "--port", 0, "--ticket-file", "ticket", "--store", "run.db")


def test_a_run_goes_on_after_its_manager_was_killed(
    start: Start, tasks_file: Callable[..., Path], tmp_path: Path
) -> None:
    tasks = tasks_file(1, 2, 3, 4)
    working = start("worker", "--join", "ticket", "--name", "Ada", "--skill", 9)
    killed = start(*MANAGER, "--tasks", tasks)
    killed.wait_for("T4 done by Ada")
    # Stopped, it holds its store for as long as the questions take, and does not end its run.
    killed.process.send_signal(signal.SIGSTOP)
    told = start("status", "--store", "run.db").end().out
    assert f"a manager holds it, process {killed.process.pid}" in told
    refused = start(*MANAGER, "--tasks", tasks).end()
    assert refused.code == 2
    assert f"is held by the manager of process {killed.process.pid}; wait" in refused.err
    killed.process.kill()
    killed.end()
    told = start("status", "--store", "run.db").end().out
    assert told.startswith("run.db: was interrupted; no manager holds it\n")
    done = start("why", 4, "--store", "run.db").end()
    assert done.out.startswith("task 4 is completed: attempt 1 at Ada\n")

    ended = start(*MANAGER, "--tasks", tasks).end()
    assert ended.code == 0
    assert "4 of 4 tasks succeeded" in ended.out
    assert working.end().out == "Ada: 4 tasks, 4 succeeded\n"
    assert start("status", "--store", "run.db").end().out.splitlines()[1] == "4 tasks: 4 completed"
    assert [row.task_id for row in read_store(tmp_path / "run.db").tasks] == [1, 2, 3, 4]
