"""The methods of a manager that list what tasks ask people, and answer it."""

from __future__ import annotations

from ...messages import TaskId
from ..submission.questions import OpenQuestion
from .run_view import RunView


class QuestionControl(RunView):
    """Lists and answers questions of tasks, from any thread."""

    def questions(self) -> list[OpenQuestion]:
        """The questions that wait for an answer, in the order in which the tasks asked first."""
        return self.ask(self._shell.driver.open_questions)

    def answer(
        self,
        task_id: TaskId,
        answer: str,
        *,
        by: str = "the program of the manager",
        question: int | None = None,
    ) -> None:
        """Answer the question of a task; see `TaskContext.ask`.

        Args:
            task_id: the task.
            answer: one of the choices, or any text if the question has none.
            by: who answers, for the task's story; 200 characters at most are kept.
            question: the number of the question, if the task asks several at once.

        Raises:
            UnknownTask: no task has this id.
            IllegalTransition: it asks nothing now, or somebody has answered, or it is too late.
            InvalidInput: the answer is no choice, or the question must be named.
        """
        self.ask(lambda: self._shell.driver.answer(task_id, answer, by, question))
