"""Reviews: a second worker grades a result before it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.instructions import SendCancel
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.model.records import AttemptOutcome
from muster.agents.kernel.model.second_opinions import restriction_of
from muster.agents.store.memory import SharedRows
from muster.messages import InvalidTask, Task, TaskStatus

Watched = Callable[..., Any]
PAINTERS = ("paint",)


def to_review(task_id: int = 1, **fields: Any) -> Task:
    return Task(id=task_id, description="a picture", type="paint", review=True, **fields)


def team(watched: Watched, *names: str, **rules: Any) -> Any:
    """A board with workers that paint and review."""
    board = watched(ends_when_done=False, **rules)
    for name in names:
        board.join(name, 5, task_types=PAINTERS, review_types=PAINTERS)
    board.begin()
    return board


def verdict(board: Any, grade: float | None, reason: str | None = None) -> None:
    board.succeed(1, quality=grade, output=reason)


@pytest.mark.parametrize("grade", [None, 0.5, 0.8, 1.0])
def test_an_accepted_result_completes_the_task_with_the_reviewers_grade(
    watched: Watched, grade: float | None
) -> None:
    board = team(watched, "Ada", "Ben")
    board.add(to_review())
    board.succeed(1, output="a cat", quality=1.0)
    assert board.status(1) is TaskStatus.IN_PROGRESS
    review = board.given[-1]
    assert (review.worker, review.attempt) == ("Ben", 2)
    assert review.reviewed.output == "a cat"
    assert "in review by Ben" in "\n".join(board.board.explain(1).lines())
    verdict(board, grade)
    record = board.record(1)
    assert record.status is TaskStatus.COMPLETED
    assert (record.result.worker, record.result.attempt) == ("Ada", 1)
    assert (record.result.output, record.result.quality) == ("a cat", grade)
    assert record.attempts[0].quality == grade
    assert record.attempts[1].quality is None


@pytest.mark.parametrize("grade", [0.0, 0.49])
@pytest.mark.parametrize("max_attempts", [1, 2])
def test_a_rejection_counts_against_the_first_worker_and_sends_the_task_on(
    watched: Watched, grade: float, max_attempts: int
) -> None:
    board = team(watched, "Ada", "Ben")
    board.add(to_review(max_attempts=max_attempts))
    board.succeed(1, output="a dog")
    assert board.board.workers["Ada"].stats.successful_tasks == 1
    verdict(board, grade, "no cat")
    record, ada = board.record(1), board.board.workers["Ada"]
    assert record.attempts[0].outcome is AttemptOutcome.REJECTED
    assert record.attempts[0].quality == grade
    assert (record.failures, record.failed_by) == (1, {"Ada"})
    assert (ada.stats.completed_tasks, ada.stats.successful_tasks) == (1, 0)
    assert ada.failures_in_a_row == 1
    if max_attempts == 1:
        assert record.status is TaskStatus.FAILED
        assert record.error_message == "rejected: by Ben: no cat"
        assert record.result.quality == grade
        assert record.result.worker == "Ada"
        return
    assert board.places() == {1: "Ben"}
    board.succeed(1, output="a cat")
    assert board.places() == {1: "Ada"}
    verdict(board, 0.9)
    assert board.record(1).result.worker == "Ben"


def test_who_did_the_work_never_reviews_it(watched: Watched) -> None:
    board = team(watched, "Ada", unmatched_after_s=5.0)
    board.add(to_review())
    board.succeed(1)
    assert board.places() == {}
    why = "\n".join(board.board.explain(1).lines())
    assert "no connected worker can review it: only Ada has a reviewer for 'paint'" in why
    board.wait_until(6.0, hearing=["Ada"])
    assert board.status(1) is TaskStatus.FAILED
    assert board.record(1).error_message.startswith("nobody can review it: only Ada")
    assert board.record(1).result is None


def test_a_worker_without_a_reviewer_never_reviews_and_a_pure_reviewer_never_runs(
    watched: Watched,
) -> None:
    board = watched(ends_when_done=False)
    board.join("Ada", task_types=PAINTERS)
    board.join("Ben", task_types=PAINTERS)
    board.join("Cara", 0, task_types=(), review_types=PAINTERS)
    board.begin()
    board.add(to_review(difficulty=5))
    assert board.places()[1] in ("Ada", "Ben")
    board.succeed(1)
    # Neither its skill nor a handler matters.
    assert board.places() == {1: "Cara"}


@pytest.mark.parametrize("end", ["fail", "time out", "lose"])
def test_a_review_that_goes_wrong_is_done_by_another_reviewer(watched: Watched, end: str) -> None:
    board = team(watched, "Ada", "Ben", "Cara")
    board.add(to_review(timeout=3.0))
    board.succeed(1)
    assert board.places() == {1: "Ben"}
    if end == "fail":
        board.fail(1)
    elif end == "lose":
        board.leave("Ben")
    else:
        board.wait_until(3.5, hearing=["Ada", "Ben", "Cara"])
    assert board.places() == {1: "Cara"}
    record = board.record(1)
    assert (record.failures, record.failed_by) == (0, frozenset())
    assert board.board.workers["Ben"].failures_in_a_row == (0 if end == "lose" else 1)
    verdict(board, 1.0)
    assert record.status is TaskStatus.COMPLETED


def test_a_task_fails_after_three_failed_reviews(watched: Watched) -> None:
    board = team(watched, "Ada", "Ben")
    board.add(to_review())
    board.succeed(1)
    for _ in range(3):
        assert board.places() == {1: "Ben"}
        board.fail(1, error_message="KeyError: x")
    assert board.record(1).error_message == "review failed: 3 times, last at Ben: KeyError: x"


def test_a_task_in_review_can_be_cancelled_before_and_during_it(watched: Watched) -> None:
    board = team(watched, "Ada", "Ben")
    board.add(to_review(1))
    board.succeed(1)
    board.cancel(1)
    assert board.status(1) is TaskStatus.CANCELLED
    assert [each for each in board.said if isinstance(each, SendCancel)][-1].attempt == 2


def test_the_verdict_of_a_reviewer_that_was_lost_comes_too_late(watched: Watched) -> None:
    board = team(watched, "Ada", "Ben", "Cara")
    board.add(to_review())
    board.succeed(1)
    board.leave("Ben")
    board.join("Ben", 5, review_types=PAINTERS, session="2")
    board.report(1, worker="Ben", attempt=2, success=True, quality=0.0)
    assert board.board.ignored == {"came too late": 1}
    assert board.status(1) is TaskStatus.IN_PROGRESS


def test_a_late_success_does_not_pass_a_review_by(watched: Watched) -> None:
    board = team(watched, "Ada", "Ben", "Cara")
    board.add(to_review(timeout=1.0, max_attempts=3))
    board.wait_until(1.5, hearing=["Ada", "Ben", "Cara"])
    board.report(1, worker="Ada", attempt=1, success=True)
    assert board.board.ignored == {"came too late": 1}
    assert board.status(1) is TaskStatus.IN_PROGRESS


@pytest.mark.parametrize("moment", ["waits for a reviewer", "in review", "rejected"])
def test_a_review_goes_on_after_a_restart(watched: Watched, moment: str) -> None:
    board = team(watched, "Ada", *(["Ben"] if moment != "waits for a reviewer" else []))
    kept = SharedRows()
    kept.keep(changed_rows(board.board, board.said))
    said = board.add(to_review(max_attempts=2))
    said += board.succeed(1, output={"a": [1, 2]})
    if moment == "rejected":
        said += board.succeed(1, quality=0.1)
    kept.keep(changed_rows(board.board, said))
    restored = read_board(kept.read(), board.board.rules, now=board.now)
    before, after = board.record(1), restored.tasks[1]
    assert restriction_of(after) == restriction_of(before)
    for old, new in zip(before.attempts, after.attempts, strict=True):
        assert (old.outcome, old.is_review, old.result, old.quality) == (
            new.outcome,
            new.is_review,
            new.result,
            new.quality,
        )
    assert (after.queue_entry is None) == (before.queue_entry is None)


@pytest.mark.parametrize("quarantine_after", [1, 2])
def test_a_worker_whose_results_were_rejected_while_it_was_away_works_again(
    watched: Watched, quarantine_after: int
) -> None:
    board = team(watched, "Ada", "Ben", quarantine_after=quarantine_after)
    for number in range(1, quarantine_after + 1):
        board.add(to_review(number))
        board.succeed(number)
    board.leave("Ada")
    for number in range(1, quarantine_after + 1):
        assert board.record(number).worker == "Ben"
        board.succeed(number, quality=0.0)
    assert board.board.workers["Ada"].failures_in_a_row == quarantine_after
    board.leave("Ben")
    board.join("Ada", 5, call=2)
    assert board.board.workers["Ada"].failures_in_a_row == quarantine_after
    board.add(Task(id=9, description="any"))
    assert board.places() == {9: "Ada"}


def test_the_story_tells_of_the_review(watched: Watched) -> None:
    board = team(watched, "Ada", "Ben")
    board.add(to_review())
    board.succeed(1)
    verdict(board, 0.25, "too dark")
    told = [(each.what, each.attempt, each.worker) for each in board.board.story(1)]
    assert told == [
        (OccurrenceKind.TASK_ADDED, 0, ""),
        (OccurrenceKind.TASK_ASSIGNED, 1, "Ada"),
        (OccurrenceKind.ATTEMPT_SUCCEEDED, 1, "Ada"),
        (OccurrenceKind.TASK_ASSIGNED, 2, "Ben"),
        (OccurrenceKind.ATTEMPT_REVIEWED, 2, "Ben"),
        (OccurrenceKind.ATTEMPT_REJECTED, 1, "Ada"),
        (OccurrenceKind.TASK_FAILED, 2, "Ben"),
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"type": ""}, "task 1 has review=True and no type"),
        ({"type": "paint", "votes": 3}, "task 1 has review=True and votes=3"),
    ],
)
def test_a_review_that_could_never_be_is_refused(
    watched: Watched, fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidTask, match=told):
        watched().add(Task(id=1, description="any", review=True, **fields))
