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
from itertools import count
from typing import ParamSpec, Protocol, TypeVar

from ...messages import JoinRefused, TaskAssignment, TaskResult, WorkersMissing
from ..kernel.board.state import BoardState
from ..manager.task_manager import TaskManager
from ..store.memory import SharedRows
from ..worker.worker_agent import WorkerAgent
from .checker import InvariantViolation, RunChecker
from .crashing_store import CrashingStore
from .faults import ALL_FAULTS, Crash, Disturbance, FaultKind, PlannedFaults, address_of
from .memory_network import MemoryLink, MemoryNetwork
from .virtual_time import run_in_virtual_time

CALM_S = 3600.0
"""How long a run may take after the storm; one that takes longer hangs."""

_ASK_AGAIN_AFTER_S = 1.0
_DIAL_AGAIN_AFTER_S = 0.5
_MAX_NAMED_TASKS = 10

_ENDS_WITHIN_S = 0.001
"""How long it may take until all know that an attempt has ended, in virtual time."""

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
    breach: InvariantViolation | None = None
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
        self._witness = RunChecker(self._plan)
        self._network = MemoryNetwork(faults=self._witness)
        self._starts: Counter[str] = Counter()
        self._serving: dict[str, tuple[MemoryLink, asyncio.Future[None]]] = {}
        self._down_s: dict[str, float] = {}
        # Bounded by the kills that are planned.
        self._gone: list[WorkerAgent] = []
        self._reign: _Reign | None = None
        # Where no manager is to be killed it needs no store, and is as most are.
        self._memory = SharedRows() if FaultKind.RESTART in conditions.kinds else None

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._note_fault)
        # Started in this order, each time.
        managing = asyncio.ensure_future(self._manage())
        lives = [asyncio.ensure_future(self._live(worker)) for worker in self._workload.workers()]
        disturbing = asyncio.ensure_future(self._disturb())
        try:
            await asyncio.wait([managing], timeout=self._conditions.storm_s + CALM_S)
            if managing.done():
                managing.result()
            assert self._reign is not None
            self._judge(self._reign.manager, self._reign.serving)
            return self._outcome(self._reign.manager.board, loop.time())
        finally:
            for future in (managing, *lives, disturbing):
                future.cancel()
            await asyncio.gather(managing, *lives, disturbing, return_exceptions=True)

    # ------------------------------------------------------------------ the manager

    async def _manage(self) -> None:
        """Start a manager, and another whenever one was killed."""
        for number in count(1):
            reign = self._reign = self._enthrone(number)
            besides = asyncio.ensure_future(self._workload.direct(reign.manager))
            death = asyncio.ensure_future(reign.death.wait())
            try:
                await asyncio.wait([reign.serving, death], return_when=asyncio.FIRST_COMPLETED)
                if not reign.death.is_set():
                    return
            finally:
                for future in (reign.serving, besides, death):
                    future.cancel()
                await asyncio.gather(reign.serving, besides, death, return_exceptions=True)
            self._look_at_drops(reign.manager)
            await asyncio.sleep(reign.down_s)

    def _enthrone(self, number: int) -> _Reign:
        manager = self._workload.manager()
        link = self._network.join(address_of(manager.name, number), manager.receive)
        death = asyncio.Event()

        def die() -> None:
            # It can't say anything any more, nor write: that ends as the system ends it.
            death.set()
            link.leave()
            if self._memory is not None:
                self._memory.release()

        store = None if self._memory is None else CrashingStore(self._memory, die)
        if store is not None:
            manager.keep_in(store)
            self._witness.takes_over(manager.board)
        manager.watch(self._witness.note)
        serving = asyncio.ensure_future(manager.serve_over(link, session=f"manager {number}"))
        return _Reign(manager, serving, death, die, store)

    def _strike(self, disturbance: Disturbance) -> None:
        """Kill the manager, now or around its next write; it takes a while until the next."""
        reign = self._reign
        if reign is None or reign.store is None or reign.serving.done() or reign.death.is_set():
            return
        reign.down_s = disturbance.lasts_s
        if disturbance.crash is Crash.AT_ONCE:
            reign.die()
        else:
            reign.store.doom(disturbance.crash)

    # ------------------------------------------------------------------ workers

    async def _live(self, worker: WorkerAgent) -> None:
        """Start a worker, and start it anew whenever it was killed or refused."""
        name = worker.name
        while True:
            self._starts[name] += 1
            self._prepare(worker, address_of(name, self._starts[name]))
            serving = await self._serve(worker)
            self._gone.append(worker)
            self._look_at_drops(worker)
            if serving.cancelled():
                await asyncio.sleep(self._down_s.pop(name, 0.0))
            elif isinstance(fault := serving.exception(), JoinRefused):
                await asyncio.sleep(_ASK_AGAIN_AFTER_S)
            else:
                if fault is not None:
                    self._witness.accuse("a worker does not break down", f"{name}: {fault!r}")
                return
            worker = next(each for each in self._workload.workers() if each.name == name)

    async def _serve(self, worker: WorkerAgent) -> asyncio.Future[None]:
        """Let a worker serve over one line after the other, until it ends; how it did."""
        name = worker.name
        start = self._starts[name]
        session = f"{self._names.index(name)}.{start}"
        for line in count(1):
            link = self._network.join(address_of(name, start, line), worker.receive)
            serving = asyncio.ensure_future(worker.serve_over(link, session=session))
            self._serving[name] = (link, serving)
            try:
                await asyncio.wait([serving])
            finally:
                link.leave()
                serving.cancel()
            if serving.cancelled() or serving.exception() is not None or worker.is_done():
                return serving
            await asyncio.sleep(_DIAL_AGAIN_AFTER_S)
        raise AssertionError

    def _prepare(self, worker: WorkerAgent, address: str) -> None:
        perform, witness = worker.perform, self._witness

        async def watched(assignment: TaskAssignment) -> TaskResult:
            witness.begins(address, assignment)
            try:
                result = await perform(assignment)
            finally:
                loop = asyncio.get_running_loop()
                loop.call_later(_ENDS_WITHIN_S, self._look_at_ending, worker, assignment)
            witness.ends(address, assignment, result)
            return result

        worker.perform = watched
        worker.dials_again = True
        worker.executor = _InPlace(max_workers=1)

    def _look_at_ending(self, worker: WorkerAgent, assignment: TaskAssignment) -> None:
        """See that an attempt that was performed ended in a result, and gave its slot back."""
        if any(worker is each for each in self._gone) or worker.is_done():
            # What it left unfinished goes to others.
            return
        key = (assignment.task.id, assignment.attempt)
        shell = worker._shell  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        told = f"attempt {key[1]} at task {key[0]!r}, by {worker.name},"
        if any((each.task.id, each.attempt) == key for each in shell.running):
            self._witness.accuse(
                "an attempt that has ended gives its slot back", f"{told} holds it", key[0]
            )
        if not any((each.task_id, each.attempt) == key for each in worker.task_history):
            self._witness.accuse(
                "whatever a handler does, its attempt ends in a result", f"{told} has none", key[0]
            )

    async def _disturb(self) -> None:
        loop = asyncio.get_running_loop()
        for disturbance in self._plan.disturbances:
            await asyncio.sleep(disturbance.at - loop.time())
            self._plan.begin(disturbance)
            if disturbance.kind is FaultKind.KILL:
                self._kill(disturbance)
            elif disturbance.kind is FaultKind.RESTART:
                self._strike(disturbance)

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

    def _look_at_drops(self, agent: TaskManager | WorkerAgent) -> None:
        if agent.dropped:
            told = f"{agent.name} dropped {agent.dropped}"
            self._witness.accuse("all that arrives can be read", told)

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
        self._look_at_drops(manager)
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


@dataclass(slots=True)
class _Reign:
    """One manager's time, until it ends or is killed."""

    manager: TaskManager
    serving: asyncio.Future[None]
    death: asyncio.Event
    die: Callable[[], None]
    store: CrashingStore | None
    down_s: float = 0.0


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
