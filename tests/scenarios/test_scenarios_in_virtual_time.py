"""Each scenario runs in virtual time as the diagram in its docstring shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.diagram import check_diagram
from muster.messages import TaskStatus, WorkersMissing
from muster.scenarios.all_well import AllWell
from muster.scenarios.error_handling import ErrorHandling
from muster.scenarios.late_worker import LateWorker
from muster.scenarios.model_team import ModelTeam
from muster.scenarios.more_tasks_than_workers import MoreTasksThanWorkers
from muster.scenarios.normal_operation import NormalOperation
from muster.scenarios.priorities import Priorities
from muster.scenarios.scenario import Scenario
from muster.scenarios.some_failures import SomeFailures
from muster.scenarios.specialists import Specialists
from muster.scenarios.timeout import Timeout
from muster.scenarios.word_count import WordCount

STORIES = [
    AllWell,
    SomeFailures,
    NormalOperation,
    ErrorHandling,
    Timeout,
    Priorities,
    Specialists,
    MoreTasksThanWorkers,
    LateWorker,
    WordCount,
    ModelTeam,
]

FEWER = {ModelTeam: ("60",)}
"""Arguments with which a scenario is shorter than by default."""


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name())
def test_the_run_goes_as_its_diagram_shows(
    story: type[Scenario],
    rehearse_scenario: Callable[..., Any],
    diagram_of: Callable[..., Any],
) -> None:
    rehearsal = rehearse_scenario(story(arguments=FEWER.get(story, ())))
    verdict = check_diagram(diagram_of(story).diagram, rehearsal.trace, second_s=1.0)
    assert verdict.holds, f"{story.name()}: {verdict.mismatch}"
    assert verdict.messages >= 4


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name())
def test_every_task_has_exactly_one_recorded_outcome(
    story: type[Scenario], rehearse_scenario: Callable[..., Any]
) -> None:
    rehearsal = rehearse_scenario(story(arguments=FEWER.get(story, ())))
    recorded = [result.task_id for result in rehearsal.manager.task_results]
    assert sorted(recorded) == sorted(task.id for task in rehearsal.manager.tasks)
    assert all(task.status.is_final for task in rehearsal.report.tasks)


def test_all_well_succeeds_completely_and_takes_as_long_as_the_hardest_task(
    rehearse_scenario: Callable[..., Any],
) -> None:
    rehearsal = rehearse_scenario(AllWell())
    assert rehearsal.report.success_rate == 1.0
    assert rehearsal.report.exit_code == 0
    assert {task.id: task.worker for task in rehearsal.report.tasks} == {
        1: "Junior",
        2: "Intermediate",
        3: "Senior",
    }
    assert 8.0 <= rehearsal.lasted_s < 9.0


def test_some_failures_succeeds_to_two_thirds(rehearse_scenario: Callable[..., Any]) -> None:
    rehearsal = rehearse_scenario(SomeFailures())
    assert round(rehearsal.report.success_rate, 4) == 0.6667
    assert rehearsal.report.exit_code == 1
    failed = next(task for task in rehearsal.report.tasks if not task.success)
    assert (failed.id, failed.worker) == (3, "Junior")
    assert failed.error_message == "too difficult: skill 3 is below difficulty 8"


def test_error_handling_leaves_statistics_of_nothing_and_all(
    rehearse_scenario: Callable[..., Any],
) -> None:
    rehearsal = rehearse_scenario(ErrorHandling())
    stats = rehearsal.manager.worker_stats
    assert stats["Worker1"]["success_rate"] == 0.0
    assert stats["Worker2"]["success_rate"] == 1.0
    assert stats["Worker1"]["completed_tasks"] == 1


def test_the_stuck_worker_is_cancelled_after_ten_seconds_and_the_task_marked_failed(
    rehearse_scenario: Callable[..., Any],
) -> None:
    rehearsal = rehearse_scenario(Timeout())
    (task,) = rehearsal.report.tasks
    assert task.status is TaskStatus.FAILED
    assert task.error_message == "timed out: after 10 s"
    assert rehearsal.manager.worker_stats["Worker"]["success_rate"] == 0.0
    assert 10.0 <= rehearsal.lasted_s < 11.0


def test_without_its_late_worker_the_run_starts_after_five_seconds(
    rehearse_scenario: Callable[..., Any],
) -> None:
    rehearsal = rehearse_scenario(LateWorker())
    assert rehearsal.report.success_rate == 1.0
    assert 10.0 <= rehearsal.lasted_s < 11.0


def test_told_to_need_everyone_the_run_ends_and_names_who_is_missing(
    rehearse_scenario: Callable[..., Any],
) -> None:
    with pytest.raises(WorkersMissing, match=r"2 of 3 expected workers.*missing: Senior"):
        rehearse_scenario(LateWorker(arguments=["fail"]))
