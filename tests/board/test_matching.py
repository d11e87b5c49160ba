"""Who gets what, under each policy."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import pytest
from muster.agents.kernel.matching.policy_names import POLICIES, find_policy
from muster.agents.kernel.model.records import WorkerRecord
from muster.messages import Task, UnknownName, WorkerProfile

Make = Callable[..., Any]


@pytest.fixture
def filled(watched: Make) -> Make:
    """A board with tasks and workers, at which the assigning has just begun."""

    def make(
        policy: Any, tasks: list[Task], workers: dict[str, dict[str, Any]], **rules: Any
    ) -> Any:
        board = watched(policy, ends_when_done=False, **rules)
        board.add(*tasks)
        for name, fields in workers.items():
            board.join(name, **fields)
        board.begin()
        return board

    return make


def test_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownName, match=r"no policy 'best'; did you mean 'best_fit'\? known: adaptive, best_fit"
    ):
        find_policy("best")


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_policy_is_found_by_its_name(name: str) -> None:
    assert find_policy(name).name == name


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_under_every_policy_all_tasks_get_done_and_none_starves(
    filled: Make, task: Make, policy: str
) -> None:
    tasks = [task(n, 1 + n % 5, priority=n % 3) for n in range(1, 60)]
    board = filled(policy, tasks, {"Ada": {"skill": 5, "slots": 2}, "Ben": {"skill": 9}})
    for _ in range(60):
        for task_id in list(board.places()):
            board.succeed(task_id, execution_time=1.0)
    assert sorted(each for each, _ in board.handed_out()) == list(range(1, 60))
    assert len(board.board.results) == 59


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_worker_without_the_handler_gets_no_such_task(
    filled: Make, task: Make, policy: str
) -> None:
    workers = {
        "Ada": {"task_types": frozenset({"paint"})},
        "Ben": {"task_types": frozenset()},
        "Cleo": {},
    }
    board = filled(policy, [task(1, type="sing"), task(2), task(3, type="paint")], workers)
    assert board.places()[1] == "Cleo"
    board.succeed(1)
    assert board.places() == {2: "Cleo", 3: "Ada"}


# ---------------------------------------------------------------- best_fit


def test_best_fit_gives_each_task_to_the_least_skilled_that_can_do_it(
    filled: Make, task: Make
) -> None:
    workers = {"Senior": {"skill": 9}, "Junior": {"skill": 3}, "Intermediate": {"skill": 6}}
    board = filled("best_fit", [task(1, 2), task(2, 5), task(3, 8)], workers)
    assert board.places() == {1: "Junior", 2: "Intermediate", 3: "Senior"}


def test_best_fit_hands_out_by_priority_then_difficulty_then_order(
    filled: Make, task: Make
) -> None:
    tasks = [task(1, 2), task(2, 5), task(3, 5), task(4, 1, priority=1), task(5, 9, priority=-1)]
    board = filled("best_fit", tasks, {"Ada": {"skill": 10, "slots": 5}})
    assert [each for each, _ in board.handed_out()] == [4, 2, 3, 1, 5]


@pytest.mark.parametrize("easy_first", [True, False])
@pytest.mark.parametrize("urgent", [1, 9])
def test_a_freed_worker_takes_the_most_urgent_of_all_kinds_it_can_do(
    crew: Make, task: Make, easy_first: bool, urgent: int
) -> None:
    board = crew(Junior=3, Senior=9)
    board.add(task("a", 1, priority=9), task("b", 9, priority=9))
    kinds = (1, 9) if easy_first else (9, 1)
    board.add(*(task(kind, kind, priority=1 if kind == urgent else 0) for kind in kinds))
    board.succeed("b")
    assert board.places() == {"a": "Junior", urgent: "Senior"}


@pytest.mark.parametrize("urgent", [1, 9])
def test_of_all_free_workers_the_most_urgent_task_comes_first(
    filled: Make, task: Make, urgent: int
) -> None:
    tasks = [task(kind, kind, priority=1 if kind == urgent else 0) for kind in (9, 1)]
    board = filled("best_fit", tasks, {"Junior": {"skill": 3}, "Senior": {"skill": 9}})
    assert board.handed_out()[0][0] == urgent


def test_best_fit_prefers_a_specialist_even_if_more_skilled(filled: Make, task: Make) -> None:
    workers = {"Ada": {"skill": 3}, "Vera": {"skill": 8, "specialties": frozenset({"vision"})}}
    board = filled("best_fit", [task(1, 2, type="vision")], workers)
    assert board.places() == {1: "Vera"}


def test_best_fit_lets_a_specialty_count_for_two_levels(filled: Make, task: Make) -> None:
    vera = {"skill": 6, "specialties": frozenset({"vision"})}
    board = filled(
        "best_fit", [task(1, 8, type="vision"), task(2, 7, type="audio")], {"Vera": vera}
    )
    assert board.places() == {1: "Vera"}
    assert board.board.explain(2).headline.startswith(
        "waits: no connected worker can run it: needs skill 7; the best, Vera, has 6"
    )


def test_best_fit_prefers_the_less_loaded_of_equals(filled: Make, task: Make) -> None:
    workers = {"Ada": {"slots": 2}, "Ben": {"slots": 2}}
    board = filled("best_fit", [task(n) for n in (1, 2, 3)], workers)
    assert board.places() == {1: "Ada", 2: "Ben", 3: "Ada"}


def test_equals_get_tasks_in_the_order_of_the_roster(filled: Make, task: Make) -> None:
    workers: dict[str, dict[str, Any]] = {"Cleo": {}, "Ben": {}, "Ada": {}}
    board = filled("best_fit", [task(1), task(2), task(3)], workers, roster=("Ada", "Ben"))
    assert board.places() == {1: "Ada", 2: "Ben", 3: "Cleo"}


# ---------------------------------------------------------------- in_order


def test_in_order_pairs_tasks_and_workers_off_whatever_their_skill(
    filled: Make, task: Make
) -> None:
    workers = {"Junior": {"skill": 3}, "Intermediate": {"skill": 6}, "Senior": {"skill": 9}}
    board = filled("in_order", [task(3, 8), task(2, 5), task(1, 2)], workers)
    assert board.handed_out() == [(3, "Junior"), (2, "Intermediate"), (1, "Senior")]


def test_in_order_follows_the_roster(filled: Make, task: Make) -> None:
    workers: dict[str, dict[str, Any]] = {"Ben": {}, "Somebody": {}, "Ada": {}}
    board = filled("in_order", [task(1), task(2), task(3)], workers, roster=("Ada", "Ben"))
    assert board.handed_out() == [(1, "Ada"), (2, "Ben"), (3, "Somebody")]


def test_in_order_goes_round_even_if_workers_have_many_slots(filled: Make, task: Make) -> None:
    workers = {name: {"slots": 4} for name in ("Ada", "Ben", "Cleo")}
    board = filled("in_order", [task(n) for n in range(1, 6)], workers)
    assert [worker for _, worker in board.handed_out()] == ["Ada", "Ben", "Cleo", "Ada", "Ben"]


def test_in_order_passes_over_priorities(filled: Make, task: Make) -> None:
    board = filled("in_order", [task(1), task(2, priority=9)], {"Ada": {}})
    assert board.places() == {1: "Ada"}


# ---------------------------------------------------------------- score


def test_score_gives_the_hardest_task_to_the_best_record(filled: Make, task: Make) -> None:
    board = filled("score", [task(1)], {"Ada": {"skill": 1}, "Ben": {"skill": 9}})
    board.succeed(1)
    board.add(task(2, 3), task(3, 8))
    assert board.places() == {3: "Ada", 2: "Ben"}


@pytest.mark.parametrize(
    ("completed", "successful", "score"),
    [(0, 0, 0.35), (1, 0, 0.3), (2, 2, 1.3), (10, 5, 3.35), (1000, 0, 300.0)],
)
def test_score_follows_its_formula(
    task: Make, completed: int, successful: int, score: float
) -> None:
    worker = WorkerRecord(WorkerProfile("Ada", 5), "at Ada", "", 0, 0.0, 0.0)
    worker.stats.completed_tasks = completed
    worker.stats.successful_tasks = successful
    assert find_policy("score").score(task(1), worker) == pytest.approx(score)


# ---------------------------------------------------------------- one's own


class Alphabetical:
    """A policy of the user's own: urgent by description, only for workers with an even skill."""

    name = "alphabetical"

    def urgency(self, task: Task, sequence: int) -> tuple[float, ...]:
        return (ord(task.description[0]),)

    def group(self, task: Task) -> Hashable:
        return task.priority

    def obstacle(self, task: Task, worker: WorkerRecord) -> str | None:
        return "its skill is odd" if worker.skill_level % 2 else None

    def score(self, task: Task, worker: WorkerRecord) -> float:
        return float(len(worker.name))


def test_a_policy_of_ones_own_decides(filled: Make) -> None:
    tasks = [Task(id=n, description=text) for n, text in enumerate("cab", start=1)]
    workers = {"Al": {"skill": 2}, "Benjamin": {"skill": 4}, "Christopher": {"skill": 3}}
    board = filled(Alphabetical(), tasks, workers)
    assert board.handed_out() == [(2, "Benjamin"), (3, "Al")]
    assert board.board.policy_name == "alphabetical"


def test_under_a_policy_of_ones_own_the_nearest_workers_obstacle_is_told(filled: Make) -> None:
    board = filled(Alphabetical(), [Task(id=1, description="a")], {"Ada": {"skill": 5}})
    board.wait_until(30, hearing=["Ada"])
    assert board.record(1).error_message == "nobody can: Ada: its skill is odd"


def test_a_task_whose_group_changes_with_its_priority_is_found_again(filled: Make) -> None:
    tasks = [Task(id=n, description="same") for n in (1, 2, 3)]
    board = filled(Alphabetical(), tasks, {"Al": {"skill": 2}})
    for priority in (1, 0, 2, 0):
        board.set_priority(3, priority)
    board.succeed(1)
    board.succeed(2)
    assert board.places() == {3: "Al"}
