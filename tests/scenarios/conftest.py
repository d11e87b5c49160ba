"""Reads the diagram in a scenario's docstring, and tells a run in the same words."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from muster.agents.kernel.events import Occurrence, What
from muster.agents.manager import TaskManager
from muster.agents.report import RunReport
from muster.agents.virtual_time import run_in_virtual_time
from muster.scenarios.scenario import Scenario

ARROW = re.compile(r"^(\w+)-?->>(\w+): (.*)$")


@dataclass
class Diagram:
    """The arrows of a Mermaid sequence diagram; those of a `par` block are one unordered step."""

    steps: list[frozenset[tuple[str, str]]] = field(default_factory=list)

    @classmethod
    def of(cls, module_name: str) -> Diagram:
        module = importlib.import_module(module_name)
        text = re.search(r"```mermaid\n(.*?)```", module.__doc__ or "", re.DOTALL)
        assert text is not None, f"{module_name} has no diagram in its docstring"
        diagram = cls()
        parallel: set[tuple[str, str]] | None = None
        for raw in text[1].splitlines():
            line = raw.strip()
            if line == "par" or line.startswith("par "):
                parallel = set()
            elif line == "end" and parallel is not None:
                diagram.steps.append(frozenset(parallel))
                parallel = None
            elif arrow := ARROW.match(line):
                step = _step(*arrow.groups())
                if parallel is None:
                    diagram.steps.append(frozenset({step}))
                else:
                    parallel.add(step)
        return diagram

    def check(self, happened: list[tuple[str, str]]) -> None:
        """Fail at the first step that did not happen in its place."""
        rest = list(happened)
        for step in self.steps:
            came, rest = rest[: len(step)], rest[len(step) :]
            assert frozenset(came) == step, f"the diagram says {sorted(step)}, the run {came}"
        assert rest == [], f"the run went on after the diagram's end: {rest}"


def _step(sender: str, receiver: str, text: str) -> tuple[str, str]:
    worker = receiver if sender == "TM" else sender
    if text.startswith("TaskAssignment"):
        return worker, "assign " + text.partition("(")[2].partition(",")[0].rstrip(")")
    if text.startswith("TaskResult"):
        outcome = "true" if "success=true" in text else "false"
        return worker, "result " + text.partition("(")[2].partition(",")[0] + " " + outcome
    if text.startswith("CancelTask"):
        return worker, "cancel " + text.partition("(")[2].rstrip(")")
    return worker, text.lower()


@dataclass
class Rehearsal:
    """What happened in a rehearsed scenario."""

    report: RunReport
    manager: TaskManager
    happened: list[tuple[str, str]]
    lasted_s: float


_TOLD = {
    What.WORKER_JOINED: "connect",
    What.TASK_ASSIGNED: "assign T{}",
    What.TASK_COMPLETED: "result T{} true",
    What.ATTEMPT_FAILED: "result T{} false",
    What.ATTEMPT_TIMED_OUT: "cancel T{}",
}


@pytest.fixture
def diagram_of() -> Callable[[str], Diagram]:
    """Reads the diagram in a module's docstring."""
    return Diagram.of


@pytest.fixture
def rehearse_scenario() -> Callable[..., Rehearsal]:
    """Rehearses a scenario in virtual time and tells what happened."""

    def go(scenario: Scenario) -> Rehearsal:
        return run_in_virtual_time(_rehearse(scenario))

    return go


async def _rehearse(scenario: Scenario) -> Rehearsal:
    happened: list[tuple[str, str]] = []
    managers: list[TaskManager] = []

    def note(occurrence: Occurrence) -> None:
        if told := _TOLD.get(occurrence.what):
            happened.append((occurrence.worker, told.format(occurrence.task_id)))

    def seen(manager: TaskManager) -> None:
        managers.append(manager)
        manager.watch(note)

    report = await scenario.rehearse(seen=seen)
    joined = [worker for worker, told in happened if told == "connect"]
    happened += [(worker, "shutdown") for worker in joined]
    return Rehearsal(report, managers[0], happened, asyncio.get_running_loop().time())
