"""What a manager shows of its run: status, results, statistics, reports, traces and metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

from ...messages import InvalidInput, Payload, TaskId, TaskResult, TaskStatus
from ..kernel.board.state import BoardState
from ..kernel.board.stuck_tasks import StuckTasks, find_stuck_tasks
from ..kernel.board.task_explanation import explain_task
from ..kernel.matching.explanation import Explanation
from ..kernel.model.occurrences import Watcher
from ..transport.traffic import Traffic
from .outgoing import Stamp
from .shell import ManagerShell

if TYPE_CHECKING:
    from ..report.model import RunReport
    from ..trace.file import TraceFile

_Answer = TypeVar("_Answer")


class WorkerStatsView(TypedDict):
    """The entry of one worker in `TaskManager.worker_stats`."""

    completed_tasks: int
    successful_tasks: int
    total_time: float
    success_rate: float


class RunView:
    """The readable side of a manager; any thread may use it."""

    name: str
    _shell: ManagerShell
    _trace_files: list[TraceFile]

    @property
    def board(self) -> BoardState:
        """The state of all tasks and workers; read it in the manager's event loop only."""
        return self._shell.driver.board

    def ask(self, question: Callable[[], _Answer]) -> _Answer:
        """Call a function in the manager's event loop, from any thread, and return its result."""
        return self._shell.driver.gate.ask(question)

    # ---------------------------------------------------------- tasks and workers

    def get_task_status(self, task_id: TaskId) -> str:
        """A task's status as text.

        Returns:
            "Pending", "In Progress", "Completed", "Failed" or "Cancelled".

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: self.board.find(task_id)).status.label

    def get_all_task_status(self) -> dict[TaskId, str]:
        """The status of all tasks as text, by id, in the order in which they were added."""
        return self.ask(
            lambda: {task_id: record.status.label for task_id, record in self.board.tasks.items()}
        )

    def get_task_result(self, task_id: TaskId) -> TaskResult | None:
        """A task's recorded result: that of its success or of its last failure.

        Returns:
            The result; None as long as there is none, and for a task that was never assigned.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: self.board.find(task_id)).result

    def explain(self, task_id: TaskId) -> Explanation:
        """Why a task is where it is: which workers were considered, or what it waits for.

        Raises:
            UnknownTask: no task has this id.
        """
        return self.ask(lambda: explain_task(self.board, task_id))

    def stuck_tasks(self) -> tuple[StuckTasks, ...]:
        """The tasks that can't go on as things are, by reason, such as a skill that nobody has."""
        return self.ask(lambda: find_stuck_tasks(self.board))

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
        """The statistics of each worker, by name; only workers that have finished an attempt."""
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

    def export_skills(self) -> dict[str, Payload]:
        """What workers have shown so far: the content of a skills file, for another manager.

        Raises:
            InvalidInput: the policy learns no skills.
        """
        from ..skills.policy_skills import find_scorecards  # noqa: PLC0415 - not all policies learn

        policy = self.board.queue.policy
        return self.ask(lambda: find_scorecards(policy, "export_skills").export())

    # ---------------------------------------------------------- the run as a whole

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .notebook_table import manager_table  # noqa: PLC0415 - only notebooks need it

        return self.ask(lambda: manager_table(self.name, self.board))

    def report(self) -> RunReport:
        """The report of the run so far, or of the run as it ended."""
        from ..report.build import build_report  # noqa: PLC0415 - its models take long to build

        return self.ask(
            lambda: build_report(
                self.board,
                name=self.name,
                now=self._shell.driver.now(),
                dropped=self._shell.dropped,
            )
        )

    def trace_to(self, file: str | Path) -> TraceFile:
        """Write what happens in the run to a file, from what is known already to the run's end.

        Args:
            file: the file; an existing one is replaced.

        Returns:
            The writer of the file; it is closed when the run ends.

        Raises:
            InvalidInput: the file can't be written.
        """
        from ..trace.file import TraceFile  # noqa: PLC0415 - its models take long to build
        from ..trace.follow import follow  # noqa: PLC0415

        written = TraceFile(file)
        self._trace_files.append(written)
        follow(self, written)
        return written

    def close(self) -> None:
        """Close the store and the traces of a manager that will not run.

        A run closes them when it ends. After that, the manager can't be run any more.

        Raises:
            InvalidInput: the manager runs.
        """
        if self._shell.is_running:
            raise InvalidInput(f"the manager {self.name!r} runs; end it with `await stop()`")
        self._close_files()

    def _close_files(self) -> None:
        """Close what a manager holds open, unless it runs: then the end of its run closes it."""
        if not self._shell.is_running:
            try:
                self._shell.driver.close_store()
            finally:
                for file in self._trace_files:
                    file.close()

    def watch(self, watcher: Watcher) -> None:
        """Call a function with each occurrence, such as an assignment, as it happens."""
        self._shell.watch(watcher)

    def watch_writes(self, watcher: Callable[[float], None]) -> None:
        """Call one function with the duration in seconds of each write to the store."""
        self._shell.driver.watch_writes(watcher)

    def stamp_assignments(self, stamp: Stamp) -> None:
        """Let one function choose the trace that each assignment carries to its worker."""
        self._shell.stamp_assignments(stamp)

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by reason."""
        return self._shell.dropped

    @property
    def traffic(self) -> Traffic:
        """How much has been sent to the workspace and received from it."""
        return self._shell.traffic

    @property
    def has_store(self) -> bool:
        """Whether the run is kept in a store."""
        return self._shell.driver.commit is not None

    async def try_store(self) -> None:
        """Check that the store, if there is one, can be written to.

        Raises:
            StoreUnusable: it can't.
        """
        if self._shell.driver.commit is not None:
            await self._shell.driver.commit.check_store()
