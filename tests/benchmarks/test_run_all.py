"""All benchmarks are run by one command, and what one of them told is not lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN_ALL = Path(__file__).parent / "run_all.py"


@pytest.mark.slow
@pytest.mark.processes
def test_what_the_benchmarks_told_is_in_one_file(tmp_path: Path) -> None:
    names = ["board matching", "million tasks"]
    command = [sys.executable, str(RUN_ALL), "--quick", "--only", *names, "--json", "told.json"]
    subprocess.run(command, cwd=tmp_path, check=True)
    told = json.loads((tmp_path / "told.json").read_text())
    assert list(told["benchmarks"]) == names
    matching = told["benchmarks"]["board matching"]["figures"]
    assert [(each["slots"], each["assigned"]) for each in matching["by_slots"]] == [
        (1, 100),
        (100, 500),
    ]
    million = told["benchmarks"]["million tasks"]["figures"]
    assert million["memory"]["peak_bytes"] > million["memory"]["peak_before_bytes"] > 0
    assert list(million["microseconds_by_backlog"]) == ["1000", "2000"]


@pytest.mark.processes
def test_a_benchmark_that_takes_too_long_is_ended_and_told(tmp_path: Path) -> None:
    command = [sys.executable, str(RUN_ALL), "--only", "million tasks", "--time-limit", "0.2"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    failure = json.loads(done.stdout)["benchmarks"]["million tasks"]["failure"]
    assert failure == "was ended after 0.2 s"
