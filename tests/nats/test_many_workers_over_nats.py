"""Hundreds of workers in a few processes join over a real NATS server, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..nats_server import running_nats_server

pytestmark = [pytest.mark.nats, pytest.mark.processes, pytest.mark.slow]

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "many_workers.py"


def test_many_workers_join_and_every_task_is_done_once(tmp_path: Path) -> None:
    with running_nats_server(tmp_path, jetstream=False) as server:
        told = subprocess.run(
            [
                *(sys.executable, str(BENCHMARK), "--agents", "60", "--processes", "3"),
                *("--tasks", "2000", "--runs", "1", "--slots", "4", "--json"),
                *("--link", server.url),
            ],
            check=True,
            capture_output=True,
            timeout=500,
        )
    (found,) = json.loads(told.stdout)
    assert (found["joined"], found["results"], found["twice"]) == (180, 2000, 0)
