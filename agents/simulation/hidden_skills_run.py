"""Plays a world of hidden skills with a real manager and real workers in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...messages import Payload, Task, TaskId
from ..execution.handlers import Handlers, TaskContext
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.occurrences import Occurrence, OccurrenceKind
from ..kernel.model.records import AttemptOutcome, TaskRecord, WorkerRecord
from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent
from .hidden_skills import HiddenWorker, HiddenWorld
from .memory_network import MemoryNetwork
from .virtual_time import run_in_virtual_time

Predictor: TypeAlias = Callable[[Task, WorkerRecord], float]
"""Tells the chance that a policy predicts for a task at a worker."""

_COUNTED = (AttemptOutcome.SUCCEEDED, AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT)
_CHECK_EVERY_S = 0.25
_LONGEST_WAVE_S = 5_000.0
"""After this time a wave is left as it is, so that a policy that starves tasks ends too."""


@dataclass(frozen=True, slots=True)
class PlayedAttempt:
    """An attempt of a played world.

    Args:
        task: the task.
        worker: the worker.
        number: which attempt at the task, from 1.
        chance: its true chance of success.
        succeeded: whether it succeeded.
        started_at: when it was assigned, in seconds.
        ended_at: when it ended, in seconds.
        outcome: how it ended.
        predicted: the chance that the policy predicted when it began; None if it predicts none.
    """

    task: Task
    worker: HiddenWorker
    number: int
    chance: float
    succeeded: bool
    started_at: float
    ended_at: float
    outcome: AttemptOutcome
    predicted: float | None = None

    @property
    def busy_s(self) -> float:
        """How long it held its slot."""
        return self.ended_at - self.started_at

    @property
    def counts(self) -> bool:
        """Whether its worker ended it, rather than was lost with it."""
        return self.outcome in _COUNTED

    @property
    def cost(self) -> float:
        """What it cost."""
        return self.worker.cost_per_task


@dataclass(frozen=True)
class PlayedWorld:
    """What came of a played world.

    Args:
        world: the world.
        attempts: all attempts in the order in which they were assigned.
        wave_began_at: when each wave began, in seconds.
        done: the ids of the tasks that were completed.
        settled_at: when each task was settled, in seconds.
        added_at: when each task arrived, in seconds.
    """

    world: HiddenWorld
    attempts: tuple[PlayedAttempt, ...]
    wave_began_at: tuple[float, ...]
    done: frozenset[TaskId]
    settled_at: dict[TaskId, float]
    added_at: dict[TaskId, float]

    def of_wave(self, wave: int) -> list[PlayedAttempt]:
        """The attempts at the tasks of a wave."""
        ids = {task.id for task in self.world.waves[wave].tasks}
        return [attempt for attempt in self.attempts if attempt.task.id in ids]

    def span_s(self, wave: int) -> float:
        """How long a wave took, in seconds."""
        return max(attempt.ended_at for attempt in self.of_wave(wave)) - self.wave_began_at[wave]


class _OpenManager(TaskManager):
    """A manager that does not end its run when all tasks are settled."""

    def keep_open(self) -> None:
        self._shell.driver.stay(reassigns_failed=False)

    async def has_begun(self) -> None:
        """Wait until all workers have joined."""
        began = asyncio.Event()

        def note(occurrence: Occurrence) -> None:
            if occurrence.what is OccurrenceKind.ASSIGNING_BEGUN:
                began.set()

        self.watch(note)
        await began.wait()

    def add_at_once(self, tasks: Sequence[Task]) -> None:
        """Add tasks before any of them is assigned."""
        self._shell.driver.add_tasks(tasks)


async def _submit(manager: TaskManager, source: Iterator[Task]) -> None:
    """Add tasks, each when the one before is settled."""
    for task in source:
        await manager.submit(task)


@dataclass
class _Play:
    world: HiddenWorld
    predict: Predictor | None
    predicted: dict[tuple[TaskId, int], float] = field(
        default_factory=dict[tuple[TaskId, int], float]
    )
    wave_began_at: list[float] = field(default_factory=list[float])

    def worker_agent(self, worker: HiddenWorker, manager: TaskManager) -> WorkerAgent:
        handlers = Handlers()
        world = self.world

        async def perform(task: Task, context: TaskContext) -> Payload:
            record = manager.board.tasks.get(task.id)
            if record is not None and self.predict is not None:
                self.predicted[task.id, context.attempt] = self.predict(
                    task, record.attempts[context.attempt - 1].worker
                )
            draw = world.draw(worker, task, context.attempt)
            await asyncio.sleep(draw.lasts_s)
            if not draw.succeeds:
                raise ValueError("not good enough")
            return None

        for each in sorted({task.type for task in world.tasks}):
            handlers.task(each)(perform)
        return WorkerAgent(
            worker.name,
            worker.declared,
            specialties=worker.specialties,
            slots=worker.slots,
            handlers=handlers,
            cost_per_task=worker.cost_per_task,
        )

    async def direct(self, manager: _OpenManager) -> None:
        loop = asyncio.get_running_loop()
        await manager.has_begun()
        for number, wave in enumerate(self.world.waves):
            self.wave_began_at.append(loop.time())
            if wave.backlog is not None:
                source = iter(wave.tasks)
                await asyncio.gather(*(_submit(manager, source) for _ in range(wave.backlog)))
            elif wave.rate is None:
                manager.add_at_once(wave.tasks)
            else:
                began_at = loop.time()
                for task, moment in zip(wave.tasks, self.world.arrivals(number), strict=True):
                    await asyncio.sleep(began_at + moment - loop.time())
                    manager.add_task(task)
            await self._wait_until_settled(manager, wave.tasks)
        await manager.stop()

    async def _wait_until_settled(self, manager: TaskManager, tasks: Sequence[Task]) -> None:
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + _LONGEST_WAVE_S
        unsettled = [manager.board.tasks[task.id] for task in tasks]
        while unsettled and loop.time() < gives_up_at:
            await asyncio.sleep(_CHECK_EVERY_S)
            unsettled = [record for record in unsettled if not record.status.is_final]

    async def serve(
        self, worker: HiddenWorker, manager: TaskManager, network: MemoryNetwork
    ) -> None:
        """Let a worker serve until the run ends, and start it again after each outage."""
        loop = asyncio.get_running_loop()
        outages = [each for each in self.world.outages if each.worker == worker.name]
        for number, outage in enumerate([*outages, None]):
            agent = self.worker_agent(worker, manager)
            link = network.join(f"{worker.name}/{number}", agent.receive)
            serving = asyncio.ensure_future(agent.serve_over(link))
            try:
                left_s = None if outage is None else outage.begins_at - loop.time()
                await asyncio.wait([serving], timeout=left_s)
            finally:
                # The link goes first: a killed worker sends no goodbye.
                link.leave()
                serving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await serving
            if manager.board.ended_at is not None or outage is None:
                return
            await asyncio.sleep(outage.lasts_s)


def play_world(
    world: HiddenWorld,
    policy: str | MatchingPolicy,
    *,
    predict: Predictor | None = None,
    **options: Any,
) -> PlayedWorld:
    """Play a world in virtual time.

    Args:
        world: the world.
        policy: the matching policy, by name or as an object.
        predict: tells the chance that the policy predicts for a task at a worker.
        options: further arguments of the `TaskManager`.
    """
    return run_in_virtual_time(_play_world(world, policy, predict, options))


async def _play_world(
    world: HiddenWorld,
    policy: str | MatchingPolicy,
    predict: Predictor | None,
    options: dict[str, Any],
) -> PlayedWorld:
    names = [worker.name for worker in world.workers]
    manager = _OpenManager((), names, policy=policy, quiet=True, **options)
    manager.keep_open()
    play = _Play(world, predict)
    network = MemoryNetwork()
    link = network.join(manager.name, manager.receive)
    managing = [
        asyncio.ensure_future(play.direct(manager)),
        asyncio.ensure_future(manager.serve_over(link)),
    ]
    working = [asyncio.ensure_future(play.serve(each, manager, network)) for each in world.workers]
    pending = {*managing, *working}
    try:
        while not pending.isdisjoint(managing):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            # If one fails, the others would wait for it without end.
            for future in done:
                future.result()
    finally:
        for future in (*managing, *working):
            future.cancel()
        await asyncio.gather(*managing, *working, return_exceptions=True)
    return _summarize(play, manager)


def _summarize(play: _Play, manager: TaskManager) -> PlayedWorld:
    world = play.world
    by_name = {worker.name: worker for worker in world.workers}
    records: list[TaskRecord] = list(manager.board.tasks.values())
    attempts: list[PlayedAttempt] = []
    for record in records:
        for attempt in record.attempts:
            if attempt.outcome is None or attempt.ended_at is None:
                continue
            worker = by_name[attempt.worker.name]
            attempts.append(
                PlayedAttempt(
                    record.added,
                    worker,
                    attempt.number,
                    world.chance(worker, record.added),
                    attempt.outcome is AttemptOutcome.SUCCEEDED,
                    attempt.started_at,
                    attempt.ended_at,
                    attempt.outcome,
                    play.predicted.get((record.task_id, attempt.number)),
                )
            )
    attempts.sort(key=lambda each: each.started_at)
    done = {r.task_id for r in records if r.result is not None and r.result.success}
    return PlayedWorld(
        world,
        tuple(attempts),
        tuple(play.wave_began_at),
        frozenset(done),
        {r.task_id: r.finished_at for r in records if r.finished_at is not None},
        {r.task_id: r.added_at for r in records},
    )
