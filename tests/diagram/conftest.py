"""Traces of the scenarios, each played once, and traces built by hand."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest
from muster.agents.command.scenario_finder import built_in_scenarios
from muster.agents.command.trace_sources import trace_scenario
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.trace import RunFacts, SideMessage, TaskFacts, Trace, TraceLog
from muster.messages import WorkerProfile
from muster.scenarios.scenario import Scenario

REHEARSED = [story for story in built_in_scenarios() if not story.needs_the_real_network()]
"""The scenarios that can be played in virtual time."""

FEWER = {"model_team": ("100",)}
"""Arguments with which a scenario is shorter than by default."""

_played: dict[str, Trace] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `story` for each scenario that can be rehearsed."""
    if "story" in metafunc.fixturenames:
        metafunc.parametrize("story", REHEARSED, ids=lambda story: story.name())


@pytest.fixture
def trace_of_story() -> Callable[[type[Scenario]], Trace]:
    """Plays a scenario in virtual time; its trace."""

    def play(story: type[Scenario]) -> Trace:
        if story.name() not in _played:
            _played[story.name()] = trace_scenario(story(arguments=FEWER.get(story.name(), ())))
        return _played[story.name()]

    return play


@pytest.fixture
def source_of() -> Callable[[type[Scenario]], str]:
    """The source of the diagram in a scenario's docstring."""

    def read(story: type[Scenario]) -> str:
        story_told = importlib.import_module(story.__module__).__doc__ or ""
        return story_told.partition("```mermaid\n")[2].partition("```")[0]

    return read


class RunMaker:
    """Makes up a run, a second a step."""

    def __init__(self) -> None:
        self.log = TraceLog()
        self.at = 0.0
        self.log.note(RunFacts("task_manager"))

    def _note(self, what: OccurrenceKind, *about: object) -> RunMaker:
        self.log.note(Occurrence(self.at, what, *about))  # type: ignore[arg-type]
        return self

    def then(self) -> RunMaker:
        self.at += 1.0
        return self

    def join(self, name: str, skill: int = 5, *specialties: str, slots: int = 1) -> RunMaker:
        self.log.note(WorkerProfile(name, skill, specialties, slots))
        return self._note(OccurrenceKind.WORKER_JOINED, None, 0, name)

    def task(self, task_id: int | str, **facts: object) -> RunMaker:
        self.log.note(TaskFacts(task_id, **{"description": "a task", **facts}))  # type: ignore[arg-type]
        return self._note(OccurrenceKind.TASK_ADDED, task_id)

    def assign(self, task_id: int | str, worker: str, attempt: int = 1) -> RunMaker:
        return self._note(OccurrenceKind.TASK_ASSIGNED, task_id, attempt, worker)

    def complete(self, task_id: int | str, worker: str, attempt: int = 1) -> RunMaker:
        return self._note(OccurrenceKind.TASK_COMPLETED, task_id, attempt, worker)

    def happens(self, what: OccurrenceKind, *about: object) -> RunMaker:
        return self._note(what, *about)

    def aside(self, sender: str, receiver: str, text: str) -> RunMaker:
        self.log.note(SideMessage(self.at, sender, receiver, text))
        return self

    def end(self) -> Trace:
        self._note(OccurrenceKind.RUN_ENDED)
        return self.log.trace()


@pytest.fixture
def make_run() -> RunMaker:
    return RunMaker()


@pytest.fixture
def make_log() -> Callable[..., TraceLog]:
    return TraceLog
