"""The reader of a command's output may leave early, as `| head -1` does; what was done counts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def left(tmp_path: Path) -> Any:
    """Runs a command whose output nobody reads. Returns its exit code and what is on stderr."""

    def go(*arguments: str) -> tuple[int, str]:
        reading, writing = os.pipe()
        os.close(reading)
        try:
            ended = subprocess.run(
                [Path(sys.executable).with_name("muster"), *arguments],
                cwd=tmp_path,
                stdout=writing,
                stderr=subprocess.PIPE,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            os.close(writing)
        return ended.returncode, ended.stderr

    return go


@pytest.mark.processes
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "all_well", "--time-scale", "0.01", "--json"),
        pytest.param(("check", "all_well"), marks=pytest.mark.slow),
        pytest.param(("simulate", "all_well", "--runs", "2"), marks=pytest.mark.slow),
        pytest.param(("diagram", "all_well"), marks=pytest.mark.slow),
        ("scenarios",),
    ],
    ids=" ".join,
)
def test_a_command_whose_reader_has_left_ends_as_it_would(
    left: Any, arguments: tuple[str, ...]
) -> None:
    assert left(*arguments) == (0, "")


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        (">&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        (
            ">/dev/full",
            2,
            "muster: the output can't be written: No space left on device; write it elsewhere\n",
        ),
    ],
)
def test_a_command_ends_in_order_whatever_its_output_is(
    tmp_path: Path, redirection: str, code: int, told: str
) -> None:
    muster = Path(sys.executable).with_name("muster")
    ended = subprocess.run(
        ["sh", "-c", f"'{muster}' run all_well --time-scale 0.01 {redirection}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", told)


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_a_manager_whose_reader_has_left_does_its_tasks(left: Any, tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("description\na\nb\n")
    options = ("--tasks", "tasks.csv", "--workers", "1:1", "--port", "0", "--time-scale", "0.01")
    assert left("manager", *options, "--store", "run.db") == (0, "")
    for command in ("status", "report"):
        assert left(command, "--store", "run.db") == (0, "")
