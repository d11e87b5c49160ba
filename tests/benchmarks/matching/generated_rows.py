"""The rows with generated worlds: streams, batches, retries, lies, thrift, recovery and faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

from muster.agents.simulation.hidden_skills import (
    FALL_AT,
    HiddenWorld,
    mixed_cast,
    streaming_world,
)
from muster.agents.simulation.hidden_skills_run import PlayedWorld, play_world
from muster.agents.simulation.reference_policies import Oracle

from .bound import most_successes
from .measures import (
    between,
    calibration_error,
    expected_successes,
    span_over_bound,
    wait_s,
)
from .prediction import predictor_of
from .row import Figure, Job, Outcome, Row, find, share
from .worlds import (
    EARLIER_TASKS,
    batch_world,
    black_hole_world,
    costly_world,
    declaring,
    drawn_cast,
    with_hanging,
    with_outages,
    with_slots,
    without_fall,
)

ALL = ("best_fit", "score", "in_order", "random", "round_robin", "true_skills", "oracle")
FEW = ("best_fit", "random", "oracle")
THRIFTS = (0.04, 0.08, 0.12, 0.16)
MOST_LOST = 0.01
RECOVERY_WINDOW = 50
RECOVERED_LOSS = 0.02
NEVER = 400


def stream_row(
    name: str,
    title: str,
    make: Callable[[int, int], HiddenWorld],
    target: float | None,
    today: str,
    policies: tuple[str, ...] = FEW,
) -> Row:
    """A row in which tasks stream in, measured by the successes over the oracle's."""

    def play(job: Job) -> Outcome:
        count = job.count(400, 60)
        half = count // 2
        world = make(job.seed, count)
        outcome = Outcome()
        late: dict[str, float] = {}
        whole: dict[str, float] = {}
        played_by: dict[str, PlayedWorld] = {}
        for policy in dict.fromkeys((*job.policies, "oracle")):
            played = played_by[policy] = play_world(world, find(policy, world))
            late[policy] = expected_successes(between(played.attempts, half + 1, count))
            whole[policy] = expected_successes(played.attempts)
        tasks = world.tasks[half:]
        rate = world.waves[0].rate
        assert rate is not None
        bound = most_successes(world, tasks, len(tasks) / rate)
        oracle = {each.task.id: each.chance for each in played_by["oracle"].attempts}
        for policy, played in played_by.items():
            outcome.figures[policy] = {
                "late": share(late, policy),
                "whole": share(whole, policy),
                "of_bound": late[policy] / bound,
                "right": len(played.done) / count,
                "wait_s": wait_s(played, played.attempts),
            }
            lost = [
                oracle.get(each.task.id, 0.0) - each.chance
                for each in sorted(played.attempts, key=lambda each: int(each.task.id))
            ]
            outcome.curves[policy] = {"regret": [round(each, 4) for each in accumulate(lost)]}
        return outcome

    figures = (
        Figure("late", "of the oracle, second half", target, today=today),
        Figure("whole", "of the oracle, all"),
        Figure("of_bound", "of the LP's bound, second half"),
        Figure("right", "right at first try"),
        Figure("wait_s", "wait, s", digits=1),
    )
    return Row(name, title, figures, play, policies)


def play_batch(job: Job, max_attempts: int) -> Outcome:
    count, earlier = job.count(400, 40), job.count(EARLIER_TASKS, 20)
    world = batch_world(job.seed, mixed_cast(), count, earlier, max_attempts)
    outcome = Outcome()
    successes: dict[str, float] = {}
    for policy in dict.fromkeys((*job.policies, "oracle")):
        played = play_world(world, find(policy, world))
        attempts = played.of_wave(1)
        successes[policy] = expected_successes(attempts)
        done = sum(task.id in played.done for task in world.waves[1].tasks)
        outcome.figures[policy] = {
            "done": done / count,
            "span": span_over_bound(played, 1),
            "attempts": len(attempts) / count,
        }
    for policy, figures in outcome.figures.items():
        figures["of_oracle"] = share(successes, policy)
    return outcome


def play_thrift(job: Job) -> Outcome:
    count = job.count(400, 40)
    world = costly_world(job.seed, count)
    outcome = Outcome()
    for policy in job.policies:
        thrifts = (0.0, *THRIFTS) if policy not in ("best_fit", "random") else (0.0,)
        figures: dict[str, float] = {}
        for thrift in thrifts:
            made = Oracle(world, thrift) if policy == "oracle" else find(policy, world)
            played = play_world(world, made, thrift=thrift)
            figures[f"done_{thrift:g}"] = len(played.done) / count
            figures[f"cost_{thrift:g}"] = sum(each.cost for each in played.attempts) / count
        for thrift in thrifts[1:]:
            figures[f"saved_{thrift:g}"] = 1.0 - figures[f"cost_{thrift:g}"] / figures["cost_0"]
            figures[f"lost_{thrift:g}"] = figures["done_0"] - figures[f"done_{thrift:g}"]
        figures["done"], figures["cost"] = figures["done_0"], figures["cost_0"]
        outcome.figures[policy] = figures
    return outcome


