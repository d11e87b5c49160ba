"""Random operations by several managers of one file agree with a small model."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from muster.agents import StateFileTaskManager
from muster.messages import IllegalTransition, NotTheHolder

from .conftest import StandingClock

HOLDS_H = 5
AGENTS = st.sampled_from(["ada", "ben", "cleo"])
TYPES = st.sampled_from(["brew", "pour"])
OUTCOMES = st.sampled_from(["completed", "failed", "cancelled"])


class Story(RuleBasedStateMachine):
    """The file, as three managers see it in turn, beside the model."""

    prefix = ""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.clock = StandingClock()
        self.managers = [self.make() for _ in range(3)]
        self.turn = 0
        # In the order of creation: id, type, status, holder, since when.
        self.model: list[dict[str, Any]] = []

    def make(self) -> StateFileTaskManager:
        return StateFileTaskManager(
            f"{self.prefix}{self.folder}/tasks",
            task_timeout_hours=HOLDS_H,
            survives_power_loss=False,
            clock=self.clock,
        )

    @property
    def manager(self) -> StateFileTaskManager:
        self.turn += 1
        return self.managers[self.turn % len(self.managers)]

    @rule(which=st.integers(0, 2))
    def another_takes_its_turn(self, which: int) -> None:
        self.turn = which

    @rule(which=st.integers(0, 2))
    def begin_anew(self, which: int) -> None:
        self.managers[which].close()
        self.managers[which] = self.make()

    @rule(hours=st.sampled_from([0, 1, 4]))
    def time_passes(self, hours: int) -> None:
        self.clock.pass_hours(hours)

    @rule(task_type=TYPES, number=st.integers())
    def create(self, task_type: str, number: int) -> None:
        task_id = self.manager.create_task(task_type, {"number": number})
        known = {"id": task_id, "type": task_type, "status": "pending", "holder": None}
        self.model.append({**known, "since": 0.0, "data": {"number": number}})

    @rule(agent=AGENTS, types=st.none() | st.lists(TYPES, min_size=1))
    def take(self, agent: str, types: list[str] | None) -> None:
        taken = self.manager.get_next_task(agent, types)
        for each in self.model:
            if each["holder"] and self.clock.at - each["since"] > HOLDS_H * 3600:
                each.update(status="pending", holder=None)
        waiting = [
            each
            for each in self.model
            if each["status"] == "pending" and (types is None or each["type"] in types)
        ]
        assert (taken and taken["id"]) == (waiting[0]["id"] if waiting else None)
        if waiting:
            waiting[0].update(status="in_progress", holder=agent, since=self.clock.at)

    @precondition(lambda self: self.model)
    @rule(agent=AGENTS, chosen=st.integers(0), outcome=OUTCOMES)
    def complete(self, agent: str, chosen: int, outcome: str) -> None:
        task = self.model[chosen % len(self.model)]
        is_held = task["holder"] == agent
        assert self.manager.complete_task(task["id"], agent, outcome) is is_held
        if is_held:
            task.update(status=outcome, holder=None)

    @precondition(lambda self: self.model)
    @rule(agent=AGENTS, chosen=st.integers(0))
    def release(self, agent: str, chosen: int) -> None:
        task = self.model[chosen % len(self.model)]
        if task["holder"] == agent:
            self.manager.release_task(task["id"], agent)
            task.update(status="pending", holder=None)
            return
        with pytest.raises(NotTheHolder if task["holder"] else IllegalTransition):
            self.manager.release_task(task["id"], agent)

    @invariant()
    def every_manager_sees_what_the_model_says(self) -> None:
        manager = self.managers[self.turn % len(self.managers)]
        for task in self.model:
            seen = manager.get_task(task["id"])
            assert seen["status"] == task["status"]
            assert seen["locked_by"] == task["holder"]
            assert seen["data"] == task["data"]
        counts = manager.get_status_summary()["status_counts"]
        assert sum(counts.values()) == len(self.model)

    def teardown(self) -> None:
        for manager in self.managers:
            manager.close()
        shutil.rmtree(self.folder)


class SqliteStory(Story):
    prefix = "sqlite:///"


@pytest.mark.parametrize("story", [Story, SqliteStory])
def test_a_few_stories(story: type[Story]) -> None:
    run_state_machine_as_test(story, settings=settings(max_examples=5, stateful_step_count=20))


@pytest.mark.slow
@pytest.mark.parametrize("story", [Story, SqliteStory])
def test_many_stories(story: type[Story]) -> None:
    run_state_machine_as_test(story, settings=settings(max_examples=15, stateful_step_count=40))
