"""Runs a manager and its workers through a storm of faults, in virtual time, and judges the run.

The code under test is that of every run: only the link, the clock and the session ids are others.
The same seed gives the same run, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from ..messages import JoinRefused, TaskAssignment, TaskResult, WorkersMissing
from .fault_plan import (
    ALL_FAULTS,
    Disturbance,
    FaultKind,
    PlannedFaults,
    address_of,
)
from .kernel.board_state import BoardState
from .manager import TaskManager
from .memory_link import MemoryLink, MemoryNetwork
from .virtual_time import run_in_virtual_time
from .witness import Breach, Witness
from .worker import WorkerAgent

CALM_S = 3600.0
"""How long a run may take after the storm; one that takes longer hangs."""

_ASK_AGAIN_AFTER_S = 1.0
_MAX_NAMED_TASKS = 10

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")


class Workload(Protocol):
    """What is simulated; every `Scenario` is one."""

    def manager(self) -> TaskManager:
        """A new manager with its tasks."""
        ...

    def workers(self) -> list[WorkerAgent]:
        """New workers, in the order in which they come; the same names each time."""
        ...

    async def direct(self, manager: TaskManager) -> None:
        """What happens besides, while the manager runs."""
        ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a run is exposed to.

    Args:
        seed: what the faults follow from.
        kinds: what may go wrong.
        storm_s: for how long things go wrong, in virtual seconds from the start.
    """

    seed: int
    kinds: tuple[FaultKind, ...] = ALL_FAULTS
    storm_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a simulated run went.

    Args:
        conditions: what it was exposed to.
        injected: how many faults there were, by kind.
        lasted_s: how long it took, in virtual seconds.
        digest: a hash over all its frames and occurrences; equal for equal runs.
        breach: the invariant that it broke, or None.
        story: what happened to the task that went wrong, a line each.
    """

    conditions: Conditions
    injected: Counter[FaultKind]
    lasted_s: float
    digest: str
    breach: Breach | None = None
    story: tuple[str, ...] = ()


def simulate(workload: Workload, conditions: Conditions) -> Outcome:
    """Simulate one run.

    Plain functions of handlers run in place, since a thread's pace would not repeat itself.
    """
    return run_in_virtual_time(_Simulation(workload, conditions).run())


class _Simulation:
    def __init__(self, workload: Workload, conditions: Conditions) -> None:
        self._workload = workload
        self._conditions = conditions
        self._names = [worker.name for worker in workload.workers()]
        self._plan = PlannedFaults(
            conditions.seed, self._names, conditions.kinds, conditions.storm_s
        )
        self._witness = Witness(self._plan)
        self._network = MemoryNetwork(faults=self._witness)
        self._starts: Counter[str] = Counter()
        self._serving: dict[str, tuple[MemoryLink, asyncio.Future[None]]] = {}
        self._down_s: dict[str, float] = {}

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._note_fault)
        manager = self._workload.manager()
        manager.watch(self._witness.note)
        link = self._network.join(f"{manager.name}#manager", manager.receive)
        # Started in this order, each time.
        lives = [asyncio.ensure_future(self._live(worker)) for worker in self._workload.workers()]
        managing = asyncio.ensure_future(manager.serve_over(link, session="manager"))
        besides = [
            asyncio.ensure_future(self._workload.direct(manager)),
            asyncio.ensure_future(self._disturb()),
        ]
        try:
            await asyncio.wait([managing], timeout=self._conditions.storm_s + CALM_S)
            self._judge(manager, managing)
            return self._outcome(manager.board, loop.time())
        finally:
            for future in (managing, *lives, *besides):
                future.cancel()
            await asyncio.gather(managing, *lives, *besides, return_exceptions=True)

    # ------------------------------------------------------------------ workers

    async def _live(self, worker: WorkerAgent) -> None:
        """Start a worker, and start it anew whenever it was killed or refused."""
        name = worker.name
        while True:
            self._starts[name] += 1
            address = address_of(name, self._starts[name])
            self._prepare(worker, address)
            link = self._network.join(address, worker.receive)
            session = f"{self._names.index(name)}.{self._starts[name]}"
            serving = asyncio.ensure_future(worker.serve_over(link, session=session))
            self._serving[name] = (link, serving)
            try:
                await asyncio.wait([serving])
            finally:
                link.leave()
                serving.cancel()
            if worker.dropped:
                self._witness.accuse("all that arrives can be read", f"{name}: {worker.dropped}")
            if serving.cancelled():
                await asyncio.sleep(self._down_s.pop(name, 0.0))
            elif isinstance(fault := serving.exception(), JoinRefused):
                await asyncio.sleep(_ASK_AGAIN_AFTER_S)
            else:
                if fault is not None:
                    self._witness.accuse("a worker does not break down", f"{name}: {fault!r}")
                return
            worker = next(each for each in self._workload.workers() if each.name == name)

    def _prepare(self, worker: WorkerAgent, address: str) -> None:
        perform, witness = worker.perform, self._witness

        async def watched(assignment: TaskAssignment) -> TaskResult:
            witness.begins(address, assignment)
            result = await perform(assignment)
            witness.ends(address, assignment, result)
            return result

        worker.perform = watched
        worker.executor = _InPlace(max_workers=1)

    async def _disturb(self) -> None:
        loop = asyncio.get_running_loop()
        for disturbance in self._plan.disturbances:
            await asyncio.sleep(disturbance.at - loop.time())
            self._plan.begin(disturbance)
            if disturbance.kind is FaultKind.KILL:
                self._kill(disturbance)

    def _kill(self, disturbance: Disturbance) -> None:
        for name in disturbance.workers:
            link, serving = self._serving[name]
            if not serving.done():
                # It can't say goodbye: its link goes first.
                link.leave()
                self._down_s[name] = disturbance.lasts_s
                serving.cancel()

    # ------------------------------------------------------------------ the verdict

    def _note_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        fault = context.get("exception")
        self._witness.accuse("nothing fails unseen", f"{context.get('message')}: {fault!r}")

    def _judge(self, manager: TaskManager, managing: asyncio.Future[None]) -> None:
        board = manager.board
        if not managing.done():
            waiting = [each.task_id for each in board.tasks.values() if not each.status.is_final]
            told = "; ".join(
                line for each in waiting[:_MAX_NAMED_TASKS] for line in board.explain(each).lines()
            )
            self._witness.accuse(
                "a run ends once the faults have stopped",
                f"it still runs {CALM_S:g} s later: {told}",
                waiting[0] if waiting else None,
            )
            return
        if manager.dropped:
            self._witness.accuse("all that arrives can be read", f"dropped: {manager.dropped}")
        fault = managing.exception()
        if fault is not None and not isinstance(fault, WorkersMissing):
            self._witness.accuse("the manager does not break down", repr(fault))
        self._witness.examine(board)

    def _outcome(self, board: BoardState, lasted_s: float) -> Outcome:
        breach = self._witness.breach
        story: tuple[str, ...] = ()
        if breach is not None and breach.task_id is not None and breach.task_id in board.tasks:
            story = tuple(
                f"{at:9.3f} s  {what.value}" + "".join(f"  {part}" for part in told if part)
                for at, what, _, attempt, worker, detail in board.story(breach.task_id)
                for told in [(f"attempt {attempt}" if attempt else "", worker, detail)]
            )
        return Outcome(
            self._conditions, self._plan.injected, lasted_s, self._witness.digest, breach, story
        )


class _InPlace(ThreadPoolExecutor):
    """Runs each function at once, in the thread of whoever asks."""

    def submit(
        self,
        fn: Callable[_Parameters, _Returned],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Returned]:
        future: Future[_Returned] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as fault:  # noqa: BLE001 - handed to whoever awaits it
            future.set_exception(fault)
        return future
