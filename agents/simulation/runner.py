"""Simulates a run of a manager and its workers with injected faults, and checks its invariants.

It runs in virtual time. Only the link, the clock and the session ids differ from a real run. The
same seed gives the same run, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

from ...messages import (
    JoinRefused,
    TaskAssignment,
    TaskResult,
    WorkersMissing,
)
from ..kernel.board.state import BoardState
from ..kernel.board.task_explanation import explain_task
from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent
from .checker import InvariantViolation, RunChecker
from .faults import (
    ALL_FAULTS,
    OF_MANAGERS,
    Disturbance,
    FaultKind,
    PlannedFaults,
    address_of,
)
from .fenced_store import FencedStore, SequencedRows
from .inline_executor import InlineExecutor
from .manager_process import ManagerProcess
from .memory_network import MemoryLink, MemoryNetwork
from .virtual_time import run_in_virtual_time

CALM_S = 3600.0
"""How long a run may take after the last fault, in virtual seconds; then it counts as hung."""

_REJOIN_AFTER_S = 1.0
_RECONNECT_AFTER_S = 0.5
_MAX_NAMED_TASKS = 10
_HALVINGS = 5

_ENDS_WITHIN_S = 0.001
"""How long it may take to process the end of an attempt, in virtual seconds."""


class Workload(Protocol):
    """What is simulated; every `Scenario` is a workload."""

    def manager(self) -> TaskManager:
        """A new manager with its tasks."""
        ...

    def workers(self) -> list[WorkerAgent]:
        """New workers in the order in which they join, with the same names at each call."""
        ...

    async def direct(self, manager: TaskManager) -> None:
        """Add, cancel or change tasks while the manager runs."""
        ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """The faults that a run is exposed to.

    Args:
        seed: the seed of the faults.
        kinds: the kinds of fault to inject.
        storm_s: for how long faults are injected, in virtual seconds from the start.
    """

    seed: int
    kinds: tuple[FaultKind, ...] = ALL_FAULTS
    storm_s: float = 30.0


@dataclass(frozen=True, slots=True)
class SimulationOutcome:
    """The outcome of a simulated run.

    Args:
        conditions: the faults that it was exposed to.
        injected: how many faults were injected, by kind.
        lasted_s: how long it took, in virtual seconds.
        digest: a hash over all its frames and occurrences; equal for equal runs.
        violation: the first invariant that it violated, or None.
        story: the occurrences of the task that violated it, one line each.
    """

    conditions: Conditions
    injected: Counter[FaultKind]
    lasted_s: float
    digest: str
    violation: InvariantViolation | None = None
    story: tuple[str, ...] = ()


def simulate(workload: Workload, conditions: Conditions) -> SimulationOutcome:
    """Simulate one run.

    Handlers that are plain functions run in the loop's thread, since the timing of other threads is
    not reproducible.
    """
    return run_in_virtual_time(_Simulation(workload, conditions).run())


def shrink(workload: Workload, outcome: SimulationOutcome) -> SimulationOutcome:
    """Remove kinds of faults and shorten their duration while the run violates the same invariant.

    Args:
        workload: what was simulated.
        outcome: the outcome with the violation.

    Returns:
        The outcome with the fewest faults that violates the same invariant; possibly the same one.
    """
    for kind in outcome.conditions.kinds:
        fewer = tuple(each for each in outcome.conditions.kinds if each is not kind)
        outcome = _try(workload, outcome, replace(outcome.conditions, kinds=fewer))
    outcome = _try(workload, outcome, replace(outcome.conditions, storm_s=0.0))
    step_s = outcome.conditions.storm_s / 2
    for _ in range(_HALVINGS):
        storm_s = round(outcome.conditions.storm_s - step_s, 3)
        outcome = _try(workload, outcome, replace(outcome.conditions, storm_s=storm_s))
        step_s /= 2
    return outcome


def _try(
    workload: Workload, outcome: SimulationOutcome, conditions: Conditions
) -> SimulationOutcome:
    tried = simulate(workload, conditions)
    same = (
        tried.violation is not None
        and outcome.violation is not None
        and tried.violation.invariant == outcome.violation.invariant
    )
    return tried if same else outcome


class _Simulation:
    def __init__(self, workload: Workload, conditions: Conditions) -> None:
        self._workload = workload
        self._conditions = conditions
        self._names = [worker.name for worker in workload.workers()]
        self._plan = PlannedFaults(
            conditions.seed, self._names, conditions.kinds, conditions.storm_s
        )
        self._checker = RunChecker(self._plan)
        self._network = MemoryNetwork(faults=self._checker)
        self._starts: Counter[str] = Counter()
        self._serving: dict[str, tuple[MemoryLink, asyncio.Future[None]]] = {}
        self._down_s: dict[str, float] = {}
        # Bounded by the planned kills.
        self._ended_workers: list[WorkerAgent] = []
        self._process: ManagerProcess | None = None
        # Bounded by the planned takeovers.
        self._former: list[ManagerProcess] = []
        # A manager that is never replaced runs without a store, as most do.
        is_replaced = not OF_MANAGERS.isdisjoint(conditions.kinds)
        self._memory = SequencedRows() if is_replaced else None

    async def run(self) -> SimulationOutcome:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._report_unhandled)
        # Always started in this order.
        managing = asyncio.ensure_future(self._run_managers())
        working = [
            asyncio.ensure_future(self._run_worker(worker)) for worker in self._workload.workers()
        ]
        disturbing = asyncio.ensure_future(self._inject_faults())
        try:
            await asyncio.wait([managing], timeout=self._conditions.storm_s + CALM_S)
            if managing.done():
                managing.result()
            assert self._process is not None
            self._check_end(self._process.manager, self._process.serving)
            return self._outcome(self._process.manager.board, loop.time())
        finally:
            futures: list[asyncio.Future[Any]] = [
                managing,
                *working,
                disturbing,
                *(each.serving for each in self._former),
            ]
            for future in futures:
                future.cancel()
            await asyncio.gather(*futures, return_exceptions=True)

    # ------------------------------------------------------------------ the manager

    async def _run_managers(self) -> None:
        """Run a manager, and a new one whenever one was killed, taken over or has handed over."""
        for number in count(1):
            process = self._process = self._start_manager(number)
            directing = asyncio.ensure_future(self._workload.direct(process.manager))
            replaced = asyncio.ensure_future(process.replaced.wait())
            watched: set[asyncio.Future[Any]] = {process.serving, replaced}
            try:
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                if not process.is_replaced:
                    return
            finally:
                # One that was taken over does not know it, and goes on.
                ending: list[asyncio.Future[Any]] = [directing, replaced]
                if not process.is_taken_over:
                    ending.append(process.serving)
                for future in ending:
                    future.cancel()
                await asyncio.gather(*ending, return_exceptions=True)
            self._check_drops(process.manager)
            await asyncio.sleep(process.down_s)

    def _start_manager(self, number: int) -> ManagerProcess:
        manager = self._workload.manager()
        link = self._network.join(address_of(manager.name, number), manager.receive)
        replaced = asyncio.Event()
        store: FencedStore | None = None

        def kill() -> None:
            # A killed process neither sends nor writes anything more.
            replaced.set()
            link.leave()
            if store is not None:
                store.die()

        if self._memory is not None:
            store = FencedStore(self._memory, kill, self._report_unfenced)
            manager.keep_in(store)
            self._checker.manager_resumed(manager.board)
        manager.watch(self._checker.note)
        serving = asyncio.ensure_future(manager.serve_over(link, session=f"manager {number}"))
        return ManagerProcess(manager, link, serving, replaced, kill, store)

    def _replace_manager(self, disturbance: Disturbance) -> None:
        process = self._process
        if process is None or not process.can_be_replaced:
            return
        process.begin(disturbance)
        if process.is_taken_over:
            self._former.append(process)
            self._plan.cut_off(process.link.address, disturbance)

    def _report_unfenced(self) -> None:
        self._checker.report(
            "a manager that was taken over writes nothing", "it wrote rows after the takeover"
        )

    # ------------------------------------------------------------------ workers

    async def _run_worker(self, worker: WorkerAgent) -> None:
        """Run a worker, and start it again whenever it was killed or refused."""
        name = worker.name
        while True:
            self._starts[name] += 1
            self._prepare(worker, address_of(name, self._starts[name]))
            serving = await self._serve(worker)
            self._ended_workers.append(worker)
            self._check_drops(worker)
            if serving.cancelled():
                await asyncio.sleep(self._down_s.pop(name, 0.0))
            elif isinstance(fault := serving.exception(), JoinRefused):
                await asyncio.sleep(_REJOIN_AFTER_S)
            else:
                if fault is not None:
                    self._checker.report("a worker does not fail", f"{name}: {fault!r}")
                return
            worker = next(each for each in self._workload.workers() if each.name == name)

    async def _serve(self, worker: WorkerAgent) -> asyncio.Future[None]:
        """Let a worker serve over one connection after the other until it ends."""
        name = worker.name
        start = self._starts[name]
        session = f"{self._names.index(name)}.{start}"
        for connection in count(1):
            link = self._network.join(address_of(name, start, connection), worker.receive)
            serving = asyncio.ensure_future(worker.serve_over(link, session=session))
            self._serving[name] = (link, serving)
            try:
                await asyncio.wait([serving])
            finally:
                link.leave()
                serving.cancel()
            if serving.cancelled() or serving.exception() is not None or worker.is_done():
                return serving
            await asyncio.sleep(_RECONNECT_AFTER_S)
        raise AssertionError

    def _prepare(self, worker: WorkerAgent, address: str) -> None:
        perform, checker = worker.perform, self._checker

        async def checked(assignment: TaskAssignment) -> TaskResult:
            checker.attempt_began(address, assignment)
            self._check_slots(worker)
            try:
                result = await perform(assignment)
            finally:
                loop = asyncio.get_running_loop()
                loop.call_later(_ENDS_WITHIN_S, self._check_attempt_end, worker, assignment)
            checker.attempt_ended(address, assignment, result)
            return result

        worker.perform = checked
        worker.dials_again = True
        worker.executor = InlineExecutor(max_workers=1)

    def _check_slots(self, worker: WorkerAgent) -> None:
        runner = worker._shell._runner  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        working = 0 if runner is None else runner.working_count
        if working > worker.slots:
            self._checker.report(
                "a worker never works at more attempts than it has slots",
                f"{worker.name} works at {working} with {worker.slots} slots",
            )

    def _check_attempt_end(self, worker: WorkerAgent, assignment: TaskAssignment) -> None:
        """Check that an attempt that was performed ended in a result and freed its slot."""
        if any(worker is each for each in self._ended_workers) or worker.is_done():
            # Other workers get the attempts that it left unfinished.
            return
        key = (assignment.task.id, assignment.attempt)
        shell = worker._shell  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        attempt = f"attempt {key[1]} at task {key[0]!r}, by {worker.name},"
        if any((each.task.id, each.attempt) == key for each in shell.running):
            self._checker.report(
                "an attempt that has ended frees its slot", f"{attempt} still holds it", key[0]
            )
        if not any((each.task_id, each.attempt) == key for each in worker.task_history):
            self._checker.report(
                "whatever a handler does, its attempt ends in a result",
                f"{attempt} has none",
                key[0],
            )

    async def _inject_faults(self) -> None:
        loop = asyncio.get_running_loop()
        for disturbance in self._plan.disturbances:
            await asyncio.sleep(disturbance.at - loop.time())
            self._plan.begin(disturbance)
            if disturbance.kind is FaultKind.KILL:
                self._kill_workers(disturbance)
            elif disturbance.kind in OF_MANAGERS:
                self._replace_manager(disturbance)

    def _kill_workers(self, disturbance: Disturbance) -> None:
        for name in disturbance.workers:
            link, serving = self._serving[name]
            if not serving.done():
                # The link goes first: a killed worker sends no goodbye.
                link.leave()
                self._down_s[name] = disturbance.lasts_s
                serving.cancel()

    # ------------------------------------------------------------------ checking the end

    def _report_unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        fault = context.get("exception")
        self._checker.report("no exception is unhandled", f"{context.get('message')}: {fault!r}")

    def _check_drops(self, agent: TaskManager | WorkerAgent) -> None:
        if agent.dropped:
            dropped = f"{agent.name} dropped {agent.dropped}"
            self._checker.report("every frame that arrives can be read", dropped)

    def _check_end(self, manager: TaskManager, managing: asyncio.Future[None]) -> None:
        board = manager.board
        if not managing.done():
            waiting = [each.task_id for each in board.tasks.values() if not each.status.is_final]
            reasons = "; ".join(
                line
                for each in waiting[:_MAX_NAMED_TASKS]
                for line in explain_task(board, each).lines()
            )
            self._checker.report(
                "a run ends once the faults have stopped",
                f"it still runs {CALM_S:g} s later: {reasons}",
                waiting[0] if waiting else None,
            )
            return
        self._check_drops(manager)
        for former in self._former:
            self._check_drops(former.manager)
            if (detail := former.find_wrong_end()) is not None:
                invariant = "a manager that was taken over does not end its run"
                self._checker.report(invariant, detail)
        fault = managing.exception()
        if fault is not None and not isinstance(fault, WorkersMissing):
            self._checker.report("the manager does not fail", repr(fault))
        self._checker.check_board(board)

    def _outcome(self, board: BoardState, lasted_s: float) -> SimulationOutcome:
        violation = self._checker.violation
        task_id = None if violation is None else violation.task_id
        story: tuple[str, ...] = ()
        if task_id is not None and task_id in board.tasks:
            story = tuple(
                f"{at:9.3f} s  {what.value}" + "".join(f"  {part}" for part in parts if part)
                for at, what, _, attempt, worker, detail in board.story(task_id)
                for parts in [(f"attempt {attempt}" if attempt else "", worker, detail)]
            )
        return SimulationOutcome(
            self._conditions, self._plan.injected, lasted_s, self._checker.digest, violation, story
        )
