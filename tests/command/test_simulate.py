"""What `muster simulate` prints, and how it ends."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.command import simulate, simulate_skills
from muster.agents.execution.task_runner import TaskRunner
from muster.messages import TaskAssignment, TaskResult

Invoke = Callable[..., Any]


def test_runs_that_break_nothing_are_counted_and_end_well(invoke: Invoke) -> None:
    ended = invoke("simulate", "all_well", "--seed", 7, "--runs", 3)
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0] == "all_well: 3 runs, seeds 7 to 9"
    assert re.match(
        r"faults injected: \d+ \(loss \d+, duplicate \d+, .*, handover \d+\)$", lines[1]
    )
    assert re.match(r"3 runs, \d+\.\d\d h of virtual time in .* runs/s$", lines[2])
    assert lines[3] == "no invariant was violated"


def test_a_seed_by_chance_is_printed(invoke: Invoke) -> None:
    ended = invoke("simulate", "all_well", "--storm", 1)
    assert re.match(r"all_well: 1 run, seeds (\d+) to \1\n", ended.out)


def test_the_stress_story_needs_no_scenario(invoke: Invoke) -> None:
    ended = invoke("simulate", "--stress", "--seed", 1, "--storm", 2)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "generated workload: 1 run, seeds 1 to 1")


def test_only_the_faults_that_are_named_happen(invoke: Invoke) -> None:
    ended = invoke("simulate", "--stress", "--seed", 1, "--runs", 3, "--faults", "kill")
    assert "loss 0, duplicate 0, reorder 0, delay 0, partition 0, kill" in ended.out


def test_a_broken_invariant_is_told_with_the_command_that_repeats_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = TaskRunner.__init__

    def begin_forgetful(
        self: TaskRunner, worker: str, slots: int, perform: Any, *others: Any, **more: Any
    ) -> None:
        async def twice(assignment: TaskAssignment) -> TaskResult:
            await perform(assignment)
            return await perform(assignment)

        begin(self, worker, slots, twice, *others, **more)

    monkeypatch.setattr(TaskRunner, "__init__", begin_forgetful)
    ended = invoke("simulate", "all_well", "--seed", 7, "--runs", 3, "--storm", 5)
    assert ended.code == 1
    assert "seed 7 violated an invariant: an attempt runs at most once, on one worker" in ended.out
    assert "history of task " in ended.out
    assert "task_assigned  attempt 1" in ended.out
    repeat = ended.out.splitlines()[-1].removeprefix("to repeat this run: muster ")
    assert repeat == "simulate --seed 7 --storm 0 --faults '' -- all_well"
    again = invoke(*shlex.split(repeat))
    assert again.out.splitlines()[3:] == ended.out.splitlines()[3:]


@pytest.mark.slow
def test_runs_spread_over_processes_come_to_the_same(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "_RUNS_PER_SHARE", 2)
    story = ("simulate", "--stress", "--seed", 1, "--runs", 5, "--storm", 1)
    alone, spread = invoke(*story), invoke(*story, "--processes", 2)
    assert spread.out.splitlines()[:2] == alone.out.splitlines()[:2]


def test_a_scenario_with_plain_agents_can_not_be_simulated(invoke: Invoke) -> None:
    ended = invoke("simulate", "embedded")
    assert ended.code == 2
    assert ended.err.startswith("muster: scenario 'embedded' can't be simulated: plain Ceylon")


def test_an_unknown_fault_lists_the_known_ones(invoke: Invoke) -> None:
    ended = invoke("simulate", "all_well", "--faults", "kill,los")
    assert ended.code == 2
    assert ended.err.startswith(
        "muster: there is no fault 'los'; did you mean 'loss'? known: delay, "
    )


@pytest.mark.parametrize(
    "arguments",
    [(), ("all_well", "--stress"), ("all_well", "--skills"), ("--stress", "--skills")],
)
def test_it_takes_one_of_a_scenario_the_stress_story_and_skills(
    invoke: Invoke, arguments: tuple[str, ...]
) -> None:
    ended = invoke("simulate", *arguments)
    assert (ended.code, ended.err) == (
        2,
        "muster: give one of a scenario, --stress and --skills\n",
    )


@pytest.mark.slow
def test_skills_compares_policies_and_the_same_seed_gives_the_same_table(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_skills, "TASKS", 16)
    ended, again = (invoke("simulate", "--skills", "--seed", 1, "--runs", 2) for _ in range(2))
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0] == "hidden skills: 16 tasks, 8 workers, seeds 1 to 2"
    figures = {line.split()[0]: line.split()[1:] for line in lines[2:-1]}
    assert {"best_fit", "in_order", "score", "random", "true_skills", "oracle"} <= set(figures)
    assert figures["oracle"][:3] == ["1.000", "±", "0.000"]
    assert float(figures["best_fit"][0]) < 1
    assert again.out.splitlines()[:-1] == lines[:-1]
