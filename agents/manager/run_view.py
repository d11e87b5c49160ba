"""What a manager tells of its run: tasks, their status and results, and who did what."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypedDict, TypeVar

from ...messages import TaskId, TaskResult, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.matching.explanation import Explanation

_Answer = TypeVar("_Answer")


class WorkerStatsView(TypedDict):
    """What `TaskManager.worker_stats` tells of one worker."""

    completed_tasks: int
    successful_tasks: int
    total_time: float
    success_rate: float


class RunView:
    """The readings of a run; any thread may take them."""

    @property
    @abstractmethod
    def board(self) -> BoardState:
        """All that the manager knows of tasks and workers, to be read in the manager's loop."""

    @abstractmethod
    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Call a function where the run stands still meanwhile."""

    def get_task_status(self, task_id: TaskId) -> str:
        """A task's status in words.

        Returns:
            "Pending", "In Progress", "Completed", "Failed" or "Cancelled".

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: self.board.find(task_id)).status.label

    def get_all_task_status(self) -> dict[TaskId, str]:
        """The status of all tasks in words, by id, in the order of their adding."""
        return self.ask(
            lambda: {task_id: record.status.label for task_id, record in self.board.tasks.items()}
        )

    def get_task_result(self, task_id: TaskId) -> TaskResult | None:
        """A task's recorded result: of its success, or of the failure that was its last.

        Returns:
            The result; None as long as there is none, and for a task that nobody tried.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: self.board.find(task_id)).result

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task stands where it stands: who was considered for it, or what it waits for.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: self.board.explain(task_id))

    def recorded_deadlines(self) -> dict[TaskId, float]:
        """When the running attempts that have a timeout will time out, in seconds since 1970."""
        return self.ask(
            lambda: {
                task_id: record.deadline
                for task_id, record in self.board.tasks.items()
                if record.status is TaskStatus.IN_PROGRESS and record.deadline is not None
            }
        )

    def recorded_stats(self) -> dict[str, WorkerStatsView]:
        """What each worker has done, by name; only workers that have finished something."""
        return self.ask(
            lambda: {
                name: WorkerStatsView(
                    completed_tasks=worker.stats.completed_tasks,
                    successful_tasks=worker.stats.successful_tasks,
                    total_time=worker.stats.total_time,
                    success_rate=worker.stats.success_rate,
                )
                for name, worker in self.board.workers.items()
                if worker.stats.completed_tasks
            }
        )
