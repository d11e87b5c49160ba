"""Worlds of hidden skills: the same luck for every policy, and runs that can be repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.simulation.hidden_skills import (
    HiddenWorker,
    HiddenWorld,
    Outage,
    Wave,
    make_tasks,
    mixed_cast,
    streaming_world,
)
from muster.agents.simulation.hidden_skills_run import PlayedWorld, play_world
from muster.agents.simulation.reference_policies import REFERENCE_POLICIES, make_policy

POLICIES = ("best_fit", *REFERENCE_POLICIES)


def play(world: HiddenWorld, policy: str) -> PlayedWorld:
    return play_world(world, make_policy(policy, world))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_run(policy: str) -> None:
    world = streaming_world(5, mixed_cast(), 25)
    assert play(world, policy).attempts == play(world, policy).attempts


def test_what_an_attempt_comes_to_depends_on_task_worker_and_number_alone() -> None:
    world = streaming_world(5, mixed_cast(), 40)
    by_policy = [
        {(each.task.id, each.worker.name): each.succeeded for each in play(world, policy).attempts}
        for policy in ("best_fit", "random", "oracle")
    ]
    first, *others = by_policy
    shared = [key for key in first if any(key in each for each in others)]
    assert shared
    assert all(each[key] == first[key] for key in shared for each in others if key in each)


@pytest.mark.parametrize("policy", POLICIES)
def test_each_task_is_settled_and_none_waits_for_ever(policy: str) -> None:
    world = streaming_world(6, mixed_cast(), 25)
    played = play(world, policy)
    assert set(played.settled_at) == {task.id for task in world.tasks}


def test_the_oracle_is_better_than_any_policy_that_takes_the_task_first() -> None:
    world = streaming_world(7, mixed_cast(), 50)
    sums = {p: sum(each.chance for each in play(world, p).attempts) for p in POLICIES}
    assert sums["oracle"] == max(sums.values())
    assert sums["true_skills"] > sums["best_fit"]


def test_a_wave_begins_when_the_one_before_is_settled() -> None:
    waves = (Wave(make_tasks(1, 8)), Wave(make_tasks(1, 8, 9)))
    played = play(HiddenWorld(1, mixed_cast(), waves), "random")
    last = max(each.ended_at for each in played.of_wave(0))
    assert last <= played.wave_began_at[1] <= min(each.started_at for each in played.of_wave(1))


def test_a_backlog_keeps_so_many_tasks_unsettled() -> None:
    world = HiddenWorld(1, mixed_cast(), (Wave(make_tasks(1, 30), backlog=12),))
    played = play(world, "random")
    moments = sorted(played.added_at.values())
    assert moments[11] == moments[0] < moments[12]
    assert set(played.settled_at) == {task.id for task in world.tasks}


def test_a_worker_in_an_outage_loses_what_it_runs_and_comes_back() -> None:
    world = streaming_world(3, mixed_cast(), 60)
    outages = tuple(Outage(each.name, 4.0, 3.0) for each in world.workers[4:6])
    played = play(replace(world, outages=outages), "random")
    lost = [each for each in played.attempts if each.outcome is AttemptOutcome.LOST]
    assert {each.worker.name for each in lost} <= {each.worker for each in outages}
    assert lost
    back = {each.worker.name for each in played.attempts if each.started_at > 7.0}
    assert {each.worker for each in outages} <= back


def test_a_worker_that_hangs_is_timed_out_where_it_would_fail() -> None:
    worker = HiddenWorker("hangs", 9, 4.0, hangs=True)
    tasks = tuple(task.model_copy(update={"timeout": 5.0}) for task in make_tasks(1, 12))
    played = play(HiddenWorld(1, (worker,), (Wave(tasks),)), "best_fit")
    outcomes = {each.outcome for each in played.attempts}
    assert outcomes == {AttemptOutcome.SUCCEEDED, AttemptOutcome.TIMED_OUT}
