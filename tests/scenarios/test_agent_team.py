"""The scenario `agent_team`: over real Ceylon with its own models, and with others by their URL."""

from __future__ import annotations

import asyncio
import sys

import pytest
from muster.agents import TaskManager, TraceLog, follow
from muster.agents.diagram import check_diagram, find_diagrams
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.report.model import RunReport
from muster.messages import InvalidInput, ModelUnusable, TaskStatus
from muster.scenarios.agent_team import URL_VARIABLE, AgentTeam, answer
from muster.scenarios.model_server import ModelCall, ModelReply, ModelServer

pytestmark = pytest.mark.ceylon

DEADLINE_S = 120
LABEL = "Glenloch first flush, picked in March. Brew it for three minutes at 85 degrees."


def play(scenario: AgentTeam) -> tuple[RunReport, TraceLog]:
    log = TraceLog()

    def seen(manager: TaskManager) -> None:
        follow(manager, log)

    report = asyncio.run(asyncio.wait_for(scenario.play(seen=seen), DEADLINE_S))
    return report, log


def test_the_strong_model_mends_what_the_reviewer_rejected_and_a_person_approves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    scenario = AgentTeam(time_scale=0.05)
    report, log = play(scenario)
    tasks = {task.id: task for task in report.tasks}
    assert all(task.status is TaskStatus.COMPLETED for task in report.tasks)
    assert tasks["goal"].output == LABEL
    written = [
        (each.worker, each.is_review, each.outcome, each.quality)
        for each in tasks["goal/4"].history
    ]
    assert written == [
        ("Small", False, AttemptOutcome.REJECTED, 0.1),
        ("Judge", True, AttemptOutcome.SUCCEEDED, None),
        ("Large", False, AttemptOutcome.SUCCEEDED, 0.9),
        ("Judge", True, AttemptOutcome.SUCCEEDED, None),
    ]
    assert {name: each.attempts for name, each in report.by_model.items()} == {
        "large": 4,
        "small": 3,
    }
    assert sum(each.cost for each in report.by_model.values()) == pytest.approx(report.cost)
    assert LABEL in scenario.conclusion(report)
    (found,) = find_diagrams(sys.modules[AgentTeam.__module__].__doc__ or "", "agent_team")
    verdict = check_diagram(found.diagram, log.trace())
    assert verdict.holds, verdict.mismatch


def test_with_a_url_it_asks_the_models_that_its_arguments_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> tuple[RunReport, list[ModelCall]]:
        async with ModelServer(answer, models=("tiny", "huge")) as server:
            monkeypatch.setenv(URL_VARIABLE, server.url)
            playing = AgentTeam(0.05, ["tiny", "huge"]).play()
            return await asyncio.wait_for(playing, DEADLINE_S), server.calls

    report, calls = asyncio.run(story())
    assert report.success_rate == 1.0
    assert {call.model for call in calls} == {"tiny", "huge"}
    assert set(report.by_model) == {"tiny", "huge"}


def test_it_takes_two_models_or_none() -> None:
    with pytest.raises(InvalidInput, match="agent_team takes two names of models, not 1"):
        AgentTeam(arguments=["tiny"])


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("I am sorry, but I can't plan that.", "its answer is no Plan: "),
        ('{"steps": []}', "its answer is no Plan: steps: []: "),
        ('{"steps": [{"kind": "research", "text": "Why?"}]}', "the last step must be the one of"),
        ("", "it answered nothing"),
    ],
    ids=["no JSON", "no steps", "nothing written", "nothing"],
)
def test_a_model_that_plans_nothing_usable_ends_the_run_with_the_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, plan: str, told: str
) -> None:
    async def story() -> RunReport:
        async with ModelServer(lambda call: plan) as server:
            monkeypatch.setenv(URL_VARIABLE, server.url)
            return await asyncio.wait_for(AgentTeam(0.05).play(), DEADLINE_S)

    goal, planned = asyncio.run(story()).tasks
    for each in (goal, planned):
        message = str(each.error_message)
        assert told in message
        assert "\n" not in message
    assert planned.attempts == 4


def test_a_busy_server_and_prose_around_the_plan_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[ModelCall] = []

    def messy(call: ModelCall) -> ModelReply | str:
        asked.append(call)
        if len(asked) % 2:
            return ModelReply("slow down", status=429, headers={"Retry-After": "0"})
        if call.schema is not None and "steps" in str(call.schema):
            return f"Sure!\n```json\n{answer(call)}\n```\nWhat else?"
        return answer(call)

    async def story() -> RunReport:
        async with ModelServer(messy) as server:
            monkeypatch.setenv(URL_VARIABLE, server.url)
            return await asyncio.wait_for(AgentTeam(0.05).play(), DEADLINE_S)

    report = asyncio.run(story())
    assert report.success_rate == 1.0
    assert report.tasks[0].output == LABEL


def test_an_unknown_model_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with ModelServer(answer) as server:
            monkeypatch.setenv(URL_VARIABLE, server.url)
            await AgentTeam(0.05, ["small", "huge"]).play()

    with pytest.raises(ModelUnusable, match="has no model 'huge'; it has large, small"):
        asyncio.run(story())
