"""The benchmark of matching: its arithmetic, and a small run of each kind of row."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.simulation.estimate import Estimate
from muster.agents.simulation.hidden_skills import (
    HiddenWorker,
    HiddenWorld,
    Wave,
    make_tasks,
    mixed_cast,
    streaming_world,
)
from muster.agents.simulation.hidden_skills_run import PlayedAttempt, play_world
from muster.agents.simulation.reference_policies import Oracle, RandomPolicy

from .matching.bound import most_successes
from .matching.hindsight import fitted_chance, played_results, told_gaps
from .matching.measures import busy_share, calibration_error
from .matching.plots import draw_plots
from .matching.real_rows import COSTS, STRONG, WEAK, oracle_by_type, outcomes_world
from .matching.row import Figure, Job, Outcome, Row
from .matching.table import verdicts_of

BENCHMARK = Path(__file__).parent / "matching"
DATA = BENCHMARK / "data"


def test_a_target_is_missed_if_its_figure_could_not_be_made() -> None:
    row = Row("thrift", "", (Figure("saved", "saved", 0.25),), lambda _: Outcome())
    made = {"adaptive": {"saved": Estimate.of([0.3])}, "other": {"done": Estimate.of([1.0])}}
    found = verdicts_of(row, made, ["adaptive", "other"])
    assert [verdict.missed for verdict in found] == [(), ("saved -",)]


def test_an_interval_is_as_wide_as_students_distribution_says() -> None:
    estimate = Estimate.of([1.0, 2.0, 3.0])
    assert estimate.mean == 2.0
    assert estimate.half_width == pytest.approx(4.30 / math.sqrt(3), abs=0.01)
    assert Estimate.of([1.0]).text(1) == "1.0"
    assert Estimate.of([]).text(1) == "-"


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([(0.8, 1.0)] * 8 + [(0.8, 0.0)] * 2, 0.0),
        ([(0.9, 0.0)] * 10, 0.9),
        ([(0.9, 1.0)] * 5 + [(0.1, 1.0)] * 5, 0.5),
    ],
)
def test_calibration_compares_what_was_predicted_with_what_came(
    pairs: list[tuple[float, float]], error: float
) -> None:
    assert calibration_error(pairs) == pytest.approx(error)


def test_the_bound_gives_each_task_to_its_best_worker_as_far_as_time_allows() -> None:
    good, bad = HiddenWorker("good", 9, 99.0, pace_s=1.0), HiddenWorker("bad", 9, -99.0, pace_s=1.0)
    tasks = make_tasks(1, 10)
    world = HiddenWorld(1, (good, bad), (Wave(tasks),))
    assert most_successes(world, tasks, 10.0) == pytest.approx(10.0)
    assert most_successes(world, tasks, 5.0) == pytest.approx(5.0)


def test_a_slot_that_idles_half_the_time_takes_a_quarter_from_the_busy_share_of_two() -> None:
    ada, ben = HiddenWorker("Ada", 9, 9.0), HiddenWorker("Ben", 9, 9.0)
    task, ended = make_tasks(1, 1)[0], AttemptOutcome.SUCCEEDED
    began = [(ada, float(second)) for second in range(100)]
    began += [(ben, float(second)) for second in range(0, 100, 2)]
    attempts = [
        PlayedAttempt(
            task, worker, 1, 1.0, succeeded=True, started_at=at, ended_at=at + 1.0, outcome=ended
        )
        for worker, at in sorted(began, key=lambda each: each[1])
    ]
    assert busy_share(attempts, 2) == pytest.approx(0.75, abs=0.02)


def test_the_oracle_reaches_nearly_the_bound() -> None:
    world = streaming_world(4, mixed_cast(), 100)
    rate = world.waves[0].rate
    assert rate is not None
    bound = most_successes(world, world.tasks, len(world.tasks) / rate)
    played = play_world(world, Oracle(world))
    assert 0.93 * bound < sum(each.chance for each in played.attempts) < 1.05 * bound


def test_an_oracle_by_type_has_the_share_right_that_is_asked_at_less_cost() -> None:
    world = outcomes_world(Job("", 1, (), quick=False, data=DATA), 1)
    known = world.outcomes.values()
    strong = sum(each[STRONG] for each in known)
    right, cost = oracle_by_type(world, 0.98 * strong)
    assert right >= 0.98 * strong
    assert cost < 0.7 * COSTS[STRONG] * len(known)
    assert oracle_by_type(world, 0.0)[1] == COSTS[WEAK] * len(known)


def test_plots_are_drawn_of_the_rows_that_have_curves(tmp_path: Path) -> None:
    curves = {
        "stream": {"a<b": [{"regret": [0.1, 0.3]}, {"regret": [0.3, 0.5]}]},
        "chance": {"p": [{"predicted": [(0.2, 0.0), (0.8, 1.0)]}]},
        "nothing": {"p": []},
    }
    written = draw_plots(curves, tmp_path)
    assert [path.name for path in written] == ["regret_stream.svg", "calibration_chance.svg"]
    assert "a&lt;b" in written[0].read_text()


@pytest.mark.slow
@pytest.mark.processes
def test_a_small_run_tells_each_figure_with_its_interval(tmp_path: Path) -> None:
    rows = ["streaming", "batch", "recovery", "llm_rates", "decision"]
    command = [sys.executable, str(BENCHMARK), "--quick", "--only", *rows, "--json", "told.json"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "tasks stream in, a worker falls" in printed.stdout
    told = json.loads((tmp_path / "told.json").read_text())
    assert list(told["rows"]) == rows
    best_fit = told["rows"]["streaming"]["figures"]["best_fit"]["late"]
    assert 0 < best_fit["mean"] < 1.2
    assert best_fit["count"] == 2


def test_who_is_told_both_outcomes_expects_the_gap_of_each_type() -> None:
    questions = [("even", 1.0, 1.0), ("uneven", 0.0, 1.0)] * 100
    gaps = list(told_gaps(questions))
    assert gaps[:50] == [0.0] * 50
    assert gaps[-2] < 0.1
    assert gaps[-1] > 0.9


def test_with_hindsight_chances_follow_from_the_results() -> None:
    world = streaming_world(4, mixed_cast(), 100)
    played = play_world(world, RandomPolicy(1))
    chance = fitted_chance(played_results(played.attempts))
    by_name = {worker.name: worker for worker in world.workers}
    broken = by_name["broken_on_code"]
    code = next(task for task in world.tasks if task.type == "code")
    assert 0 < chance(broken, code) < chance(by_name["honest"], code) < 1
    bound = most_successes(world, world.tasks, 100.0)
    assert most_successes(world, world.tasks, 100.0, chance) <= bound
