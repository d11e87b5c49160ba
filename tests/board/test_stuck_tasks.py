"""What waiting tasks lack is found at once, in words, and told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.stuck_tasks import StuckCause, StuckNews, find_stuck_tasks
from muster.agents.kernel.model.events import ListeningStarted

Make = Callable[..., Any]


def texts(board: Any) -> list[str]:
    return [each.text for each in find_stuck_tasks(board.board)]


def handlers(*types: str) -> frozenset[str]:
    return frozenset(types)


FAILS = " (fails after 30 s)"

CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], str, StuckCause]] = {
    "skill": (
        [{"name": "Ada", "skill": 5}, {"name": "Ben", "skill": 3}],
        [{"difficulty": 9}, {"difficulty": 9}],
        "2 waiting for a worker with skill 9; the best connected has 5 (fails after 30 s)",
        StuckCause.SKILL,
    ),
    "a named skill that nobody has": (
        [{"name": "Ada", "skill": 9}],
        [{"required_skills": {"vision": 7}, "strict": True}],
        "1 waiting for a worker with 'vision' 7; no connected worker has any (fails after 30 s)",
        StuckCause.NAMED_SKILL,
    ),
    "a named skill of which nobody has enough": (
        [{"name": "Ada", "skill": 9, "skills": {"vision": 4}}],
        [{"required_skills": {"vision": 7}, "strict": True}],
        "1 waiting for a worker with 'vision' 7; the best connected has 4 (fails after 30 s)",
        StuckCause.NAMED_SKILL,
    ),
    "a handler": (
        [{"name": "Ada", "skill": 9, "task_types": handlers("walls")}],
        [{"type": "brew"}, {"type": "brew"}, {"type": "brew"}],
        "3 waiting for a worker with a handler for 'brew'; connected: 'walls' (fails after 30 s)",
        StuckCause.HANDLER,
    ),
    "a step of a ladder": (
        [{"name": "Ada", "skill": 9}],
        [{"escalate": ("Zoe",)}],
        "1 waiting: no worker that can run it is on step 1 of the ladder Zoe, which is 'Zoe'",
        StuckCause.LADDER,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_tasks_lack_is_told_in_words(name: str, watched: Make, task: Make) -> None:
    workers, tasks, text, cause = CASES[name]
    board = watched(ends_when_done=False)
    for fields in workers:
        board.join(fields["name"], **{k: v for k, v in fields.items() if k != "name"})
    board.begin()
    board.add(*(task(number, **fields) for number, fields in enumerate(tasks, 1)))
    (stuck,) = find_stuck_tasks(board.board)
    assert (stuck.text, stuck.cause, stuck.tasks) == (
        text.removesuffix(FAILS) + FAILS,
        cause,
        len(tasks),
    )


def test_without_workers_all_wait_for_one(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada")
    board.begin()
    board.leave("Ada")
    board.add(task(1), task(2))
    assert texts(board) == ["2 waiting for a worker; none is connected"]


def test_before_the_start_it_is_told_who_is_missing(watched: Make, task: Make) -> None:
    board = watched(expected_workers=2, roster=("Ada", "Ben"))
    board.add(task(1))
    board.handle(ListeningStarted())
    board.join("Ada")
    (text,) = texts(board)
    assert text == ("1 waiting for the start: 1 of 2 expected workers have joined; missing: Ben")


def test_a_task_addressed_to_a_worker_that_is_not_there_waits_for_it(
    watched: Make, task: Make
) -> None:
    board = watched(ends_when_done=False, unmatched_after_s=None)
    board.join("Ada", 9)
    board.begin()
    board.add(task(1, depends_on=()))
    board.leave("Ada")
    board.board.queue.address(board.board.tasks[1], "Zoe", board.now)
    board.join("Ben", 9)
    assert texts(board) == ["1 waiting for worker 'Zoe', which is not connected"]


def test_a_spent_budget_is_told(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False, budget=1.0, unmatched_after_s=None)
    board.join("Ada", 9, cost_per_task=1.0)
    board.begin()
    board.add(task(1), task(2))
    board.succeed(1)
    (stuck,) = find_stuck_tasks(board.board)
    assert stuck.cause is StuckCause.BUDGET
    assert stuck.text.startswith("1 waiting: the budget of 1.00 USD is spent (1.00)")


def test_tasks_blocked_by_stuck_ones_are_counted_apart(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada", 5)
    board.begin()
    board.add(
        task(1, 9), task(2, depends_on=(1,)), task(3, depends_on=(2,)), task(4, depends_on=(1, 2))
    )
    told = find_stuck_tasks(board.board)
    assert [(each.cause, each.tasks) for each in told] == [
        (StuckCause.SKILL, 1),
        (StuckCause.DEPENDENCY, 3),
    ]
    assert told[1].text == "3 waiting for these"


def test_tasks_that_wait_for_a_busy_worker_are_not_stuck(watched: Make, task: Make) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada", 5)
    board.begin()
    board.add(task(1), task(2), task(3, depends_on=(1,)))
    assert texts(board) == []


def test_a_run_that_has_ended_is_not_stuck(watched: Make, task: Make) -> None:
    board = watched()
    board.add(task(1, 9))
    board.join("Ada", 5)
    board.begin()
    board.wait_until(board.now + 60.0, hearing=("Ada",))
    assert texts(board) == []


def lines(news: StuckNews, board: Any, at: float) -> list[str]:
    return news.lines(board.board, find_stuck_tasks(board.board), at)


def test_a_reason_is_told_once_and_again_when_another_comes(watched: Make, task: Make) -> None:
    board, news = watched(ends_when_done=False, unmatched_after_s=None), StuckNews(1.0)
    board.join("Ada", 5)
    board.begin()
    board.add(task(1, 9))
    first = "1 waiting for a worker with skill 9; the best connected has 5"
    assert [lines(news, board, at) for at in (0.0, 0.5, 1.0, 1.5)] == [[], [], [first], []]
    board.add(task(2, 9))
    assert lines(news, board, 3.0) == []
    board.add(task(3, 8))
    assert lines(news, board, 4.0) == []
    assert lines(news, board, 5.5) == [
        "2 waiting for a worker with skill 9; the best connected has 5",
        "1 waiting for a worker with skill 8; the best connected has 5",
    ]
    board.join("Zoe", 9, slots=5)
    assert lines(news, board, 6.0) == ["all waiting tasks can go on"]
    assert lines(news, board, 7.0) == []


def test_tasks_that_failed_do_not_go_on(watched: Make, task: Make) -> None:
    board, news = watched(ends_when_done=False, unmatched_after_s=5.0), StuckNews(1.0)
    board.join("Ada", 5)
    board.begin()
    board.add(task(1, 9))
    assert lines(news, board, 0.0) == []
    assert lines(news, board, 2.0) != []
    board.wait_until(10.0, hearing=("Ada",))
    assert lines(news, board, 10.0) == []


def test_what_holds_for_a_moment_only_is_not_told(watched: Make, task: Make) -> None:
    board, news = watched(ends_when_done=False), StuckNews(1.0)
    board.join("Ada", 5)
    board.begin()
    board.add(task(1, 9))
    assert lines(news, board, 0.0) == []
    board.join("Zoe", 9)
    assert lines(news, board, 0.5) == []
    assert lines(news, board, 2.0) == []


def test_that_workers_are_expected_is_told_later(watched: Make, task: Make) -> None:
    board, news = watched(expected_workers=2), StuckNews(1.0, start_after_s=30.0)
    board.add(task(1))
    board.handle(ListeningStarted())
    told = "1 waiting for the start: 0 of 2 expected workers have joined"
    assert [lines(news, board, at) for at in (0.0, 2.0, 29.0, 30.0)] == [[], [], [], [told]]
