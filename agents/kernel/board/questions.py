"""Keeps the questions that handlers ask people, and takes the answers."""

from __future__ import annotations

from collections.abc import Iterator

from ....messages import IllegalTransition, InvalidInput, TaskId
from ....messages.question import check_answer
from ....messages.wording import show
from ..model.events import QuestionAnswered, QuestionAsked
from ..model.occurrences import AnswerFacts, OccurrenceKind, QuestionFacts
from ..model.questions import TaskQuestion
from ..model.records import TaskRecord
from .context import BoardContext
from .question_expiry import QuestionExpiry
from .task_registry import TaskRegistry
from .timer_kinds import BoardTimers

MAX_QUESTIONS = 1_000
"""How many questions one task may ask."""


class TaskQuestions:
    """Takes questions and answers.

    A question belongs to its task and not to an attempt. It can be answered as long as the task is
    not settled, also while no worker performs it.
    """

    def __init__(self, context: BoardContext, tasks: TaskRegistry, timers: BoardTimers) -> None:
        self._context = context
        self._tasks = tasks
        self._timers = timers
        # The tasks that may have open questions.
        self._asking: dict[TaskId, TaskRecord] = {}

    def ask(self, event: QuestionAsked) -> None:
        """Take a question; one that was asked before, and has its answer, stays as it is.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: the attempt is over, or another worker's.
            InvalidInput: the task asks too many questions, or another one by the same key.
        """
        record = self._tasks.find(event.task_id)
        if not _is_performed_by(record, event.worker_id, event.attempt):
            raise IllegalTransition(
                f"attempt {event.attempt} at task {record.task_id!r} is over, so it can't ask"
            )
        questions = record.questions
        if questions is None:
            questions = record.questions = {}
        asked = event.asked
        question = questions.get(asked.key)
        if question is None:
            if len(questions) >= MAX_QUESTIONS:
                raise InvalidInput(
                    f"task {record.task_id!r} has asked {len(questions):,} questions, which is the "
                    "limit"
                )
            question = TaskQuestion(len(questions) + 1, asked, event.attempt, self._context.now)
            questions[asked.key] = question
        elif question.asked.text != asked.text:
            raise InvalidInput(
                f"the question {show(asked.text)} has the key {show(asked.key)} of another one: "
                f"{show(question.asked.text)}; give each question of a task its own key"
            )
        elif question.has_expired and event.attempt > question.attempt:
            # The task was tried again, so people get another chance.
            question.answered_at = None
        else:
            question.attempt = event.attempt
            return
        question.asked = asked
        question.attempt = event.attempt
        question.asked_at = self._context.now
        self._set_expiry(record, question)
        self._context.note_task(
            OccurrenceKind.QUESTION_ASKED,
            record,
            event.attempt,
            record.worker,
            QuestionFacts(question.number, asked.text),
        )

    def answer(self, event: QuestionAnswered) -> None:
        """Take the answer to an open question.

        Raises:
            UnknownTask: there is no such task.
            IllegalTransition: it asks nothing now, or the question is not open any more.
            InvalidInput: the answer is no choice, or several questions are open and none is named.
        """
        record = self._tasks.find(event.task_id)
        question = self._find(record, event.question)
        question.answer = check_answer(event.answer, question.asked.choices)
        question.answered_by = event.by
        self._conclude(OccurrenceKind.QUESTION_ANSWERED, record, question)

    def expire(self, expiry: QuestionExpiry) -> None:
        """Take the default answer to a question, or none, because its time is over."""
        question = expiry.question
        question.answer = question.asked.default
        self._conclude(OccurrenceKind.QUESTION_EXPIRED, expiry.record, question)

    def open(self) -> Iterator[tuple[TaskRecord, TaskQuestion]]:
        """The questions that wait for an answer, the tasks in the order in which they asked."""
        for record in tuple(self._asking.values()):
            questions = open_questions(record)
            if not questions:
                del self._asking[record.task_id]
            for question in questions:
                yield record, question

    def restore(self, record: TaskRecord) -> None:
        """Watch the open questions of a task that was read from a store."""
        for question in open_questions(record):
            self._watch(record, question)

    def _set_expiry(self, record: TaskRecord, question: TaskQuestion) -> None:
        limit_s = question.asked.expires_s
        if limit_s is not None:
            question.expires_at = question.asked_at + limit_s * self._context.rules.time_scale
        self._watch(record, question)

    def _watch(self, record: TaskRecord, question: TaskQuestion) -> None:
        self._asking[record.task_id] = record
        self._timers.set(QuestionExpiry(record, question))

    def _find(self, record: TaskRecord, number: int | None) -> TaskQuestion:
        """The open question of a number, or the only one."""
        task_id, questions = record.task_id, record.questions or {}
        if record.status.is_final:
            raise IllegalTransition(
                f"task {task_id!r} is {record.status.value}, so it asks nothing any more"
            )
        if number is not None:
            question = next((each for each in questions.values() if each.number == number), None)
            if question is None:
                raise IllegalTransition(f"task {task_id!r} has not asked a question {number}")
            if not question.is_open:
                raise IllegalTransition(f"too late: {describe_outcome(record, question)}")
            return question
        found = open_questions(record)
        if len(found) > 1:
            listed = ", ".join(f"{each.number} ({show(each.asked.text)})" for each in found)
            raise InvalidInput(
                f"task {task_id!r} asks {len(found)} questions; say which one: {listed}"
            )
        if not found:
            last = max(questions.values(), key=lambda each: each.answered_at or 0.0, default=None)
            if last is not None:
                raise IllegalTransition(f"too late: {describe_outcome(record, last)}")
            raise IllegalTransition(f"task {task_id!r} asks nothing")
        return found[0]

    def _conclude(self, what: OccurrenceKind, record: TaskRecord, question: TaskQuestion) -> None:
        question.answered_at = self._context.now
        facts = AnswerFacts(question.number, question.answer, question.answered_by)
        self._context.note_task(what, record, question.attempt, record.worker, facts)


def open_questions(record: TaskRecord) -> list[TaskQuestion]:
    """The questions of a task that wait for an answer."""
    if not record.questions or record.status.is_final:
        return []
    return [each for each in record.questions.values() if each.is_open]


def describe_outcome(record: TaskRecord, question: TaskQuestion) -> str:
    """What became of a question, in a sentence."""
    asked = f"question {question.number} of task {record.task_id!r}"
    if question.answered_by:
        return f"{asked} was answered {show(question.answer)} by {question.answered_by}"
    default = "" if question.answer is None else f", with the default {show(question.answer)}"
    return f"{asked} expired after {question.asked.expires_s:g} s{default}"


def _is_performed_by(record: TaskRecord, worker_id: str, number: int) -> bool:
    if not 1 <= number <= record.attempt:
        return False
    attempt = record.attempts[number - 1]
    return attempt.outcome is None and attempt.worker.worker_id == worker_id
