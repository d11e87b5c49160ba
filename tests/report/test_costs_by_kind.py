"""What a run cost by type, model and day, and what learning saved, in all forms of the report."""

from __future__ import annotations

import random
from typing import Any

import pytest
from muster.agents import Handlers, TaskContext, TaskManager, WorkerAgent, rehearse
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.board.cost_sums import MAX_DAYS, MAX_TYPES, OTHER_TYPES, CostSums
from muster.agents.live.cost_view import EVERY_S, CostView
from muster.agents.live.timed_view import TimedView
from muster.agents.report.costs import read_savings
from muster.agents.report.html import render_html
from muster.agents.report.markdown import render_markdown
from muster.agents.report.model import RunReport
from muster.agents.report.text import render_text
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Task

DAY_S = 86_400.0
STRONG, WEAK = 10.0, 1.0


def worker(name: str, skill: int, price: float, chance: float) -> WorkerAgent:
    """A worker that succeeds with a chance, and tells what it costs and its model."""
    handlers = Handlers()

    async def answer(task: Task, context: TaskContext) -> str:
        context.cost(price)
        context.usage(f"{name}-1", 100, 10)
        if random.Random(f"{name}/{task.id}/{context.attempt}").random() > chance:
            raise ValueError("wrong answer")
        return "right"

    for task_type in ("sum", "sort"):
        handlers.task(task_type)(answer)
    return WorkerAgent(name, skill, slots=2, handlers=handlers)


def played(tasks: int = 300, policy: str = "adaptive", **options: Any) -> tuple[Board, RunReport]:
    """A run of a strong, dear worker and a weak, cheap one."""

    async def story() -> tuple[Board, RunReport]:
        manager = TaskManager(
            [Task(id=number, type=("sum", "sort")[number % 2]) for number in range(1, tasks + 1)],
            expected_workers=2,
            policy=policy,
            thrift=0.05,
            quiet=True,
            **options,
        )
        team = [worker("Strong", 9, STRONG, 1.0), worker("Weak", 5, WEAK, 0.8)]
        report = await rehearse(manager, team)
        return manager.board, report

    return run_in_virtual_time(story())


@pytest.fixture(scope="module")
def run() -> tuple[Board, RunReport]:
    return played()


def test_costs_by_type_model_and_day_add_up_to_what_the_run_cost(
    run: tuple[Board, RunReport],
) -> None:
    board, report = run
    assert report.cost > 0
    by_type = sum(group.cost for group in report.by_type.values())
    assert by_type == pytest.approx(report.cost)
    assert sum(board.spending.sums.by_type.values()) == pytest.approx(report.cost)
    assert sum(report.cost_by_day.values()) == pytest.approx(report.cost)
    assert sum(each.cost for each in report.by_model.values()) == pytest.approx(report.cost)
    assert set(report.by_model) <= {"Strong-1", "Weak-1"}
    for each in report.by_model.values():
        assert (each.tokens_in, each.tokens_out) == (100 * each.attempts, 10 * each.attempts)


def test_what_learning_saved_is_close_to_what_the_strongest_would_have_cost(
    run: tuple[Board, RunReport],
) -> None:
    _, report = run
    savings = report.savings
    assert savings is not None
    assert set(savings.workers.values()) == {"Strong"}
    # It costs the same each time and never fails, so the truth is known.
    truth = 300 * STRONG
    assert savings.strongest_cost == pytest.approx(truth, rel=0.1)
    assert savings.saved == pytest.approx(savings.strongest_cost - savings.cost)
    assert savings.cost == pytest.approx(report.cost)
    own = [attempt for task in report.tasks for attempt in task.history]
    seen = sum(attempt.worker == "Strong" for attempt in own)
    assert 0 < savings.seen_share <= seen / 300 + 0.01
    assert savings.uncertainty < savings.strongest_cost / 4


def test_nothing_is_saved_by_a_policy_that_does_not_learn_or_by_one_worker() -> None:
    _, report = played(20, "best_fit")
    assert report.savings is None
    assert report.cost > 0

    async def alone() -> RunReport:
        manager = TaskManager([Task(id=1, type="sum")], 1, policy="adaptive", quiet=True)
        return await rehearse(manager, [worker("Strong", 9, STRONG, 1.0)])

    assert run_in_virtual_time(alone()).savings is None


def test_all_forms_tell_costs_and_savings(run: tuple[Board, RunReport]) -> None:
    _, report = run
    text, markdown, page = render_text(report, 800), render_markdown(report), render_html(report)
    for told in (text, markdown, page):
        assert "less than always Strong" in told
        assert "for 300 tasks" in told
        assert "an estimate" in told
        assert "Strong-1" in told
    assert "Cost by type: " in text
    assert "tokens in" in text
    assert "| Model | Attempts | Tokens in | Tokens out | Cost |" in markdown
    # A single day tells nothing more than the sum does.
    assert "Cost by day" not in text
    days = report.model_copy(update={"cost_by_day": {"2026-05-01": 1.5, "2026-05-02": 2.0}})
    assert "Cost by day: 2 2026-05-02, 1.5 2026-05-01" in render_text(days, 800)
    assert "| 2026-05-02 | 2 |" in render_markdown(days)
    assert '<th scope="row">2026-05-02</th><td class="n">2</td>' in render_html(days)


def test_names_of_models_and_types_are_foreign_text(run: tuple[Board, RunReport]) -> None:
    _, report = run
    evil = "<img>\x1b[31m|`*evil"
    model = next(iter(report.by_model.values()))
    changed = report.model_copy(update={"by_model": {evil: model}})
    assert "\x1b" not in render_text(changed, 400)
    assert "<img>" not in render_html(changed)
    assert "<img>" not in render_markdown(changed).replace("\\<img", "")


def test_the_page_gets_costs_once_and_again_when_they_have_changed(
    run: tuple[Board, RunReport],
) -> None:
    board, report = run
    view = TimedView(CostView().make, EVERY_S)
    assert view.has_changed(board, 0.0)
    shown: Any = view.sent
    assert not view.has_changed(board, 100.0)
    assert {name for name, _ in shown["types"]} == {"sum", "sort"}
    assert sum(cost for _, cost in shown["types"]) == pytest.approx(report.cost, rel=1e-4)
    assert [row[0] for row in shown["models"]] == list(report.by_model)
    assert "less than always Strong" in shown["learning"]
    view.forget()
    assert view.has_changed(board, 101.0)
    assert view.sent == shown
    assert CostView().make(Board(), 0.0) is None


def test_sums_are_bounded_and_come_back_as_they_were() -> None:
    sums = CostSums()
    for number in range(2 * MAX_TYPES):
        sums.add(f"type {number}", number * DAY_S, 1.0)
    assert len(sums.by_type) == MAX_TYPES + 1
    assert sums.by_type[OTHER_TYPES] == MAX_TYPES
    for number in range(2 * MAX_DAYS):
        sums.add("", number * DAY_S, 1.0)
    assert sorted(sums.by_day) == list(range(MAX_DAYS, 2 * MAX_DAYS))
    # A correction takes back a part, and no sum falls below 0.
    sums.add("", MAX_DAYS * DAY_S, -9.0)
    assert sums.by_day[MAX_DAYS] == 0.0
    again = CostSums.restore(sums.export())
    assert (again.by_type, again.by_day) == (sums.by_type, sums.by_day)
    assert CostSums.restore({}).export() == {}


def test_an_estimate_compares_the_latest_tasks_only(run: tuple[Board, RunReport]) -> None:
    savings = read_savings(run[0], max_compared=50)
    assert savings is not None
    assert savings.tasks == 50
