"""Recorded outcomes of models through real HTTP: a small run, and one with a budget."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parent / "model_outcomes.py"
STRONG_COST = 25.0

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ceylon]


def play(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARK), "--json", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def test_each_question_is_answered_as_it_was_recorded() -> None:
    told = play("--questions", "60")
    assert told["questions"] == 60
    assert 0 < told["right"] <= 60
    # Each question is asked at most once of each.
    assert 60 <= told["cost"] <= 60 * (1 + STRONG_COST)


def test_a_budget_is_passed_by_no_more_than_what_was_in_flight() -> None:
    budget = 200.0
    told = play("--questions", "120", "--budget", str(budget))
    assert told["cost"] > budget / 2
    assert told["cost"] <= budget + told["most_in_flight"] * STRONG_COST
    assert told["right"] < 120
