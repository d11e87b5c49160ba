"""The methods and attributes of a `TaskManager` that subclasses override, read and set.

`hook_dispatch` tells when each method is called.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from ...messages import InvalidInput, Task, TaskId, TaskResult
from ...messages.task import check_is_task
from ..kernel.matching.policies import RATE_OF_THE_UNTRIED
from ..kernel.model.records import AttemptOutcome
from ..runtime.log import log
from ..runtime.terminal_text import print_text
from ..transport.ceylon_api import AgentDetail
from .assigning import Assigning
from .hook_calls import in_hook
from .options import ManagerOptions
from .run_lists import ResultList, RunTaskList
from .run_view import RunView, WorkerStatsView

timeout_handled: ContextVar[TaskId | None] = ContextVar("muster_timeout_handled", default=None)
"""The task whose timeout this context handles."""


@dataclass(slots=True)
class HookState:
    """What has happened to the hooks of one manager.

    Args:
        has_reported: whether the final report was made.
        has_ended_management: whether `end_task_management` was called.
        work_is_settled: whether every task is settled, or the run can't continue.
        takes_results: whether the class has a hook or handler that takes results.
        own_stats: the statistics that an override of `_update_worker_stats` keeps.
        counted_results: the results that were passed to that override; bounded.
        own_timeouts: the subclass's own `task_timeouts`, if it has set them.
        own_completed: the subclass's own `completed_tasks`, if it has set them.
        not_passed_on: tasks whose result is recorded, but was not passed to the hooks yet.
        timeout_timers: the calls of `_handle_timeout` under way; bounded by the running attempts.
        timed_by_subclass: tasks whose timeout the subclass handles by its own call.
    """

    has_reported: bool = False
    has_ended_management: bool = False
    work_is_settled: bool = False
    takes_results: bool = False
    own_stats: dict[str, WorkerStatsView] = field(default_factory=dict[str, WorkerStatsView])
    counted_results: dict[tuple[TaskId, int], None] = field(
        default_factory=dict[tuple[TaskId, int], None]
    )
    own_timeouts: dict[TaskId, float] | None = None
    own_completed: set[TaskId] | None = None
    not_passed_on: dict[TaskId, None] = field(default_factory=dict[TaskId, None])
    timeout_timers: dict[TaskId, asyncio.Future[None]] = field(
        default_factory=dict[TaskId, "asyncio.Future[None]"]
    )
    timed_by_subclass: dict[TaskId, object] = field(default_factory=dict[TaskId, object])


class OverridableHooks(RunView):
    """What a subclass of `TaskManager` may override to take part in the run.

    Each hook may be a coroutine or a plain method. Exceptions are logged; only those of
    `assign_tasks` and of the matching end the run.
    """

    tasks_assigned: bool
    _assigning: Assigning
    _manager_options: ManagerOptions
    _hook_state: HookState

    @abstractmethod
    def _overrides(self, hook: str) -> bool:
        """Whether the subclass overrides a hook."""

    # ---------------------------------------------------------- hooks

    async def assign_tasks(self) -> None:
        """Begin to assign tasks; called once, when the expected workers have joined.

        An override assigns all tasks with `await super().assign_tasks()`, or single tasks by
        broadcasting a `TaskAssignment` of each. The tasks that it leaves are assigned when the
        others are done. An override that assigns none, or raises, ends the run with
        `AssigningFailed`.
        """
        self.tasks_assigned = True
        self._shell.driver.begin_assigning()

    async def handle_result(
        self, data: TaskResult, time: int = 0, agent: AgentDetail | None = None
    ) -> None:
        """Called with each task's recorded result; an override may take fewer arguments.

        The calls come one after the other, and in each `task_results` has the results up to its
        own. The run ends when the last call has returned, so an override may still add or recover
        tasks. A call that takes more than 30 s when everything else is done is cancelled.

        Args:
            data: the result.
            time: when it was recorded, in seconds since 1970.
            agent: the worker that sent it.
        """

    async def end_task_management(self) -> None:
        """Called once when every task is settled; prints the results unless `quiet` is set.

        A call by the subclass ends the run; tasks that are not settled stay so. If an override of
        `handle_result` calls it, only the success rate is printed, since the override has reported
        the rest.
        """
        state = self._hook_state
        if state.has_reported or self._manager_options.quiet:
            return
        ends_early = in_hook.get() and not state.work_is_settled
        has_shown_results = self._overrides("handle_result") and not self._overrides(
            "_generate_final_report"
        )
        if ends_early and has_shown_results:
            rate = self.report().success_rate
            print_text(f"Success rate: {rate:.2%}")
        else:
            await self._generate_final_report()

    async def _generate_final_report(self) -> None:
        """Called once when every task is settled; prints the results unless `quiet` is set."""
        if not self._manager_options.quiet:
            from ..report.text import render_summary  # noqa: PLC0415 - it loads rich

            print_text(render_summary(self.report()))

    def _update_worker_stats(self, result: TaskResult) -> None:
        """Count a result in `worker_stats`; an override is called once for each recorded result.

        Args:
            result: the result.
        """
        if not self._overrides("_update_worker_stats"):
            # The board has counted it, as it also counts failures that are retried.
            return
        stats = self._hook_state.own_stats.setdefault(
            result.worker,
            WorkerStatsView(
                completed_tasks=0, successful_tasks=0, total_time=0.0, success_rate=0.0
            ),
        )
        stats["completed_tasks"] += 1
        stats["successful_tasks"] += result.success
        stats["total_time"] += result.execution_time
        stats["success_rate"] = stats["successful_tasks"] / stats["completed_tasks"]

    async def _handle_timeout(self, task_id: TaskId, timeout: float) -> None:
        """Wait for a timeout, and log that the task has not been settled by then.

        The manager itself stops an attempt that takes too long, and retries the task or fails it.
        An override is called when an attempt begins that has a timeout, and cancelled when the
        attempt ends in another way. While it handles the timeout, `completed_tasks` does not
        contain the task if it ended by the timeout.

        Args:
            task_id: the task.
            timeout: how long its attempt may take, in seconds.
        """
        await asyncio.sleep(timeout)
        if task_id not in self.completed_tasks:
            log.warning("a task has timed out", manager=self.name, task=task_id, timeout_s=timeout)

    def _match_tasks_to_workers(
        self, tasks: Sequence[Task], workers: Sequence[AgentDetail]
    ) -> list[tuple[AgentDetail, Task]]:
        """Pair each task with a worker: the hardest with the one of the highest score, and so on.

        An override decides which worker gets which task. It is called with the waiting tasks and
        the workers that have a free slot, after each event. A task that it pairs with no worker
        waits. If it pairs none although all workers are free, tasks fail after
        `unmatched_after_s`. Without an override the `policy` decides.

        Args:
            tasks: the tasks, 1,000 at most.
            workers: the workers, with their skill when the manager calls it.

        Returns:
            The pairs; if there are more tasks than workers, workers are paired repeatedly.
        """
        if not workers:
            return []
        ranked = sorted(workers, key=self._get_worker_score, reverse=True)
        hardest = sorted(tasks, key=lambda task: task.difficulty, reverse=True)
        return [(ranked[index % len(ranked)], task) for index, task in enumerate(hardest)]

    def _get_worker_score(self, worker: AgentDetail) -> float:
        """The score of a worker: 0.7 of its success rate, and 0.3 for each finished attempt.

        An override decides which worker comes first: the hardest task goes to the worker of the
        highest score, whatever its skill, as with the policy "score".

        Args:
            worker: the worker.
        """
        stats: Mapping[str, float] = self.worker_stats.get(worker.name) or {}  # type: ignore[assignment]
        rate = stats.get("success_rate", RATE_OF_THE_UNTRIED)
        return 0.7 * rate + 0.3 * stats.get("completed_tasks", 0)

    # ---------------------------------------------------------- attributes

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in the order in which they were added; set or append to it to add new ones.

        Raises:
            InvalidInput: a task of the run is not among those set.
            InvalidTask: a task can't be added.
        """
        return self.ask(
            lambda: RunTaskList(
                (record.task for record in self.board.tasks.values()),
                lambda tasks: self.ask(lambda: self._shell.driver.add_tasks(tasks)),
            )
        )

    @tasks.setter
    def tasks(self, tasks: Iterable[Task]) -> None:
        given = list(tasks)
        self.ask(lambda: self._add_missing(given))

    def _add_missing(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            check_is_task(task)
        known = self.board.tasks
        left_out = known.keys() - {task.id for task in tasks}
        # A resumed run may have more tasks than the program that started it.
        if left_out and not self.board.is_suspended:
            raise InvalidInput(
                f"tasks is set without task {next(iter(left_out))!r}, which the manager has; "
                "set it to add tasks, and remove tasks with cancel_task"
            )
        new = [task for task in tasks if task.id not in known]
        for task in tasks:
            if task.id in known:
                self._assigning.check_same(known[task.id], task)
        if new:
            self._shell.driver.add_tasks(new)

    @property
    def task_results(self) -> list[TaskResult]:
        """The recorded results, in the order of recording; in a hook, those passed to hooks so far.

        Appending a result that is recorded, or setting an empty list, changes nothing.
        """
        not_passed_on = self._hook_state.not_passed_on if in_hook.get() else ()
        return self.ask(
            lambda: ResultList(
                each for each in self.board.results if each.task_id not in not_passed_on
            )
        )

    @task_results.setter
    def task_results(self, results: Iterable[TaskResult]) -> None:
        recorded = {each.task_id for each in self.board.results}
        if unknown := [each.task_id for each in results if each.task_id not in recorded]:
            raise InvalidInput(
                f"task_results is set to a result of task {unknown[0]!r}, which is not recorded; "
                "results come from the workers, so set it to [] or not at all"
            )

    @property
    def completed_tasks(self) -> set[TaskId]:
        """The ids of the settled tasks; in a hook, without those not passed to hooks yet.

        Once a subclass has set it, it is the set that was set, and the subclass maintains it.
        """
        state = self._hook_state
        if state.own_completed is not None:
            return state.own_completed
        not_passed_on = state.not_passed_on if in_hook.get() else ()
        timing_out = timeout_handled.get()

        def is_completed(task_id: TaskId) -> bool:
            record = self.board.tasks[task_id]
            if task_id == timing_out and record.attempts:
                return (
                    record.status.is_final
                    and record.attempts[-1].outcome != AttemptOutcome.TIMED_OUT
                )
            return record.status.is_final and task_id not in not_passed_on

        return self.ask(lambda: set(filter(is_completed, self.board.tasks)))

    @completed_tasks.setter
    def completed_tasks(self, completed: set[TaskId]) -> None:
        self._hook_state.own_completed = completed

    @property
    def worker_stats(self) -> dict[str, WorkerStatsView]:
        """The statistics of each worker, by name; only workers that have finished an attempt.

        If a subclass overrides `_update_worker_stats`, they are what that override counts.
        """
        if self._overrides("_update_worker_stats"):
            return self._hook_state.own_stats
        return self.recorded_stats()

    @worker_stats.setter
    def worker_stats(self, stats: dict[str, WorkerStatsView]) -> None:
        if stats and not self._overrides("_update_worker_stats"):
            raise InvalidInput(
                f"worker_stats is set to {stats!r}, but the manager counts what workers do; "
                "override _update_worker_stats to count in another way"
            )
        self._hook_state.own_stats = stats
        self._hook_state.counted_results.clear()

    @property
    def task_timeouts(self) -> dict[TaskId, float]:
        """When the running attempts that have a timeout will time out, in seconds since 1970.

        Once a subclass has set it, it is the dict that was set, for timers of the subclass's own.
        Timers that still run when the run ends are cancelled.
        """
        if self._hook_state.own_timeouts is not None:
            return self._hook_state.own_timeouts
        return _Deadlines(self.recorded_deadlines(), self._set_timeouts)

    @task_timeouts.setter
    def task_timeouts(self, timeouts: dict[TaskId, float]) -> None:
        self._set_timeouts(timeouts)

    def _set_timeouts(self, timeouts: dict[TaskId, float]) -> None:
        self._hook_state.own_timeouts = timeouts


class _Deadlines(dict[TaskId, float]):
    """The current deadlines; setting an item in it makes the dict of the subclass's own timers.

    Args:
        deadlines: the deadlines.
        keep: keeps the dict of the subclass's own timers.
    """

    def __init__(
        self, deadlines: Mapping[TaskId, float], keep: Callable[[dict[TaskId, float]], None]
    ) -> None:
        super().__init__(deadlines)
        self._keep = keep

    def __setitem__(self, task_id: TaskId, timer: float, /) -> None:
        self._keep({task_id: timer})
