"""The rows with outcomes of real language models."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from muster.agents.simulation.hidden_skills import (
    Draw,
    HiddenWorker,
    HiddenWorld,
    Wave,
    seeded,
)
from muster.agents.simulation.hidden_skills_run import play_world
from muster.messages import Task, TaskId

from .bound import most_successes
from .hindsight import all_results, fitted_chance, played_results, told_gaps
from .measures import between, busy_share, expected_successes
from .row import Figure, Job, Outcome, Row, find

OUTCOMES_FILE = "llm_outcomes.csv"
RATES_FILE = "llm_success_rates.csv"
WEAK, STRONG = "weak", "strong"
COSTS = {WEAK: 1.0, STRONG: 25.0}
DIFFICULTY = 5
DECLARED = 7
PACE_S = 1.0
THRIFTS = {1: (0.0015, 0.003), 2: (0.006, 0.01)}
"""By the number of attempts: the values of cost, as a user would choose them."""
TOLD_THRIFTS = (0.0035, 0.004)
"""Values of cost with which whoever is told the outcomes of both comes to the asked cost."""

ORDERS = 5
RIGHT_SHARE = 0.98
_OTHER_COLUMNS = 2


@dataclass(frozen=True)
class RealOutcomes(HiddenWorld):
    """A world whose outcomes are known: which worker did which task rightly.

    Args:
        outcomes: by task id, 1 or 0 for each worker.
    """

    outcomes: Mapping[TaskId, Mapping[str, float]] = field(default_factory=dict)

    def era(self, task: Task) -> int:
        """Nobody changes."""
        return 0

    def chance(self, worker: HiddenWorker, task: Task) -> float:
        """1 or 0, since it is known."""
        return self.outcomes[task.id][worker.name]

    def draw(self, worker: HiddenWorker, task: Task, attempt: int) -> Draw:
        """What is known; another attempt changes nothing."""
        return Draw(bool(self.chance(worker, task)), worker.pace_s)


@dataclass(frozen=True)
class RealRates(HiddenWorld):
    """A world in which a worker's chance depends on the type alone.

    Args:
        chances: by type, the chance of each worker.
    """

    chances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def era(self, task: Task) -> int:
        """Nobody changes."""
        return 0

    def chance(self, worker: HiddenWorker, task: Task) -> float:
        """As often as the model was right at this type."""
        return self.chances[task.type][worker.name]


def read_outcomes(folder: Path) -> list[tuple[str, float, float]]:
    """The type of each question, and whether the weak and the strong model were right."""
    with (folder / OUTCOMES_FILE).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        next(reader)
        return [
            (row[0], float(row[_OTHER_COLUMNS]), float(row[_OTHER_COLUMNS + 1])) for row in reader
        ]


def read_rates(folder: Path) -> dict[str, dict[str, float]]:
    """By type, how often each model was right."""
    with (folder / RATES_FILE).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        _, *models = next(reader)
        return {row[0]: dict(zip(models, map(float, row[1:]), strict=True)) for row in reader}


def outcomes_world(job: Job, max_attempts: int) -> RealOutcomes:
    """The questions in an order of the seed, for two workers of which only the cost is known."""
    rows = read_outcomes(job.data)
    seeded(job.seed, "order").shuffle(rows)
    rows = rows[: job.count(len(rows), 300)]
    tasks = tuple(
        Task(
            id=number,
            description="a question",
            type=row[0],
            difficulty=DIFFICULTY,
            max_attempts=max_attempts,
        )
        for number, row in enumerate(rows, 1)
    )
    outcomes = {
        number: {WEAK: weak, STRONG: strong} for number, (_, weak, strong) in enumerate(rows, 1)
    }
    workers = tuple(
        HiddenWorker(name, DECLARED, 0.0, pace_s=PACE_S, slots=16, cost_per_task=cost)
        for name, cost in COSTS.items()
    )
    # Neither of them is ever busy: what is measured is the choice.
    wave = Wave(tasks, rate=0.2 * 16 / PACE_S)
    return RealOutcomes(job.seed, workers, (wave,), outcomes=outcomes)


def oracle_by_type(world: RealOutcomes, least_right: float) -> tuple[float, float]:
    """What an oracle that knows how often each is right at each type comes to.

    Returns:
        Its right answers and its cost, with the fewest types given to the strong one with which
        it has this many right.
    """
    gains: dict[str, list[float]] = defaultdict(list)
    for task in world.tasks:
        known = world.outcomes[task.id]
        gains[task.type].append(known[STRONG] - known[WEAK])
    right = sum(each[WEAK] for each in world.outcomes.values())
    cost = COSTS[WEAK] * len(world.outcomes)
    for each in sorted(gains.values(), key=statistics.fmean, reverse=True):
        if right >= least_right:
            break
        right += sum(each)
        cost += (COSTS[STRONG] - COSTS[WEAK]) * len(each)
    return right, cost


def play_outcomes(job: Job, max_attempts: int) -> Outcome:
    world = outcomes_world(job, max_attempts)
    known = list(world.outcomes.values())
    strong = sum(each[STRONG] for each in known)
    strong_cost = COSTS[STRONG] * len(known)
    weak = sum(each[WEAK] for each in known)
    chance = seeded(job.seed, "either")
    either = [chance.random() < 0.5 for _ in known]
    oracle_right, oracle_cost = oracle_by_type(world, RIGHT_SHARE * strong)
    fixed = {
        "always strong": (strong, strong_cost),
        "always weak": (weak, COSTS[WEAK] * len(known)),
        "either": (
            sum(each[STRONG if coin else WEAK] for each, coin in zip(known, either, strict=True)),
            sum(COSTS[STRONG if coin else WEAK] for coin in either),
        ),
        "oracle by type": (oracle_right, oracle_cost),
    }
    if max_attempts > 1:
        fixed["weak, then strong"] = (
            sum(max(each.values()) for each in known),
            sum(COSTS[WEAK] + COSTS[STRONG] * (1 - each[WEAK]) for each in known),
        )
    else:
        kinds = [task.type for task in world.tasks]
        outcomes = [(each[WEAK], each[STRONG]) for each in known]
        questions = [(kind, *each) for kind, each in zip(kinds, outcomes, strict=True)]
        gaps = list(told_gaps(questions))
        for thrift in TOLD_THRIFTS:
            chosen = [
                STRONG if gap > thrift * (COSTS[STRONG] - COSTS[WEAK]) else WEAK for gap in gaps
            ]
            fixed[f"told both outcomes, thrift {thrift:g}"] = (
                sum(each[model] for each, model in zip(known, chosen, strict=True)),
                sum(COSTS[model] for model in chosen),
            )
    outcome = Outcome()
    for name, (right, cost) in fixed.items():
        outcome.figures[name] = {"right": right / strong, "cost": cost / strong_cost}
    for policy in job.policies:
        for thrift in THRIFTS[max_attempts]:
            played = play_world(world, find(policy, world), thrift=thrift)
            outcome.figures[f"{policy}, thrift {thrift:g}"] = {
                "right": len(played.done) / strong,
                "cost": sum(each.cost for each in played.attempts) / strong_cost,
            }
    return outcome


def play_rates(job: Job) -> Outcome:
    chances = read_rates(job.data)
    models = list(next(iter(chances.values())))
    count, backlog = job.count(2_000, 200), 10 * len(models)
    half = count // 2
    luck = seeded(job.seed, "types")
    types = list(chances)
    tasks = tuple(
        Task(id=number, description="drawn", type=luck.choice(types), difficulty=DIFFICULTY)
        for number in range(1, count + backlog + 1)
    )
    workers = tuple(HiddenWorker(model, DECLARED, 0.0, pace_s=2.0) for model in models)
    world = RealRates(job.seed, workers, (Wave(tasks, backlog=backlog),), chances=chances)
    measured = world.tasks[half:count]
    window_s = len(measured) / len(models) * 2.0
    bound = most_successes(world, measured, window_s)
    outcome = Outcome()
    told = fitted_chance(all_results(world, world.tasks[:half]))
    outcome.figures["told all outcomes"] = {
        "of_bound": most_successes(world, measured, window_s, told) / bound
    }
    for policy in job.policies:
        made = find(policy, world)
        played = play_world(world, made)
        late = between(played.attempts, half + 1, count)
        known = fitted_chance(played_results(between(played.attempts, 1, half)))
        hindsight = most_successes(world, measured, window_s, known)
        busy = busy_share(played.attempts[half:count], len(models))
        outcome.figures[policy] = {
            "of_bound": expected_successes(late) / bound,
            "busy": busy,
            "of_own_bound": expected_successes(late)
            / most_successes(world, measured, window_s / busy),
            "hindsight": hindsight / bound,
            "right": statistics.fmean(each.succeeded for each in late),
        }
    return outcome


_OUTCOME_FIGURES = (
    Figure("right", "right, of always strong", RIGHT_SHARE),
    Figure("cost", "cost, of always strong", 0.80, at_most=True),
)

REAL_ROWS = (
    Row(
        "llm_outcomes",
        "real outcomes of two models, one try",
        _OUTCOME_FIGURES,
        lambda job: play_outcomes(job, 1),
        (),
        seeds=ORDERS,
    ),
    Row(
        "llm_escalation",
        "real outcomes, with a second try when a verifier says no",
        (replace(_OUTCOME_FIGURES[0], target=1.06), replace(_OUTCOME_FIGURES[1], target=0.42)),
        lambda job: play_outcomes(job, 2),
        (),
        seeds=ORDERS,
    ),
    Row(
        "llm_rates",
        "eleven models, 41 types, all busy, after 1,000 tasks",
        (
            Figure("of_bound", "of the LP's bound", 0.95),
            Figure("busy", "share of time busy"),
            Figure("of_own_bound", "of the LP's bound in that time"),
            Figure("hindsight", "LP on a fit to its first 1,000"),
            Figure("right", "right"),
        ),
        play_rates,
        ("best_fit", "random", "true_skills", "oracle"),
    ),
)