def pool_savings(
    means: Mapping[str, float], curves: list[dict[str, list[Any]]]
) -> dict[str, float]:
    """The most that a value of cost saves while no more than one task of a hundred is lost."""
    del curves
    found = [
        means[f"saved_{thrift:g}"]
        for thrift in THRIFTS
        if means.get(f"lost_{thrift:g}", math.inf) <= MOST_LOST
    ]
    return {"saved": max(found)} if found else {}


def play_recovery(job: Job) -> Outcome:
    count = 400
    world = streaming_world(job.seed, mixed_cast(), count)
    judge = Oracle(world)
    outcome = Outcome()
    for policy in dict.fromkeys((*job.policies, "oracle")):
        played = play_world(world, find(policy, world))
        given = [
            each
            for each in played.attempts
            if each.worker.name == "falls" and int(each.task.id) > FALL_AT
        ]
        lost = {int(each.task.id): judge.loss(each.worker, each.task) for each in given}
        recovered = first_right_share(lost, FALL_AT + 1, count)
        results = sum(number < recovered for number in lost) if recovered else NEVER
        later = [loss for number, loss in lost.items() if number > count - RECOVERY_WINDOW]
        outcome.figures[policy] = {
            "results": results,
            "never": float(recovered is None),
            "loss": sum(later) / RECOVERY_WINDOW,
            "given": len(given),
        }
        losses = [lost.get(number, 0.0) for number in range(FALL_AT + 1, count + 1)]
        outcome.curves[policy] = {"loss": [round(each, 4) for each in losses]}
    return outcome


def first_right_share(lost: Mapping[int, float], first: int, last: int) -> int | None:
    """The number of the first task from which on a worker's share of the tasks is right.

    It is right if the tasks that the worker gets of the next 50 cost at most 0.02 successes each
    against the best pairs. None: it never is.

    Args:
        lost: by the number of the task, what was lost because this worker got it.
        first: the number of the first task.
        last: the number of the last one.
    """
    for number in range(first, last - RECOVERY_WINDOW + 2):
        inside = sum(lost.get(each, 0.0) for each in range(number, number + RECOVERY_WINDOW))
        if inside <= RECOVERED_LOSS * RECOVERY_WINDOW:
            return number
    return None


def play_calibration(job: Job) -> Outcome:
    count = job.count(400, 60)
    outcome = Outcome()
    for policy in job.policies:
        pairs: list[tuple[float, float]] = []
        later: list[tuple[float, float]] = []
        for world in (
            streaming_world(job.seed, mixed_cast(), count),
            streaming_world(job.seed, drawn_cast(job.seed), count),
        ):
            made = find(policy, world)
            predict = predictor_of(made)
            if predict is None:
                break
            played = play_world(world, predict.policy, predict=predict)
            for each in played.attempts:
                if each.predicted is not None:
                    pairs.append((each.predicted, float(each.succeeded)))
                    if int(each.task.id) > count // 4:
                        later.append(pairs[-1])
        if pairs:
            outcome.figures[policy] = {
                "error": calibration_error(pairs),
                "error_later": calibration_error(later),
            }
            outcome.curves[policy] = {"predicted": [(round(p, 4), y) for p, y in pairs]}
    return outcome


def pool_predictions(
    means: Mapping[str, float], curves: list[dict[str, list[Any]]]
) -> dict[str, float]:
    """The calibration error of all runs together."""
    del means
    pairs = [tuple(pair) for each in curves for pair in each.get("predicted", [])]
    return {"pooled": calibration_error(pairs)} if pairs else {}


def play_black_hole(job: Job) -> Outcome:
    world = black_hole_world(job.seed, 40)
    outcome = Outcome()
    for policy in job.policies:
        played = play_world(world, find(policy, world))
        swallowed = sum(each.worker.name == "black_hole" for each in played.attempts)
        outcome.figures[policy] = {"swallowed": swallowed, "done": len(played.done) / 40}
    return outcome


