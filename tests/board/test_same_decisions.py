"""The same events give the same decisions, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STORM = Path(__file__).with_name("decision_storm.py")


@pytest.mark.processes
def test_a_storm_has_the_same_decisions_rows_and_texts_whatever_the_seed_of_hashes() -> None:
    begun = [
        subprocess.Popen(
            [sys.executable, STORM, "best_fit", "adaptive"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    told = [process.communicate()[0].splitlines() for process in begun]
    assert [process.returncode for process in begun] == [0, 0]
    assert told[0] == told[1]
    assert all(int(each.split()[-1]) > 200 for each in told[0]), "hardly anything was decided"
