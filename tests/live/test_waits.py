"""The page says what each task waits for, in the words of `muster why`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.board import Board
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.events import (
    DrainRequested,
    PauseRequested,
    QuestionAsked,
    SuspensionReported,
    TasksAdded,
    TimePassed,
    WorkerJoined,
)
from muster.messages import AttemptSuspended, Limit, Retry, Task, WorkerProfile
from muster.messages.question import QuestionText

Make = Callable[..., Any]


def told_of(here: Any, task_id: Any) -> tuple[str, str]:
    """What the page tells of a task, as its script puts it together."""
    head = here.page.head(here.board, here.now)
    record = here.board.tasks[task_id]
    (row,) = here.page.rows(here.board, [task_id])["added"]
    state = row[4]
    if len(state) > 11 and state[1] == 1:
        return "suspended", state[11]
    if len(row) > 5:
        return "blocked", ""
    if len(state) > 11 and head["waiting"]["others"] != "paused":
        return "delayed", state[11]
    for place, numbers in enumerate(head["wait_numbers"]):
        if record.sequence in numbers:
            return tuple(head["waiting"]["texts"][place])
    return head["waiting"]["others"], ""


def _suspend(here: Any, task_id: Any, reason: str) -> None:
    message = AttemptSuspended(task_id=task_id, attempt=1, reason=reason)
    here.handle(SuspensionReported("at Ada", message))


def _blocked(here: Any) -> None:
    here.join("Ada")
    here.add(9)
    here.add(1, depends_on=(9,))


def _not_before(here: Any) -> None:
    here.join("Ada")
    here.add(1, not_before=90.0)


def _retry(here: Any) -> None:
    here.join("Ada")
    here.add(1, retry=Retry(max_attempts=3, wait_s=60.0, jitter=0.0))
    here.end_attempt(1, success=False)


def _limited(here: Any) -> None:
    here.join("Ada", slots=4)
    here.add(9, 1, type="mail", limit_key="acme")


def _hold(here: Any) -> None:
    rules = Rules(ends_when_done=False, lost_after_s=1e9)
    here.board = Board(rules, find_policy("adaptive"))
    here.begin()
    for name, vision in (("Ada", 2), ("Ben", 9)):
        profile = WorkerProfile(name, 5, skills={"vision": vision})
        here.handle(WorkerJoined(f"at {name}", profile, "1"))
    here.add(9, 1, required_skills={"vision": 7})


def _nobody(here: Any) -> None:
    here.join("Ada", skill=5)
    here.add(1, difficulty=9)


def _budget(here: Any) -> None:
    here.handle(WorkerJoined("at Ada", WorkerProfile("Ada", 5, cost_per_task=2.5), session="1"))
    here.add(9, 1)
    here.end_attempt(9)


def _paused(here: Any) -> None:
    here.join("Ada")
    here.handle(PauseRequested())
    here.add(1)


def _not_before_and_paused(here: Any) -> None:
    _not_before(here)
    here.handle(PauseRequested())


def _drained(here: Any) -> None:
    here.join("Ada", slots=2)
    here.add(9)
    here.handle(DrainRequested("Ada", leaves=False))
    here.add(1)


def _slot(here: Any) -> None:
    here.join("Ada")
    here.add(9, 1)


def _children(here: Any) -> None:
    here.join("Ada")
    here.add(1)
    _suspend(here, 1, "waits for 3 subtasks")


def _person(here: Any) -> None:
    _slot(here)
    asked = QuestionText("Publish?", ("yes", "no"), key="p", expires_s=60.0)
    here.handle(QuestionAsked("at Ada", 9, 1, asked))
    _suspend(here, 9, "waits for a person: Publish?")
    here.add(2)


@pytest.mark.parametrize(
    ("arrange", "task_id", "kind", "text"),
    [
        (_slot, 1, "waiting", ""),
        (_blocked, 1, "blocked", ""),
        (_not_before, 1, "delayed", "waits until 00:18:10 UTC (its not_before"),
        (_retry, 1, "delayed", "waits until 00:17:40 UTC (retry 2 of 3 after ValueError"),
        (_limited, 1, "limited", "waits for its limit: 1 of 1 mail tasks of acme in progress"),
        (_hold, 1, "held back", "is held back: waits for Ben; another worker gets it in"),
        (_nobody, 1, "nobody can", "waits: no connected worker can run it: needs skill 9;"),
        (_budget, 1, "over budget", "waits: the budget of 2.00"),
        (_paused, 1, "paused", ""),
        (_not_before_and_paused, 1, "paused", ""),
        (_drained, 1, "no worker now", "waits for a worker: all that can run it are in quaranti"),
        (_children, 1, "suspended", "waits for 3 subtasks"),
        (_person, 9, "suspended", "waits for a person: Publish?, until 00:17:40 UTC"),
    ],
)
def test_each_wait_is_told_in_the_words_of_muster_why(
    desk: Make, arrange: Callable[[Any], None], task_id: Any, kind: str, text: str
) -> None:
    limit = Limit("mail", each_key=True, concurrent=1)
    here = desk(budget=2.0, limits=(limit,) if arrange is _limited else ())
    here.begin()
    arrange(here)
    here.open()
    shown, words = told_of(here, task_id)
    assert (shown, words[: len(text)]) == (kind, text), (shown, words)
    assert words in "\n".join(here.board.explain(task_id).lines())


def test_before_the_start_all_tasks_wait_for_it(desk: Make) -> None:
    here = desk(expected_workers=2)
    here.handle(TasksAdded((Task(id=1, description="x"),)))
    here.open()
    assert told_of(here, 1) == ("before the start", "")


def test_the_numbers_of_waiting_tasks_are_bounded_and_not_sent_again_with_each_word(
    desk: Make,
) -> None:
    here = desk(unmatched_after_s=900.0)
    here.begin()
    here.join("Ada", skill=5)
    here.add(*range(1, 3_001), difficulty=9)
    here.open()
    head = here.page.head(here.board, here.now)
    assert head["waiting"]["kinds"] == {"nobody can": 3_000}
    assert len(head["wait_numbers"][0]) == 2_000
    here.now += 1.5
    here.handle(TimePassed())
    change = here.change()
    # It fails sooner now; the tasks are the same.
    assert change["waiting"]["texts"] != head["waiting"]["texts"]
    assert "wait_numbers" not in change
