"""What attempts cost, and what happens at the end of the budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    BudgetChanged,
    ListeningStarted,
    TasksAdded,
    TasksForgotten,
)
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidInput, TaskStatus

Make = Callable[..., Any]
RATES = {"cost_per_s": 0.5, "cost_per_task": 2.0}


@pytest.fixture
def paid(watched: Make) -> Make:
    """Makes a board on which Ada costs 2 a task and 0.5 a second, and Ben nothing."""

    def make(*names: str, policy: str = "in_order", slots: int = 1, **rules: Any) -> Any:
        board = watched(policy, **{"ends_when_done": False, **rules})
        for name in names or ("Ada",):
            board.join(name, slots=slots, **(RATES if name == "Ada" else {}))
        board.begin()
        return board

    return make


def spent(board: Any) -> float:
    return float(board.board.budget.spent)


REPORTS = [
    ({}, 3.0),
    ({"cost": 0.25}, 0.25),
    ({"cost": 0.25, "cost_unit": "USD"}, 0.25),
    ({"cost": 0.0}, 0.0),
    ({"cost": 9.0, "cost_unit": "EUR"}, 3.0),
]


@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize(("report", "cost"), REPORTS, ids=str)
def test_an_attempt_costs_what_its_result_says_or_else_what_the_rates_make_of_it(
    paid: Make, task: Make, success: bool, report: dict[str, Any], cost: float
) -> None:
    board = paid()
    board.add(task(1, type="dig"))
    board.now = 9.0
    error = None if success else "Error: no"
    board.report(1, success=success, execution_time=2.0, error_message=error, **report)
    assert board.record(1).attempts[0].cost == cost
    assert spent(board) == cost
    assert board.board.workers["Ada"].stats.cost == cost


def test_a_cost_in_another_unit_is_summed_up_apart_and_told(paid: Make, task: Make) -> None:
    board = paid("Ben")
    for number in (1, 2):
        board.add(task(number, type="dig"))
        board.succeed(number, cost=4.0, cost_unit="EUR")
    assert spent(board) == 0.0
    assert board.board.spending.in_other_units == {"EUR": 8.0}
    assert OccurrenceKind.ATTEMPT_CHARGED in board.happened(1)


def time_out(board: Any) -> None:
    board.wait_until(4.0, hearing=["Ada"])


def cancel(board: Any) -> None:
    board.now = 4.0
    board.cancel(1)


def lose(board: Any) -> None:
    board.now = 4.0
    board.leave("Ada")


@pytest.mark.parametrize("end", [time_out, cancel, lose])
@pytest.mark.parametrize("is_reported_later", [False, True])
def test_an_attempt_that_ends_without_a_report_costs_its_time_until_a_report_corrects_it(
    paid: Make, task: Make, end: Callable[[Any], None], is_reported_later: bool
) -> None:
    board = paid(unmatched_after_s=None)
    board.add(task(1, type="dig", timeout=4.0))
    end(board)
    assert spent(board) == 4.0
    if end is lose:
        board.cancel(1)
        board.join("Ada", session="1", call=2, **RATES)
    if is_reported_later:
        board.report(1, success=False, attempt=1, worker="Ada", execution_time=6.0, cost=0.75)
        assert spent(board) == 0.75
        assert board.record(1).attempts[0].cost == 0.75


def test_a_task_that_never_began_costs_nothing(paid: Make, task: Make) -> None:
    board = paid("Ben", unmatched_after_s=None)
    board.add(task(1, type="dig"))
    board.cancel(1)
    assert spent(board) == 0.0


@pytest.mark.parametrize("cost", [1e300, 1e12])
def test_no_worker_makes_the_sum_infinite(paid: Make, task: Make, cost: float) -> None:
    board = paid("Ben")
    for number in range(1, 5):
        board.add(task(number, type="dig"))
        board.succeed(number, cost=cost)
    assert math.isfinite(spent(board))


# ------------------------------------------------------------------ the budget


def test_at_the_end_of_the_budget_only_workers_that_cost_nothing_begin(
    paid: Make, task: Make
) -> None:
    board = paid("Ada", "Ben", budget=5.0)
    board.add(*(task(number, type="dig") for number in range(1, 7)))
    assert board.places() == {1: "Ada", 2: "Ben"}
    board.succeed(1, cost=5.02)
    assert board.places() == {2: "Ben"}
    for number in range(2, 7):
        board.succeed(number)
    assert [name for _, name in board.handed_out()] == ["Ada"] + ["Ben"] * 5
    assert board.board.counts[TaskStatus.COMPLETED] == 6


def test_what_waits_for_the_budget_says_so_and_then_fails(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=5.0, unmatched_after_s=30.0)
    board.add(task(1, type="dig"), task(2, type="dig"))
    board.succeed(1, cost=5.02)
    reason = "the budget of 5.00 USD is spent (5.02); Ada costs 2 a task and 0.5/s"
    told = board.board.explain(2).lines()
    assert told[0] == f"task 2 waits: {reason}; it fails in 30.0 s"
    assert told[1] == f"  Ada: {reason}"
    board.wait_until(30.0, hearing=["Ada"])
    assert board.status(2) is TaskStatus.FAILED
    assert board.record(2).error_message == f"budget: {reason}"


def test_begun_attempts_finish_and_the_overshoot_is_one_attempt(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=7.0, slots=10)
    board.add(task(1, type="dig"))
    # It costs 3, and such an attempt is expected to cost 3 from now on.
    board.succeed(1, execution_time=2.0)
    board.add(*(task(number, type="dig") for number in range(2, 9)))
    assert board.places() == {2: "Ada", 3: "Ada"}
    assert "is committed (3.00 spent, 6.00 expected" in board.board.explain(4).headline
    board.succeed(2, execution_time=2.0)
    assert board.places() == {3: "Ada"}
    board.succeed(3, execution_time=2.0)
    assert spent(board) == 9.0
    assert not board.places()


def test_what_running_attempts_did_not_cost_goes_to_others(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=7.0, slots=10)
    board.add(task(1, type="dig"))
    board.succeed(1, execution_time=2.0)
    board.add(*(task(number, type="dig") for number in range(2, 9)))
    board.succeed(2, cost=0.0)
    board.succeed(3, cost=0.0)
    assert board.places() == {4: "Ada", 5: "Ada"}


def test_an_attempt_of_unknown_duration_reserves_its_timeout(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=7.0, slots=10)
    board.add(*(task(number, type="dig", timeout=6.0) for number in range(1, 5)))
    assert board.places() == {1: "Ada", 2: "Ada"}


def test_a_worker_whose_results_cost_something_is_no_longer_free(paid: Make, task: Make) -> None:
    board = paid("Ben", budget=1.0)
    board.add(task(1, type="dig"), task(2, type="dig"))
    board.succeed(1, cost=1.0)
    assert not board.places()
    told = "the budget of 1.00 USD is spent (1.00); Ben costs what its results say"
    assert told in board.board.explain(2).headline


def test_a_higher_budget_lets_waiting_tasks_begin(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=2.0)
    board.add(task(1, type="dig"), task(2, type="dig"))
    board.succeed(1)
    assert not board.places()
    board.wait_until(10.0, hearing=["Ada"])
    board.handle(BudgetChanged(10.0))
    assert board.places() == {2: "Ada"}
    board.handle(BudgetChanged(None))
    with pytest.raises(InvalidInput, match=r"budget is -1.0; it must be 0 or more, or None"):
        board.board.handle(BudgetChanged(-1.0), board.now)


def test_a_budget_of_nothing_begins_no_paid_attempt(paid: Make, task: Make) -> None:
    board = paid("Ada", "Ben", budget=0.0)
    board.add(task(1, type="dig"), task(2, type="dig"))
    assert board.places() == {1: "Ben"}


def test_paid_workers_prefetch_nothing_within_a_budget(paid: Make, task: Make) -> None:
    board = paid("Ada", budget=100.0, prefetch_s=8.0)
    for number in range(1, 5):
        board.add(task(number, type="dig"))
        board.succeed(number, execution_time=0.5)
    board.add(*(task(number, type="dig") for number in range(5, 9)))
    assert board.places() == {5: "Ada"}


def test_who_only_reads_a_store_is_told_of_the_budget(paid: Make, task: Make) -> None:
    board, kept = paid("Ada", budget=5.0, cost_unit="EUR"), SharedRows()
    board.add(task(1, type="dig"), task(2, type="dig"))
    board.succeed(1, cost=5.5)
    kept.keep(changed_rows(board.board, board.said))
    read = read_board(kept.read(), now=board.now)
    assert (read.rules.budget, read.rules.cost_unit) == (5.0, "EUR")
    assert read.budget.describe() == "the budget of 5.00 EUR is spent (5.50)"


@pytest.mark.parametrize("forgets", [False, True])
def test_what_is_spent_survives_the_manager_and_forgotten_tasks(
    paid: Make, task: Make, forgets: bool
) -> None:
    board, kept = paid("Ada", "Ben", budget=5.0, unmatched_after_s=None), SharedRows()
    board.add(task(1, type="dig"), task(2, type="dig"), task(3, type="dig"))
    board.succeed(1, cost=5.5)
    board.fail(2, cost=1.0, cost_unit="EUR")
    if forgets:
        board.handle(TasksForgotten((1, 2)))
    kept.keep(changed_rows(board.board, board.said))
    rules = Rules(budget=5.0, ends_when_done=False)
    restored = read_board(kept.read(), rules, board.board.queue.policy, now=board.now)
    assert restored.budget.spent == spent(board) == 5.5
    assert restored.spending.in_other_units == {"EUR": 1.0}
    assert restored.budget.is_spent
    restored.handle(TasksAdded((task(4, type="dig"),)), board.now)
    restored.handle(ListeningStarted(), board.now)
    assert restored.tasks[4].status is TaskStatus.PENDING


@pytest.mark.parametrize("thrift", [0.0, 0.5])
@pytest.mark.parametrize("is_set_later", [False, True])
def test_thrift_reaches_a_learning_policy(
    watched: Make, task: Make, thrift: float, is_set_later: bool
) -> None:
    board = watched("adaptive", ends_when_done=False, thrift=0.0 if is_set_later else thrift)
    if is_set_later:
        board.board.change_rules(Rules(ends_when_done=False, thrift=thrift))
    board.join("Cheap", 9)
    board.join("Dear", 9, cost_per_task=1.0, specialties=("dig",))
    board.begin()
    board.add(task(1, 5, type="dig"))
    assert board.places() == {1: "Cheap" if thrift else "Dear"}
