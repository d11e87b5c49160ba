"""When each hook of a `TaskManager` is called.

A subclass may also call its hooks itself. Therefore a method of this module stands in front of each
hook, and makes sure that nothing is done twice: a result is counted once, the report is made once,
and the run ends once.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel

from ...messages import AssigningFailed, InvalidInput, TaskId, TaskResult
from ..kernel.matching.policies import ByScore, MatchingPolicy
from ..kernel.model.config import Rules
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..runtime.async_functions import is_async
from ..runtime.clock import now
from ..transport.ceylon_api import AgentDetail
from ..transport.user_handlers import Handler, call_with
from .options import ManagerOptions
from .overridable_hooks import HookState, OverridableHooks, timeout_handled
from .own_matching import PairedByMethod, ScoredByMethod

_MAX_COUNTED = 100_000
"""How many results are remembered as counted by a subclass."""

_Hook: TypeAlias = Callable[..., object]

_ATTEMPT_ENDED = frozenset(
    {
        OccurrenceKind.TASK_COMPLETED,
        OccurrenceKind.ATTEMPT_SUCCEEDED,
        OccurrenceKind.ATTEMPT_REVIEWED,
        OccurrenceKind.ATTEMPT_FAILED,
        OccurrenceKind.ATTEMPT_DECLINED,
        OccurrenceKind.TASK_CANCELLED,
        OccurrenceKind.TASK_REQUEUED,
    }
)


class HookDispatch(OverridableHooks):
    """Calls the hooks of a manager at the right moments, and handlers of results with them."""

    _handlers: dict[type, Handler]

    if TYPE_CHECKING:

        def find_declared_handler(self, kind: type[BaseModel]) -> Handler | None:
            """The method that `@on` declares for a class of messages: that of `CeylonAgent`."""

    else:

        def __getattr__(self, name: str) -> object:
            """Called only for attributes that are missing.

            Raises:
                InvalidInput: it is missing because `__init__` has not been called.
                AttributeError: otherwise.
            """
            if name == "_shell":
                raise InvalidInput(
                    f"{type(self).__name__} is not initialized yet: call super().__init__(…) "
                    "first, and set or read tasks and other attributes after it"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @abstractmethod
    def report_fault(self, doing: str, fault: BaseException) -> None:
        """Log an exception that a user's handler raised."""

    def _prepare_hooks(self) -> None:
        """Put a method in front of each hook that a subclass may call; before anything else."""
        declared = self.find_declared_handler(TaskResult)
        is_declared = declared is not None and _name_of(declared) != "handle_result"
        self._hook_state = HookState(
            takes_results=is_declared
            or self._overrides("handle_result")
            or self._overrides("_update_worker_stats")
        )
        in_front: dict[str, _Hook] = {
            "assign_tasks": self._run_assign_tasks,
            "end_task_management": self._run_end_task_management,
            "_generate_final_report": self._run_generate_final_report,
            "_update_worker_stats": self._run_update_worker_stats,
            "_handle_timeout": self._run_handle_timeout,
        }
        for hook, method in in_front.items():
            setattr(self, hook, partial(method, getattr(self, hook)))

    def _overrides(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(OverridableHooks, hook)

    def _hook_rules(self, options: ManagerOptions) -> Rules:
        """The board's configuration, as far as the subclass's hooks influence it."""
        handles_timeouts = self._overrides("_handle_timeout")
        return options.rules(
            # An attempt that waits for a slot has no deadline that the hook could be given.
            prefetches=not handles_timeouts,
            confirms_end=handles_timeouts or self.wants_results(),
        )

    # ---------------------------------------------------------- matching

    def _own_policy(self, policy: MatchingPolicy) -> MatchingPolicy:
        """The subclass's own matching or scores as a policy; else the policy that was given."""
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
        # Later, since the board is the caller.
        asyncio.get_running_loop().call_soon(self._shell.fail, failure)

    async def _run_assign_tasks(self, own: _Hook) -> None:
        await self._assigning.run(own)

    # ---------------------------------------------------------- results

    def wants_results(self) -> bool:
        """Whether a hook or handler takes results."""
        return self._hook_state.takes_results or TaskResult in self._handlers

    def recorded(self, result: TaskResult, at: float) -> Awaitable[None]:
        """Called by the shell with each recorded result; returns the call of the hooks."""
        self._hook_state.not_passed_on[result.task_id] = None
        return self._pass_on(result, at)

    async def _pass_on(self, result: TaskResult, at: float) -> None:
        self._hook_state.not_passed_on.pop(result.task_id, None)
        if self._overrides("_update_worker_stats"):
            try:
                await _finish(self._update_worker_stats(result))
            except Exception as fault:  # noqa: BLE001 - a user's override may raise anything
                self.report_fault("_update_worker_stats", fault)
        named = {"time": int(at), "agent": self._worker_detail(result.worker)}
        await _finish(call_with(self.handle_result, (result,), named))
        for handler in self._other_result_handlers():
            await _finish(call_with(handler, (result,), named))

    def _other_result_handlers(self) -> Iterable[_Hook]:
        """The handlers that `@on` declares for results, here or on the class, by other names."""
        declared = self.find_declared_handler(TaskResult)
        if declared is not None and _name_of(declared) != "handle_result":
            yield declared
        own = self._handlers.get(TaskResult)
        if own is not None:
            yield partial(_call_in_ceylons_order, own)

    def _run_update_worker_stats(self, own: _Hook, result: TaskResult) -> object:
        key = (result.task_id, result.attempt)
        counted = self._hook_state.counted_results
        if key in counted:
            return _nothing() if is_async(own) else None
        if self._overrides("_update_worker_stats"):
            counted[key] = None
            if len(counted) > _MAX_COUNTED:
                del counted[next(iter(counted))]
        return own(result)

    def _worker_detail(self, worker_name: str) -> AgentDetail:
        worker = self.board.workers.get(worker_name)
        address = worker.worker_id if worker else ""
        return AgentDetail(name=worker_name, id=address, role="worker", extra_data=None)

    # ---------------------------------------------------------- the run's end

    async def run_settled(self) -> None:
        """Called by the shell when every task is settled, or the run can't continue."""
        self._hook_state.work_is_settled = True
        await self.end_task_management()

    async def _run_generate_final_report(self, own: _Hook) -> None:
        self._hook_state.has_reported = True
        await _finish(own())

    async def _run_end_task_management(self, own: _Hook) -> None:
        state = self._hook_state
        if state.has_ended_management:
            return
        state.has_ended_management = True
        try:
            await _finish(own())
            if self._overrides("_generate_final_report") and not state.has_reported:
                await self._generate_final_report()
        finally:
            self.ask(self._shell.finish)

    # ---------------------------------------------------------- timeouts

    def _run_handle_timeout(self, own: _Hook, task_id: TaskId, timeout: float) -> Awaitable[None]:
        # From the call on, which is before the first step of the coroutine.
        call = self._hook_state.timed_by_subclass[task_id] = object()
        return self._time_by_subclass(own, task_id, timeout, call)

    async def _time_by_subclass(
        self, own: _Hook, task_id: TaskId, timeout: float, call: object
    ) -> None:
        try:
            await self._time_attempt(own, task_id, timeout)
        finally:
            if self._hook_state.timed_by_subclass.get(task_id) is call:
                del self._hook_state.timed_by_subclass[task_id]

    async def _time_attempt(self, own: _Hook, task_id: TaskId, timeout: float) -> None:
        timeout_handled.set(task_id)
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
        state = self._hook_state
        if what is OccurrenceKind.TASK_ASSIGNED:
            deadline = self.board.tasks[task_id].deadline
            if deadline is not None and task_id not in state.timed_by_subclass:
                timeout_s = round(max(deadline - now(), 0.0), 6)
                handling = self._time_attempt(own, task_id, timeout_s)
                state.timeout_timers[task_id] = timer = asyncio.ensure_future(handling)
                timer.add_done_callback(partial(self._end_timer, task_id))
        elif what is OccurrenceKind.ATTEMPT_TIMED_OUT:
            # The next attempt has a timer of its own.
            state.timed_by_subclass.pop(task_id, None)
            timer = state.timeout_timers.pop(task_id, None) or self._timer_of_subclass(task_id)
            if timer is not None and not timer.done():
                self._shell.call_hook("_handle_timeout", _settled(timer))
        elif what in _ATTEMPT_ENDED:
            timer = state.timeout_timers.pop(task_id, None)
            if timer is not None:
                timer.cancel()

    def _timer_of_subclass(self, task_id: TaskId) -> asyncio.Future[None] | None:
        timer: object = (self._hook_state.own_timeouts or {}).get(task_id)
        return timer if isinstance(timer, asyncio.Future) else None

    def _end_timer(self, task_id: TaskId, timer: asyncio.Future[None]) -> None:
        timers = self._hook_state.timeout_timers
        if timers.get(task_id) is timer:
            del timers[task_id]
        if not timer.cancelled() and (fault := timer.exception()) is not None:
            self.report_fault("_handle_timeout", fault)

    def _cancel_timers(self) -> None:
        own: Iterable[object] = (self._hook_state.own_timeouts or {}).values()
        for timer in [*self._hook_state.timeout_timers.values(), *own]:
            if isinstance(timer, asyncio.Future):
                timer.cancel()


def _name_of(handler: Handler) -> str:
    return getattr(handler, "__name__", "")


def _call_in_ceylons_order(handler: _Hook, result: TaskResult, agent: object, time: int) -> object:
    return handler(result, agent, time)


async def _finish(outcome: object) -> None:
    """Await what a hook returned, if it is awaitable."""
    if inspect.isawaitable(outcome):
        await outcome


async def _nothing() -> None:
    """Do nothing, in place of a coroutine."""


async def _settled(timer: asyncio.Future[None]) -> None:
    await asyncio.wait([timer])
