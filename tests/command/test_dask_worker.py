"""`muster worker --dask`: one worker process in front of a cluster."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

DEADLINE_S = 180.0

ADDING = """
import os
from muster.agents import Handlers

handlers = Handlers()

@handlers.task("add")
def add(task):
    return [sum(task.data), os.getpid()]
"""


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_handlers_run_in_the_cluster_as_many_at_once_as_it_has_threads(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adding.py").write_text(ADDING)
    (tmp_path / "tasks.jsonl").write_text(
        '{"id": 1, "description": "x", "type": "add", "data": [3, 4]}\n'
    )
    # The cluster's workers are threads of this process.
    monkeypatch.syspath_prepend(tmp_path)
    with LocalCluster(
        n_workers=1,
        threads_per_worker=3,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
    ) as cluster:
        managing = start(
            *("manager", "--tasks", "tasks.jsonl", "--port", 0, "--workers", 1),
            *("--ticket-file", "ticket", "--report", "report.json"),
        )
        deadline = time.monotonic() + DEADLINE_S
        while not (tmp_path / "ticket").exists():
            # A worker that must wait for it says so.
            assert time.monotonic() < deadline, "there is no ticket"
            time.sleep(0.02)
        working = start(
            *("worker", "--join", "ticket", "--name", "Front", "--skill", 5),
            *("--handlers", "adding", "--dask", cluster.scheduler_address),
        )
        assert managing.end().code == 0
        ended = working.end()
    assert (ended.code, ended.out, ended.err) == (0, "Front: 1 task, 1 succeeded\n", "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["tasks"][0]["output"] == [7, os.getpid()]
    assert report["workers"]["Front"]["slots"] == 3


def test_dask_and_other_places_exclude_each_other(invoke: Callable[..., Any]) -> None:
    command = ("worker", "--join", "ticket", "--name", "Front", "--skill", 5)
    ended = invoke(*command, "--dask", "tcp://127.0.0.1:9", "--threads", 2)
    assert ended.code == 2
    assert ended.err == "muster: --threads and --dask exclude each other; give one of them\n"


def test_without_dask_the_message_says_what_to_install(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.agents.worker.cluster.find_spec", lambda _: None)
    command = ("worker", "--join", "ticket", "--name", "Front", "--skill", 5)
    ended = invoke(*command, "--dask", "tcp://127.0.0.1:9")
    assert ended.code == 2
    assert "run: pip install 'ceylon-muster[dask]'" in ended.err
