"""What tasks ask people: each question is asked once, answered once, and kept by the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.agents.kernel.board.restoration import read_board
from muster.agents.kernel.board.rows import changed_rows
from muster.agents.kernel.model.events import (
    ListeningStarted,
    QuestionAnswered,
    QuestionAsked,
    RetryRequested,
)
from muster.agents.kernel.model.occurrence_text import describe_facts
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.store.memory import SharedRows
from muster.messages import IllegalTransition, InvalidInput, UnknownTask
from muster.messages.question import QuestionText, check_answer, check_question

Make = Callable[..., Any]
PUBLISH = QuestionText("Publish?", ("yes", "no"), key="Publish?")
SOON = PUBLISH._replace(expires_s=60.0)


def ask(board: Any, asked: QuestionText = PUBLISH, attempt: int | None = None) -> None:
    record = board.record(1)
    number = attempt or record.attempt
    worker_id = record.attempts[number - 1].worker.worker_id
    board.handle(QuestionAsked(worker_id, 1, number, asked))


def answer(board: Any, text: str = "yes", number: int | None = None) -> None:
    board.handle(QuestionAnswered(1, text, "Ada, on the page", number))


def open_texts(board: Any) -> list[str]:
    return [question.asked.text for _, question in board.board.questions.open()]


@pytest.fixture
def asking(crew: Make, task: Make) -> Any:
    board = crew(Kim=5)
    board.add(task(1, type="dig", max_attempts=3))
    ask(board)
    return board


def test_a_question_is_open_until_it_is_answered_and_who_and_when_is_in_the_story(
    asking: Any,
) -> None:
    assert open_texts(asking) == ["Publish?"]
    ask(asking)
    asking.now = 5.0
    answer(asking)
    assert open_texts(asking) == []
    told = [each for each in asking.board.story(1) if each.what.value.startswith("question")]
    assert [(each.what.value, each.at, describe_facts(each)) for each in told] == [
        ("question_asked", 0.0, "Publish?"),
        ("question_answered", 5.0, "'yes' by Ada, on the page"),
    ]


def test_the_next_attempt_gets_the_answer_that_was_given(asking: Any) -> None:
    answer(asking, "no")
    asking.fail(1)
    ask(asking)
    assert open_texts(asking) == []
    assert asking.record(1).questions["Publish?"].answer == "no"


def test_a_question_can_be_answered_while_no_worker_performs_its_task(asking: Any) -> None:
    asking.leave("Kim")
    assert open_texts(asking) == ["Publish?"]
    answer(asking)
    asking.join("Lea")
    ask(asking)
    assert open_texts(asking) == []
    assert OccurrenceKind.QUESTION_ASKED in asking.happened(1)
    assert asking.happened(1).count(OccurrenceKind.QUESTION_ASKED) == 1


@pytest.mark.parametrize("default", [None, "no"])
def test_an_unanswered_question_expires(crew: Make, task: Make, default: str | None) -> None:
    board = crew(Kim=5)
    board.add(task(1, type="dig", max_attempts=3))
    ask(board, SOON._replace(default=default))
    board.wait_until(59.0, hearing=["Kim"])
    assert open_texts(board) == ["Publish?"]
    board.wait_until(61.0, hearing=["Kim"])
    question = board.record(1).questions["Publish?"]
    assert (question.answer, question.has_expired) == (default, default is None)
    with pytest.raises(IllegalTransition, match="too late: question 1 of task 1 expired after 60"):
        answer(board)
    words = [describe_facts(each) for each in board.board.story(1)][-1]
    assert words.startswith("nobody answered in time")
    # Only the next attempt may ask again, and only if there is no answer at all.
    ask(board)
    assert open_texts(board) == []
    board.fail(1)
    ask(board)
    assert open_texts(board) == ([] if default else ["Publish?"])


@pytest.mark.parametrize("how", ["cancelled", "done", "begun anew"])
def test_the_end_of_a_task_closes_its_questions(asking: Any, how: str) -> None:
    if how == "done":
        asking.succeed(1)
    else:
        asking.cancel(1)
    with pytest.raises(IllegalTransition, match="so it asks nothing any more"):
        answer(asking)
    if how == "begun anew":
        asking.fail(1)
        asking.handle(RetryRequested((1,)))
        assert asking.record(1).questions is None
        ask(asking)
        assert open_texts(asking) == ["Publish?"]
    else:
        assert open_texts(asking) == []
        with pytest.raises(IllegalTransition, match="attempt 1 at task 1 is over"):
            ask(asking)


def test_a_store_keeps_questions_and_answers(asking: Any) -> None:
    kept = SharedRows()
    ask(asking, QuestionText("Which colour?", key="colour", expires_s=30.0))
    ask(asking, QuestionText("And why?", key="why"))
    answer(asking, "because", 3)
    kept.keep(changed_rows(asking.board, asking.said))
    board = read_board(kept.read(), now=20.0)
    questions = list(board.tasks[1].questions.values())
    assert questions[0].asked == PUBLISH
    assert [each.is_open for each in questions] == [True, True, False]
    assert (questions[2].answer, questions[2].answered_by) == ("because", "Ada, on the page")
    assert [question.number for _, question in board.questions.open()] == [1, 2]
    board.handle(ListeningStarted(), 20.0)
    assert board.next_timer_at() is not None
    assert questions[1].expires_at == 30.0


def test_which_of_several_questions_is_answered_must_be_said(asking: Any) -> None:
    ask(asking, QuestionText("Which colour?", key="colour"))
    with pytest.raises(InvalidInput, match=r"asks 2 questions.*1 \('Publish\?'\), 2 \('Which"):
        answer(asking)
    answer(asking, "red", 2)
    answer(asking, "yes")
    assert open_texts(asking) == []


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        (
            QuestionAnswered(1, "maybe", "Ada"),
            InvalidInput,
            "'maybe' is none of the choices: 'yes'",
        ),
        (QuestionAnswered(1, " ", "Ada"), InvalidInput, "the answer is ' '; it must be text"),
        (QuestionAnswered(1, "yes", "Ada", 7), IllegalTransition, "has not asked a question 7"),
        (QuestionAnswered(2, "yes", "Ada"), IllegalTransition, "task 2 asks nothing"),
        (QuestionAnswered(3, "yes", "Ada"), UnknownTask, "no task has the id 3"),
        (QuestionAsked("elsewhere", 1, 1, PUBLISH), IllegalTransition, "is over, so it can't ask"),
        (QuestionAsked("at Kim", 1, 9, PUBLISH), IllegalTransition, "is over, so it can't ask"),
        (
            QuestionAsked("at Kim", 1, 1, PUBLISH._replace(text="Delete?")),
            InvalidInput,
            "has the key 'Publish\\?' of another one: 'Publish\\?'",
        ),
    ],
)
def test_what_can_not_be_asked_or_answered_is_refused(
    asking: Any, task: Make, event: Any, kind: type[Exception], words: str
) -> None:
    asking.add(task(2))
    with pytest.raises(kind, match=words):
        asking.board.handle(event, asking.now)
    assert open_texts(asking) == ["Publish?"]


def test_an_answer_is_given_once(asking: Any) -> None:
    answer(asking)
    for number in (None, 1):
        with pytest.raises(IllegalTransition, match="answered 'yes' by Ada, on the page"):
            answer(asking, "no", number)


QUESTION = {"text": "Publish?", "choices": None, "expires_s": None, "default": None, "key": None}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"text": ""}, "the question is ''; it must be text that is not blank"),
        ({"text": 7}, "the question is 7; it must be text"),
        ({"text": "x" * 2_001}, "the question has 2,001 characters; 2,000 are possible"),
        ({"choices": []}, "choices is empty; give 1 or more, or None"),
        ({"choices": "yes"}, "choices is 'yes'; it must be a list of texts"),
        ({"choices": ["yes", "yes"]}, "the choice 'yes' occurs twice"),
        ({"choices": ["yes", " "]}, "a choice is ' '; it must be text"),
        ({"choices": ["yes", "x" * 201]}, "a choice has 201 characters; 200 are possible"),
        ({"choices": [str(each) for each in range(51)]}, "there are 51 choices; 50 are possible"),
        ({"expires_s": 0}, "expires_s is 0; it must be a finite number of seconds above 0"),
        ({"expires_s": float("nan")}, "expires_s is nan"),
        ({"expires_s": "soon"}, "expires_s is 'soon'"),
        ({"default": "yes"}, "the question never expires; give expires_s"),
        (
            {"default": "maybe", "expires_s": 5, "choices": ["yes", "no"]},
            "the default answer is no choice: 'maybe' is none of the choices: 'yes', 'no'",
        ),
        ({"key": " "}, "the key of the question is ' '"),
    ],
)
def test_a_bad_question_is_refused_with_what_would_be_right(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_question(**{**QUESTION, **given})


def test_a_good_question_and_a_good_answer_are_taken_without_blanks_around_them() -> None:
    asked = check_question(" Publish? ", ["yes ", "no"], 5, "no", None)
    assert asked == QuestionText("Publish?", ("yes", "no"), 5.0, "no", "Publish?")
    assert check_answer(" yes\n", asked.choices) == "yes"
