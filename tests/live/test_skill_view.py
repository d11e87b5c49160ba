"""What pages and the API are told of costs, and of what a policy has learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from muster.agents.kernel.matching.adaptive import AdaptivePolicy
from muster.agents.kernel.matching.learning_policy import SettledAttempt
from muster.agents.kernel.matching.policies import BestFit
from muster.agents.kernel.matching.scorecards.scorecards import Scorecards
from muster.agents.kernel.model.events import WorkerJoined
from muster.agents.kernel.model.records import AttemptOutcome, WorkerRecord
from muster.agents.live import skill_view
from muster.messages import Task, WorkerProfile

Make = Callable[..., Any]


def learned(*results: tuple[str, str, bool]) -> AdaptivePolicy:
    """A policy that has learned from these results: worker, type, and whether it succeeded."""
    scorecards = Scorecards()
    for at, (name, task_type, succeeded) in enumerate(results):
        scorecards.learn(
            SettledAttempt(
                Task(id=1, description="a task", difficulty=5, type=task_type),
                WorkerRecord(WorkerProfile(name, 5), f"at {name}", "1", 1, 0.0, 0.0),
                attempt=1,
                outcome=AttemptOutcome.SUCCEEDED if succeeded else AttemptOutcome.FAILED,
                duration_s=2.0,
                error_kind="" if succeeded else "ValueError",
                quality=None,
                cost=0.5,
                counts_as_skill=True,
                at=float(at),
            )
        )
    scorecards.settle()
    return AdaptivePolicy(scorecards)


def test_costs_are_shown_with_the_budget_and_of_each_worker(desk: Make) -> None:
    here = desk(budget=10.0, cost_unit="EUR")
    here.handle(WorkerJoined("at Ada", WorkerProfile("Ada", 5, cost_per_task=2.5), session="1"))
    here.begin()
    here.add(1)
    here.open()
    here.end_attempt(1)
    told = here.change()
    run = {name: told["run"][name] for name in ("cost", "unit", "budget")}
    assert run == {"cost": 2.5, "unit": "EUR", "budget": 10.0}
    (ada,) = told["workers"]
    assert ada["cost"] == 2.5


def test_a_policy_that_does_not_learn_shows_no_skills(desk: Make) -> None:
    here = desk()
    assert here.page.head(here.board, here.now)["skills"] is None
    here.open()
    assert "skills" not in here.change()


def test_skills_are_shown_as_a_map_and_sent_again_when_they_have_changed(desk: Make) -> None:
    here = desk()
    here.board.queue.policy = learned(("Ada", "vision", True), ("Ben", "", False))
    told = here.page.head(here.board, here.now)["skills"]
    assert told["columns"] == [["", False], ["vision", False]]
    assert [worker for worker, _ in told["rows"]] == ["Ada", "Ben"]
    (nothing, seen), _ = (cells for _, cells in told["rows"])
    skill, deviation, chance, results, pace_ms, cost, blocked = seen
    assert nothing is None
    assert (results, cost, blocked) == (1, 0.5, None)
    assert skill > 5 > deviation > 0
    assert 0.5 < chance < 1
    assert pace_ms > 0
    here.open()
    here.now += 1
    assert "skills" not in here.change()
    here.board.queue.policy = learned(("Ada", "vision", False))
    # Not with each of the changes that are sent five times a second.
    assert "skills" not in here.change()
    here.now += skill_view.EVERY_S
    (row,) = here.change()["skills"]["rows"]
    assert row[0] == "Ada"


def test_a_map_of_many_workers_and_types_is_bounded(desk: Make) -> None:
    here = desk()
    many = range(100)
    here.board.queue.policy = learned(*((f"W{n}", f"t{n % 20}", True) for n in many))
    told = here.page.head(here.board, here.now)["skills"]
    assert len(told["rows"]) == skill_view.MAX_ROWS
    assert len(told["columns"]) == skill_view.MAX_COLUMNS
    assert told["hidden"] == [100 - skill_view.MAX_ROWS, 20 - skill_view.MAX_COLUMNS]


async def test_the_api_tells_costs_and_skills(house: Make, client: Make) -> None:
    async with house(budget=10.0, cost_unit="EUR") as here, client(here.manager) as web:
        await here.employ("Ada", 7, skills={"vision": 9}, cost_per_task=2.5, time_scale=0)
        await here.manager.submit(Task(id=1, description="a task", difficulty=1))
        stats = (await web.get("/api/stats")).json()
        told = {name: stats[name] for name in ("cost", "cost_unit", "budget", "budget_left")}
        assert told == {"cost": 2.5, "cost_unit": "EUR", "budget": 10.0, "budget_left": 7.5}
        assert stats["cost_in_other_units"] == {}
        task = (await web.get("/api/tasks/1")).json()
        assert (task["cost"], task["quality"]) == (2.5, None)
        (worker,) = (await web.get("/api/workers")).json()
        assert (worker["cost"], worker["cost_per_task"]) == (2.5, 2.5)
        assert worker["skills"] == {"vision": 9.0}
        here.manager.board.queue.policy = learned(("Ada", "vision", True))
        told = (await web.get("/api/skills")).json()
        assert (told["cost_unit"], told["difficulty"]) == ("EUR", 5)
        (cell,) = told["cells"]
        assert (cell["worker"], cell["type"], cell["results"]) == ("Ada", "vision", 1)
        here.manager.board.queue.policy = BestFit()
        assert (await web.get("/api/skills")).json()["cells"] == []
