"""The adaptive policy on a board: what it decides, holds back, explains and keeps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.invariants import check_invariants
from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.hold_rule import GUESS_AFTER_S
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    AssigningBegun,
    ResultReceived,
    TasksAdded,
    TimePassed,
    WorkerJoined,
)
from muster.agents.kernel.model.instructions import SendAssignment
from muster.messages import InvalidInput, Task, TaskResult, WorkerProfile

Succeeds = Callable[[str, Task, int], bool]


def make(number: int, difficulty: int = 5, type_: str = "work", **fields: Any) -> Task:
    return Task(id=number, description="a task", difficulty=difficulty, type=type_, **fields)


class Run:
    """A board whose workers take a second for each task, and succeed as told."""

    def __init__(
        self,
        workers: dict[str, dict[str, Any]],
        succeeds: Succeeds,
        policy: Any = "adaptive",
        **rules: Any,
    ) -> None:
        self.policy = find_policy(policy) if isinstance(policy, str) else policy
        rules = {"ends_when_done": False, "lost_after_s": 1e9, "unmatched_after_s": None, **rules}
        self.board = Board(Rules(**rules), self.policy)
        self.succeeds = succeeds
        self.durations: dict[str, float] = {}
        self.now = 0.0
        self.given: list[tuple[Any, str]] = []
        self.running: list[tuple[float, int, Any]] = []
        for name, fields in workers.items():
            profile = WorkerProfile(name, **{"skill_level": 5, **fields})
            self.tell(WorkerJoined(f"at {name}", profile, "1"))
        self.tell(AssigningBegun())

    def tell(self, event: Any) -> None:
        for each in self.board.handle(event, self.now):
            if isinstance(each, SendAssignment):
                assignment = each.assignment
                self.given.append((assignment.task.id, assignment.worker))
                ends_at = self.now + self.durations.get(assignment.worker, 1.0)
                self.running.append((ends_at, len(self.given), assignment))
        check_invariants(self.board)

    def add(self, *tasks: Task) -> Run:
        self.tell(TasksAdded(tasks))
        return self

    def step(self) -> bool:
        """Let the next thing happen. Returns whether there was one."""
        wakes_at = self.board.next_timer_at()
        ends_at = min(self.running)[0] if self.running else None
        if wakes_at is not None and (ends_at is None or wakes_at < ends_at):
            self.now = wakes_at
            self.tell(TimePassed())
            return True
        if ends_at is None:
            return False
        self.running.sort(key=lambda each: each[:2])
        self.now, _, assignment = self.running.pop(0)
        success = self.succeeds(assignment.worker, assignment.task, assignment.attempt)
        result = TaskResult(
            task_id=assignment.task.id,
            worker=assignment.worker,
            success=success,
            attempt=assignment.attempt,
            execution_time=self.durations.get(assignment.worker, 1.0),
            error_message=None if success else "ValueError: no",
        )
        self.tell(ResultReceived(f"at {assignment.worker}", result))
        return True

    def finish(self) -> Run:
        for _ in range(10_000):
            if not self.board.unsettled or not self.step():
                break
        assert not self.board.unsettled, "a task starves"
        return self


def always(worker: str, task: Task, attempt: int) -> bool:
    del worker, task, attempt
    return True


_skills = st.integers(1, 10)
_crews = st.dictionaries(
    st.sampled_from(["Ada", "Ben", "Cleo", "Dan"]),
    st.fixed_dictionaries({"skill_level": _skills, "slots": st.integers(1, 3)}),
    min_size=1,
)


@given(_crews, st.lists(_skills, min_size=1, max_size=20), st.sampled_from(["", "work"]))
@settings(max_examples=30, deadline=None)
def test_while_results_agree_with_declared_skills_it_decides_as_best_fit(
    crew: dict[str, dict[str, Any]], difficulties: list[int], type_: str
) -> None:
    best = max(each["skill_level"] for each in crew.values())
    tasks = [make(n, min(each, best), type_) for n, each in enumerate(difficulties, 1)]
    runs = [Run(crew, always, name).add(*tasks).finish() for name in ("best_fit", "adaptive")]
    assert runs[0].given == runs[1].given


@given(st.integers(0, 2**32), st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_no_task_starves_and_the_same_run_happens_again(seed: int, attempts: int) -> None:
    def play() -> Run:
        luck = random.Random(seed)
        crew = {
            f"w{n}": {"skill_level": luck.randint(1, 10), "slots": luck.randint(1, 2)}
            for n in range(4)
        }
        tasks = [
            make(n, luck.randint(1, 10), luck.choice("ab"), max_attempts=attempts)
            for n in range(1, 41)
        ]
        run = Run(crew, lambda worker, task, attempt: luck.random() < 0.6)
        run.durations = {"w0": 0.1, "w1": 5.0}
        return run.add(*tasks[:20]).finish().add(*tasks[20:]).finish()

    assert play().given == play().given


def test_a_worker_that_says_3_and_is_9_gets_its_chance_after_a_while() -> None:
    run = Run({"Modest": {"skill_level": 3}, "Weak": {"skill_level": 1}}, always)
    run.add(make(1, 9))
    assert run.given == []
    told = run.board.explain(1).headline
    assert "no connected worker declares the skill; Modest, the best guess, gets it" in told
    run.finish()
    assert run.given == [(1, "Modest")]
    assert run.now == pytest.approx(GUESS_AFTER_S + 1.0)


def test_a_worker_that_says_9_and_fails_is_found_out() -> None:
    run = Run(
        {"Liar": {"skill_level": 9}, "Honest": {"skill_level": 9}},
        lambda worker, task, attempt: worker == "Honest",
    )
    run.add(*(make(n, 8) for n in range(1, 41))).finish()
    assert Counter(worker for _, worker in run.given)["Liar"] <= 10


def test_a_black_hole_swallows_few_tasks() -> None:
    run = Run(
        {name: {"skill_level": 7} for name in ("Hole", "Ada", "Ben")},
        lambda worker, task, attempt: worker != "Hole",
    )
    run.durations = {"Hole": 0.1}
    run.add(*(make(n, 5) for n in range(1, 41))).finish()
    assert Counter(worker for _, worker in run.given)["Hole"] <= 4


def test_a_task_that_insists_on_a_skill_goes_to_nobody_else() -> None:
    run = Run({"Ada": {"skills": {"vision": 4}}, "Ben": {"skills": {"vision": 8}}}, always)
    tasks = [make(n, 1, required_skills={"vision": 7}, strict=True) for n in range(1, 6)]
    run.add(*tasks).finish()
    assert {worker for _, worker in run.given} == {"Ben"}


def test_a_wish_for_a_skill_widens_while_the_task_waits() -> None:
    run = Run({"Ada": {"skills": {"vision": 2}}, "Ben": {"skills": {"vision": 9}}}, always)
    run.durations = {"Ben": 10_000.0}
    run.add(make(1, 1, required_skills={"vision": 7}))
    run.add(make(2, 1, required_skills={"vision": 7}))
    assert run.given == [(1, "Ben")]
    assert "is held back: waits for Ben; another worker gets it in" in run.board.explain(2).headline
    run.finish()
    assert run.given == [(1, "Ben"), (2, "Ada")]


def test_the_figures_of_a_decision_are_told() -> None:
    run = Run({"Ada": {"skill_level": 7}, "Ben": {"skill_level": 5}}, always)
    run.add(make(1, 4)).finish()
    lines = run.board.explain(1).lines()
    assert lines[1].startswith("  Ben: chosen: chance 0.")
    assert "from no result yet), 1 s" in lines[1]
    assert lines[2].startswith("  Ada: ")


def test_the_earliest_deadline_comes_first_among_equals() -> None:
    run = Run({"Ada": {"skill_level": 9}}, always)
    run.add(make(1), make(2, deadline=50.0), make(3, deadline=20.0), make(4, priority=1))
    run.finish()
    assert [task for task, _ in run.given] == [4, 3, 2, 1]


def test_priorities_age() -> None:
    run = Run({"Ada": {"skill_level": 9}}, always, aging_s=10.0)
    run.add(make(1), make(2))
    run.now = 25.0
    run.add(make(3, priority=1), make(4, priority=9))
    run.finish()
    assert [task for task, _ in run.given] == [1, 4, 2, 3]


@given(st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_a_restored_policy_decides_as_the_one_that_went_on(seed: int) -> None:
    crew = {f"w{n}": {"skill_level": 1 + 3 * n} for n in range(3)}
    luck = random.Random(seed)
    chances = {name: luck.random() for name in crew}
    tasks = [make(n, luck.randint(1, 9), luck.choice("ab")) for n in range(1, 81)]

    def succeeds(worker: str, task: Task, attempt: int) -> bool:
        return random.Random(f"{seed}/{worker}/{task.id}/{attempt}").random() < chances[worker]

    run = Run(crew, succeeds).add(*tasks[:40]).finish()
    restored = AdaptivePolicy()
    restored.restore_state(run.policy.export_state())
    again = Run(crew, succeeds, restored)
    again.now = run.now
    before = len(run.given)
    run.add(*tasks[40:]).finish()
    again.add(*tasks[40:]).finish()
    assert run.given[before:] == again.given


@pytest.mark.parametrize("state", [{"Ada": 3}, {"": {"market": 3}}, {"": {"results": -1}}])
def test_a_state_that_is_not_readable_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        AdaptivePolicy().restore_state(state)
