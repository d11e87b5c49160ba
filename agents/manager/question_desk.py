"""Takes what handlers ask people, and replies when there is an answer."""

from __future__ import annotations

from collections.abc import Callable

from ...messages import (
    AnswerExpired,
    IllegalTransition,
    InvalidInput,
    ManagerReply,
    ManagerRequest,
    MusterError,
    TaskId,
)
from ...messages.question import check_question
from ...messages.wording import show
from ..kernel.board.questions import describe_outcome
from ..kernel.model.events import QuestionAsked
from ..kernel.model.occurrences import SETTLING, Occurrence, OccurrenceKind, Watcher
from ..kernel.model.questions import TaskQuestion
from ..kernel.model.records import TaskRecord
from .board_driver import BoardDriver
from .request_answers import refusal

_CONCLUDING = frozenset({OccurrenceKind.QUESTION_ANSWERED, OccurrenceKind.QUESTION_EXPIRED})


class QuestionDesk:
    """Tells handlers the answers to what they have asked.

    A worker repeats a request that has no reply, also to another manager; so the requests are kept
    in memory only, and the questions by the board.

    Args:
        driver: drives the board.
        watch: has a function called with each occurrence.
        reply: sends a reply to the worker at an address.
    """

    def __init__(
        self,
        driver: BoardDriver,
        watch: Callable[[Watcher], None],
        reply: Callable[[str, ManagerReply], None],
    ) -> None:
        self._driver = driver
        self._watch = watch
        self._reply = reply
        # By task and key of the question: the worker's address and the number of its request.
        self._waiting: dict[TaskId, dict[str, tuple[str, int]]] = {}
        self._is_watching = False

    def take(self, address: str, request: ManagerRequest) -> None:
        """Take a question, and reply now or later."""
        try:
            self._take(address, request)
        except MusterError as fault:
            self._reply(address, refusal(request.number, fault))

    def _take(self, address: str, request: ManagerRequest) -> None:
        if request.asked_by is None:
            raise InvalidInput("only the handler of a task can ask a person")
        task_id, attempt = request.asked_by
        names = ("text", "choices", "expires_s", "default", "key")
        asked = check_question(*(request.arguments.get(name) for name in names))
        if not self._is_watching:
            # A manager without questions saves the calls.
            self._is_watching = True
            self._watch(self._note)
        waiting = self._waiting.setdefault(task_id, {})
        waiting[asked.key] = (address, request.number)
        try:
            self._driver.apply(QuestionAsked(address, task_id, attempt, asked))
        except MusterError:
            self._stop_waiting(task_id, asked.key)
            raise
        self._reply_to_answered(task_id)

    def _note(self, occurrence: Occurrence) -> None:
        task_id = occurrence.task_id
        if task_id is None or task_id not in self._waiting:
            return
        if occurrence.what in _CONCLUDING:
            self._reply_to_answered(task_id)
        elif occurrence.what in SETTLING:
            fault = IllegalTransition(f"task {task_id!r} is settled, so nobody is asked any more")
            for address, number in self._waiting.pop(task_id).values():
                self._reply(address, refusal(number, fault))

    def _reply_to_answered(self, task_id: TaskId) -> None:
        record = self._driver.board.tasks.get(task_id)
        questions = None if record is None else record.questions
        if record is None or questions is None:
            return
        for key, (address, number) in tuple(self._waiting.get(task_id, {}).items()):
            question = questions.get(key)
            if question is not None and not question.is_open:
                self._stop_waiting(task_id, key)
                self._reply(address, _reply_to(number, record, question))

    def _stop_waiting(self, task_id: TaskId, key: str) -> None:
        waiting = self._waiting.get(task_id, {})
        waiting.pop(key, None)
        if not waiting:
            self._waiting.pop(task_id, None)


def _reply_to(number: int, record: TaskRecord, question: TaskQuestion) -> ManagerReply:
    if question.has_expired:
        asked = show(question.asked.text)
        outcome = describe_outcome(record, question)
        return refusal(number, AnswerExpired(f"nobody has answered {asked}: {outcome}"))
    return ManagerReply(number=number, value=question.answer)
