"""The methods of a `TaskManager` that subclasses override, and when each of them is called.

A subclass may also call them itself, as the documents' classes do. So before each stands a method
of ours that sees that nothing is done twice: a result is counted once, the report is made once, the
run ends once.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel

from ...messages import AssigningFailed, InvalidInput, Task, TaskId, TaskResult
from ...messages.task import check_is_task
from ..kernel.matching.policies import RATE_OF_THE_UNTRIED, ByScore, MatchingPolicy
from ..kernel.model.events import Occurrence, OccurrenceKind
from ..kernel.model.records import AttemptOutcome
from ..runtime.async_functions import is_async
from ..runtime.clock import now
from ..runtime.log import log
from ..transport.ceylon_api import AgentDetail
from ..transport.user_handlers import Handler, call_with
from .assigning import Assigning
from .hook_calls import in_hook
from .own_matching import PairedByMethod, ScoredByMethod
from .run_lists import ResultList, RunTaskList
from .run_view import RunView, WorkerStatsView
from .shell import ManagerShell

if TYPE_CHECKING:
    from ..report.model import RunReport

_MAX_COUNTED = 100_000
"""Of how many results it is remembered that a subclass has counted them."""

_Hook: TypeAlias = Callable[..., object]

_in_timeout: ContextVar[TaskId | None] = ContextVar("muster_in_timeout", default=None)
"""The task whose timeout is being handled here."""

_ENDING = frozenset(
    {OccurrenceKind.TASK_COMPLETED, OccurrenceKind.ATTEMPT_FAILED, OccurrenceKind.TASK_CANCELLED}
)
_STATS = frozenset({"completed_tasks", "successful_tasks", "total_time", "success_rate"})


class OverridableHooks(RunView):
    """What a subclass of `TaskManager` may override to take part in the run.

    Each may be a coroutine or a plain method. What it raises is logged; only what `assign_tasks`
    and the matching raise ends the run.
    """

    name: str
    tasks_assigned: bool
    _shell: ManagerShell
    _quiet: bool
    _assigning: Assigning
    _handlers: dict[type, Handler]

    if TYPE_CHECKING:

        def find_declared_handler(self, kind: type[BaseModel]) -> Handler | None:
            """The method that `@on` declares for a class of messages: that of `CeylonAgent`."""

    @abstractmethod
    def report(self) -> RunReport:
        """The run so far, or as it ended."""

    @abstractmethod
    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler let escape."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Only what is missing is asked for here.

            Raises:
                InvalidInput: it is missing because `__init__` has not been called.
                AttributeError: otherwise.
            """
            if name == "_shell":
                raise InvalidInput(
                    f"{type(self).__name__} is not made yet: call super().__init__(…) first, and "
                    "set or read tasks and the like after it"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # ---------------------------------------------------------- to be overridden

    async def assign_tasks(self) -> None:
        """Begin to hand out tasks; called once, when the expected workers are there.

        An override hands out all tasks by `await super().assign_tasks()`, or single ones by
        broadcasting a `TaskAssignment` of each. Those that it leaves are handed out when the others
        are done. One that hands out none, or raises, ends the run with `AssigningFailed`.
        """
        self.tasks_assigned = True
        self._shell.begin_assigning()

    async def handle_result(
        self, data: TaskResult, time: int = 0, agent: AgentDetail | None = None
    ) -> None:
        """Called with each task's recorded result; an override may take fewer arguments.

        The calls come one after the other, and in each `task_results` holds the results up to its
        own. The run ends when the last has returned, so that it may still add or recover tasks.
        One that takes more than 30 s when all else is done is given up.

        Args:
            data: the result.
            time: when it was recorded, in seconds since 1970.
            agent: the worker it came from.
        """

    async def end_task_management(self) -> None:
        """Called once when every task is settled; prints the results unless told to be quiet.

        To call it ends the run, and tasks that are not settled stay so. Where `handle_result` is
        overridden and calls it, only the success rate is printed: the override tells the rest.
        """
        if self._has_reported or self._quiet:
            return
        ends_early = in_hook.get() and not self._work_is_settled
        has_told = self._overrides("handle_result") and not self._overrides(
            "_generate_final_report"
        )
        if ends_early and has_told:
            rate = self.report().success_rate
            sys.stdout.write(f"Success rate: {rate:.2%}\n")
        else:
            await self._generate_final_report()

    async def _generate_final_report(self) -> None:
        """Called once when every task is settled; prints the results unless told to be quiet."""
        if not self._quiet:
            from ..report.text import render_summary  # noqa: PLC0415 - it loads rich

            sys.stdout.write(render_summary(self.report()) + "\n")

    def _update_worker_stats(self, result: TaskResult) -> None:
        """Count a result in `worker_stats`; an override is called once for each recorded result.

        Args:
            result: the result.
        """
        if not self._overrides("_update_worker_stats"):
            # The board has counted it, as it counts failures that are tried again.
            return
        stats = self._own_stats.setdefault(
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

        The manager itself stops an attempt that takes too long, and tries the task again or fails
        it. An override is called when an attempt begins that has a timeout, and cancelled when the
        attempt ends otherwise. While it handles the timeout, `completed_tasks` is without a task
        that ended by it.

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

        An override decides who gets which task: it is called with the waiting tasks and the workers
        that have a free slot, whenever something has happened. A task that it pairs with nobody
        waits. Where it pairs none although all workers are free, tasks fail after
        `unmatched_after_s`. Without an override the `policy` decides.

        Args:
            tasks: the tasks, 1,000 at most.
            workers: the workers, with their skill where the manager calls it.

        Returns:
            The pairs; with more tasks than workers these come round again.
        """
        if not workers:
            return []
        ranked = sorted(workers, key=self._get_worker_score, reverse=True)
        hardest = sorted(tasks, key=lambda task: task.difficulty, reverse=True)
        return [(ranked[place % len(ranked)], task) for place, task in enumerate(hardest)]

    def _get_worker_score(self, worker: AgentDetail) -> float:
        """What a worker is worth: 0.7 of its success rate and 0.3 for each task it has ended.

        An override decides which worker comes first; the hardest task then goes to the one of the
        highest score, whatever its skill, as with the policy "score".

        Args:
            worker: the worker.
        """
        stats: Mapping[str, float] = self.worker_stats.get(worker.name) or {}  # type: ignore[assignment]
        rate = stats.get("success_rate", RATE_OF_THE_UNTRIED)
        return 0.7 * rate + 0.3 * stats.get("completed_tasks", 0)

    # ---------------------------------------------------------- what they see

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in the order of their adding; to set or append adds those that are new.

        Raises:
            InvalidInput: a task of the run is not among those set.
            InvalidTask: a task can't be added.
        """
        return self.ask(
            lambda: RunTaskList(
                (record.task for record in self.board.tasks.values()),
                lambda tasks: self.ask(lambda: self._shell.add_tasks(tasks)),
            )
        )

    @tasks.setter
    def tasks(self, tasks: Iterable[Task]) -> None:
        wanted = list(tasks)
        self.ask(lambda: self._add_missing(wanted))

    @property
    def task_results(self) -> list[TaskResult]:
        """The recorded results, in the order of their recording; in a hook those told so far.

        To append a result that is there, or to set an empty list, changes nothing.
        """
        untold = self._untold if in_hook.get() else ()
        return self.ask(
            lambda: ResultList(each for each in self.board.results if each.task_id not in untold)
        )

    @task_results.setter
    def task_results(self, results: Iterable[TaskResult]) -> None:
        recorded = {each.task_id for each in self.board.results}
        if strange := [each.task_id for each in results if each.task_id not in recorded]:
            raise InvalidInput(
                f"task_results is set to a result of task {strange[0]!r}, which is not recorded; "
                "results come from the workers, so set it to [] or not at all"
            )

    @property
    def completed_tasks(self) -> set[TaskId]:
        """The ids of the tasks that are settled; in a hook without those not told yet.

        Once a subclass has set it, it is what was set, for the subclass to keep.
        """
        if self._own_completed is not None:
            return self._own_completed
        untold = self._untold if in_hook.get() else ()
        timing_out = _in_timeout.get()

        def is_completed(task_id: TaskId) -> bool:
            record = self.board.tasks[task_id]
            if task_id == timing_out and record.attempts:
                return (
                    record.status.is_final
                    and record.attempts[-1].ending != AttemptOutcome.TIMED_OUT
                )
            return record.status.is_final and task_id not in untold

        return self.ask(lambda: set(filter(is_completed, self.board.tasks)))

    @completed_tasks.setter
    def completed_tasks(self, completed: set[TaskId]) -> None:
        self._own_completed = completed

    @property
    def worker_stats(self) -> dict[str, WorkerStatsView]:
        """What each worker has done, by name; only workers that have finished something.

        Where a subclass overrides `_update_worker_stats` it is what that has made of it.
        """
        return self._own_stats if self._overrides("_update_worker_stats") else self.recorded_stats()

    @worker_stats.setter
    def worker_stats(self, stats: dict[str, WorkerStatsView]) -> None:
        if stats and not self._overrides("_update_worker_stats"):
            raise InvalidInput(
                f"worker_stats is set to {stats!r}, but the manager counts what workers do; "
                "override _update_worker_stats to count in a way of your own"
            )
        self._own_stats = stats
        self._counted_results.clear()

    @property
    def task_timeouts(self) -> dict[TaskId, float]:
        """When the running attempts that have a timeout will time out, in seconds since 1970.

        Once a subclass has set it, it is the dict that was set, for its own timers. Timers that
        still run when the run ends are cancelled.
        """
        if self._own_timeouts is not None:
            return self._own_timeouts
        return _Deadlines(self.recorded_deadlines(), self._set_timeouts)

    @task_timeouts.setter
    def task_timeouts(self, timeouts: dict[TaskId, float]) -> None:
        self._own_timeouts = timeouts

    def _set_timeouts(self, timeouts: dict[TaskId, float]) -> None:
        self._own_timeouts = timeouts

    # ---------------------------------------------------------- when they are called

    def _prepare_hooks(self) -> None:
        """Stand before the hooks, so that a subclass may call them, too; before anything else."""
        self._has_reported = False
        self._has_ended_management = False
        self._work_is_settled = False
        self._own_stats: dict[str, WorkerStatsView] = {}
        # Bounded by `_MAX_COUNTED`, by the tasks, and by the attempts that run.
        self._counted_results: dict[tuple[TaskId, int], None] = {}
        self._own_timeouts: dict[TaskId, float] | None = None
        self._own_completed: set[TaskId] | None = None
        self._untold: dict[TaskId, None] = {}
        self._timeout_timers: dict[TaskId, asyncio.Future[None]] = {}
        self._timed_by_subclass: dict[TaskId, object] = {}
        before: dict[str, _Hook] = {
            "assign_tasks": self._run_assign_tasks,
            "end_task_management": self._run_end_task_management,
            "_generate_final_report": self._run_generate_final_report,
            "_update_worker_stats": self._run_update_worker_stats,
            "_handle_timeout": self._run_handle_timeout,
        }
        for hook, stand_in in before.items():
            setattr(self, hook, partial(stand_in, getattr(self, hook)))

    def _overrides(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(OverridableHooks, hook)

    def wants_results(self) -> bool:
        """Whether a subclass wants to be told of results."""
        overridden = self._overrides("handle_result") or self._overrides("_update_worker_stats")
        return overridden or any(self._other_result_handlers())

    def _other_result_handlers(self) -> Iterable[_Hook]:
        """What is declared for results by `@on`, here or on the class, under another name."""
        declared = self.find_declared_handler(TaskResult)
        if declared is not None and getattr(declared, "__name__", "") != "handle_result":
            yield declared
        own = self._handlers.get(TaskResult)
        if own is not None:
            yield partial(_call_in_ceylons_order, own)

    def _own_policy(self, policy: MatchingPolicy) -> MatchingPolicy:
        """The policy to go by: the subclass's own matching or scores, if it has any."""
        owner = type(self).__name__
        for hook in ("_match_tasks_to_workers", "_get_worker_score"):
            if self._overrides(hook):
                name = f"{owner}.{hook}"
                kind = PairedByMethod if hook == "_match_tasks_to_workers" else ScoredByMethod
                return kind(name, getattr(self, hook), partial(self._fail_matching, name))
        if isinstance(policy, ByScore) and self._overrides("_update_worker_stats"):
            name = f"{owner}.worker_stats"
            return ScoredByMethod(name, self._get_worker_score, partial(self._fail_matching, name))
        return policy

    def _fail_matching(self, name: str, fault: BaseException) -> None:
        failure = AssigningFailed(f"{name} raised {type(fault).__name__}: {fault}")
        failure.__cause__ = fault
        self.report_fault(name, fault)
        # Later: it was the board that called it.
        asyncio.get_running_loop().call_soon(self._shell.fail, failure)

    def _add_missing(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            check_is_task(task)
        known = self.board.tasks
        left_out = known.keys() - {task.id for task in tasks}
        # A run that was kept may have grown since.
        if left_out and not self.board.is_suspended:
            raise InvalidInput(
                f"tasks is set without task {next(iter(left_out))!r}, which the manager has; "
                "tasks are added by setting, and taken back by cancel_task"
            )
        new = [task for task in tasks if task.id not in known]
        for task in tasks:
            if task.id in known:
                self._assigning.check_same(known[task.id], task)
        if new:
            self._shell.add_tasks(new)

    async def _run_assign_tasks(self, own: _Hook) -> None:
        await self._assigning.run(own)

    def recorded(self, result: TaskResult, at: float) -> Awaitable[None]:
        """Called by the shell with each recorded result; tells the hooks of it in its turn."""
        self._untold[result.task_id] = None
        return self._tell_result(result, at)

    async def _tell_result(self, result: TaskResult, at: float) -> None:
        self._untold.pop(result.task_id, None)
        if self._overrides("_update_worker_stats"):
            try:
                await _finish(self._update_worker_stats(result))
            except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
                self.report_fault("_update_worker_stats", fault)
        named = {"time": int(at), "agent": self._detail_of(result.worker)}
        await _finish(call_with(self.handle_result, (result,), named))
        for handler in self._other_result_handlers():
            await _finish(call_with(handler, (result,), named))

    def _run_update_worker_stats(self, own: _Hook, result: TaskResult) -> object:
        key = (result.task_id, result.attempt)
        if key in self._counted_results:
            return _nothing() if is_async(own) else None
        if self._overrides("_update_worker_stats"):
            self._counted_results[key] = None
            if len(self._counted_results) > _MAX_COUNTED:
                del self._counted_results[next(iter(self._counted_results))]
        return own(result)

    async def run_settled(self) -> None:
        """Called by the shell when every task is settled, or the run can't go on."""
        self._work_is_settled = True
        await self.end_task_management()

    async def _run_generate_final_report(self, own: _Hook) -> None:
        self._has_reported = True
        await _finish(own())

    async def _run_end_task_management(self, own: _Hook) -> None:
        if self._has_ended_management:
            return
        self._has_ended_management = True
        try:
            await _finish(own())
            if self._overrides("_generate_final_report") and not self._has_reported:
                await self._generate_final_report()
        finally:
            self.ask(self._shell.finish)

    # ---------------------------------------------------------- timeouts

    def _run_handle_timeout(self, own: _Hook, task_id: TaskId, timeout: float) -> Awaitable[None]:
        # It counts from the call, which is before its first step.
        call = self._timed_by_subclass[task_id] = object()
        return self._handle_timeout_called(own, task_id, timeout, call)

    async def _handle_timeout_called(
        self, own: _Hook, task_id: TaskId, timeout: float, call: object
    ) -> None:
        try:
            await self._time_attempt(own, task_id, timeout)
        finally:
            if self._timed_by_subclass.get(task_id) is call:
                del self._timed_by_subclass[task_id]

    async def _time_attempt(self, own: _Hook, task_id: TaskId, timeout: float) -> None:
        _in_timeout.set(task_id)
        await _finish(own(task_id, timeout))

    def _watch_timeouts(self) -> None:
        if self._overrides("_handle_timeout"):
            own: _Hook = getattr(type(self), "_handle_timeout").__get__(self)  # noqa: B009
            self._shell.watch(partial(self._note_timeout, own))

    def _note_timeout(self, own: _Hook, occurrence: Occurrence) -> None:
        """Call an override of `_handle_timeout` for each attempt, unless the subclass has."""
        what, task_id = occurrence.what, occurrence.task_id
        if task_id is None:
            return
        if what is OccurrenceKind.TASK_ASSIGNED:
            deadline = self.board.tasks[task_id].deadline
            if deadline is not None and task_id not in self._timed_by_subclass:
                timeout_s = round(max(deadline - now(), 0.0), 6)
                handling = self._time_attempt(own, task_id, timeout_s)
                self._timeout_timers[task_id] = timer = asyncio.ensure_future(handling)
                timer.add_done_callback(partial(self._end_timer, task_id))
        elif what is OccurrenceKind.ATTEMPT_TIMED_OUT:
            # The next attempt has a timer of its own.
            self._timed_by_subclass.pop(task_id, None)
            timer = self._timeout_timers.pop(task_id, None) or self._timer_of_user(task_id)
            if timer is not None and not timer.done():
                self._shell.call_hook("_handle_timeout", _settled(timer))
        elif what in _ENDING or what is OccurrenceKind.TASK_REQUEUED:
            timer = self._timeout_timers.pop(task_id, None)
            if timer is not None:
                timer.cancel()

    def _timer_of_user(self, task_id: TaskId) -> asyncio.Future[None] | None:
        timer: object = (self._own_timeouts or {}).get(task_id)
        return timer if isinstance(timer, asyncio.Future) else None

    def _end_timer(self, task_id: TaskId, timer: asyncio.Future[None]) -> None:
        if self._timeout_timers.get(task_id) is timer:
            del self._timeout_timers[task_id]
        if not timer.cancelled() and (fault := timer.exception()) is not None:
            self.report_fault("_handle_timeout", fault)

    def _cancel_timers(self) -> None:
        own: Iterable[object] = (self._own_timeouts or {}).values()
        for timer in [*self._timeout_timers.values(), *own]:
            if isinstance(timer, asyncio.Future):
                timer.cancel()

    def _detail_of(self, worker_name: str) -> AgentDetail:
        worker = self._shell.board.workers.get(worker_name)
        address = worker.worker_id if worker else ""
        return AgentDetail(name=worker_name, id=address, role="worker", extra_data=None)


class _Deadlines(dict[TaskId, float]):
    """Deadlines as they are now; a timer that is set in it becomes the subclass's first of its own.

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


def _call_in_ceylons_order(handler: _Hook, result: TaskResult, agent: object, time: int) -> object:
    return handler(result, agent, time)


async def _finish(outcome: object) -> None:
    """Await what a hook returned, if it is a coroutine."""
    if inspect.isawaitable(outcome):
        await outcome


async def _nothing() -> None:
    """Do nothing, in the place of a coroutine."""


async def _settled(timer: asyncio.Future[None]) -> None:
    await asyncio.wait([timer])