def play_faults(job: Job) -> Outcome:
    count = job.count(400, 60)
    worlds = {
        f"slots_{slots}": streaming_world(
            job.seed, with_slots(without_fall(mixed_cast()), slots), count
        )
        for slots in (1, 4, 16)
    }
    plain = worlds["slots_1"]
    rate = plain.waves[0].rate
    assert rate is not None
    worlds["lost"] = with_outages(plain, count / rate)
    worlds["timeouts"] = with_hanging(plain)
    outcome = Outcome()
    for name, world in worlds.items():
        late: dict[str, float] = {}
        for policy in dict.fromkeys((*job.policies, "oracle")):
            played = play_world(world, find(policy, world))
            ended = [each for each in played.attempts if each.counts]
            late[policy] = expected_successes(between(ended, count // 2 + 1, count))
        for policy in late:
            outcome.figures.setdefault(policy, {})[name] = share(late, policy)
    for figures in outcome.figures.values():
        figures["spread"] = max(figures["slots_1"] - figures[name] for name in worlds)
    return outcome


def _stream(cast_of: Callable[[int], tuple], **options: float) -> Callable[[int, int], HiddenWorld]:
    return lambda seed, count: streaming_world(seed, cast_of(seed), count, **options)


GENERATED_ROWS = (
    stream_row(
        "streaming",
        "tasks stream in, a worker falls",
        _stream(lambda _: mixed_cast()),
        0.93,
        ".66",
        ALL,
    ),
    stream_row(
        "no_fall",
        "the same without the fall",
        _stream(lambda _: without_fall(mixed_cast())),
        0.95,
        ".68",
    ),
    stream_row("drawn", "workers drawn by chance", _stream(drawn_cast), 0.95, ".77"),
    Row(
        "batch",
        "a batch, with a scorecard from 200 tasks",
        (
            Figure("of_oracle", "of the oracle", 0.93, today=".77"),
            Figure("span", "span over bound", 1.05, at_most=True, today="1.35"),
            Figure("done", "done"),
        ),
        lambda job: play_batch(job, 1),
        ALL,
    ),
    Row(
        "retries",
        "three attempts",
        (
            Figure("done", "done", 0.87, today=".81"),
            Figure("span", "span over bound", 1.1, at_most=True, today="2.96"),
            Figure("attempts", "attempts per task", digits=2),
        ),
        lambda job: play_batch(job, 3),
        ALL,
    ),
    stream_row(
        "hard",
        "success exactly if the skill suffices",
        _stream(lambda _: without_fall(mixed_cast()), sharpness=math.inf),
        0.90,
        ".62",
    ),
    stream_row(
        "all_say_10",
        "everyone declares 10",
        _stream(lambda _: declaring(mixed_cast(), 10)),
        0.93,
        ".69",
    ),
    Row(
        "thrift",
        "cost with a value of cost, three attempts",
        (
            Figure("done", "done"),
            Figure("cost", "cost per task", digits=2),
            Figure("saved", "saved, at most .01 lost", 0.25),
            *(
                figure
                for thrift in THRIFTS
                for figure in (
                    Figure(f"saved_{thrift:g}", f"with {thrift:g}"),
                    Figure(f"lost_{thrift:g}", "lost"),
                )
            ),
        ),
        play_thrift,
        ("best_fit", "random", "oracle"),
        pool=pool_savings,
    ),
    Row(
        "recovery",
        "results of a fallen worker until its share is right",
        (
            Figure("results", "results (400: never)", 25.0, at_most=True, today="never", digits=1),
            Figure("never", "share of runs without", digits=2),
            Figure("loss", "loss per task at the end"),
            Figure("given", "tasks it gets", digits=0),
        ),
        play_recovery,
        ("best_fit", "random", "oracle"),
    ),
    Row(
        "calibration",
        "predicted chance against frequency, by run",
        (
            Figure("error", "expected error, each run"),
            Figure("error_later", "after a quarter"),
            Figure("pooled", "expected error, all runs", 0.05, at_most=True),
        ),
        play_calibration,
        ("true_skills",),
        pool=pool_predictions,
    ),
    Row(
        "black_hole",
        "of 40 tasks, those a worker gets that fails them in 0.1 s",
        (
            Figure("swallowed", "tasks", 4.0, at_most=True, today="39", digits=1),
            Figure("done", "done"),
        ),
        play_black_hole,
    ),
    Row(
        "faults",
        "of the oracle, second half, with slots and faults",
        (
            Figure("slots_1", "1 slot"),
            Figure("slots_4", "4 slots"),
            Figure("slots_16", "16 slots"),
            Figure("lost", "lost workers"),
            Figure("timeouts", "timeouts"),
            Figure("spread", "most below 1 slot", 0.02, at_most=True),
        ),
        play_faults,
        ("best_fit", "random"),
    ),
)
