"""Plays a world of hidden skills with a real manager and real workers in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...messages import Payload, Task, TaskId
from ..execution.handlers import Handlers, TaskContext
from ..kernel.matching.policies import MatchingPolicy
from ..kernel.model.records import AttemptOutcome, TaskRecord
from ..manager.task_manager import TaskManager
from ..worker.worker_agent import WorkerAgent
from .hidden_skills import HiddenWorker, HiddenWorld
from .memory_network import MemoryNetwork
from .rehearsal import rehearse
from .virtual_time import run_in_virtual_time

_CHECK_EVERY_S = 0.25
_LONGEST_WAVE_S = 50_000.0


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
        figures: what the policy's decision said, if it was still known when the attempt began.
    """

    task: Task
    worker: HiddenWorker
    number: int
    chance: float
    succeeded: bool
    started_at: float
    ended_at: float
    outcome: AttemptOutcome
    figures: Any = None

    @property
    def busy_s(self) -> float:
        """How long it held its slot."""
        return self.ended_at - self.started_at


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
        ids = {task.id for task in self.world.waves[wave]}
        return [attempt for attempt in self.attempts if attempt.task.id in ids]

    def span_s(self, wave: int) -> float:
        """How long a wave took, in seconds."""
        return max(attempt.ended_at for attempt in self.of_wave(wave)) - self.wave_began_at[wave]


class _OpenManager(TaskManager):
    """A manager that does not end its run when all tasks are settled."""

    def keep_open(self) -> None:
        self._shell.driver.stay(reassigns_failed=False)


@dataclass
class _Play:
    world: HiddenWorld
    figures: dict[tuple[TaskId, int], Any] = field(default_factory=dict[tuple[TaskId, int], Any])
    wave_began_at: list[float] = field(default_factory=list[float])

    def worker_agent(self, worker: HiddenWorker, manager: TaskManager) -> WorkerAgent:
        handlers = Handlers()
        world = self.world

        async def perform(task: Task, context: TaskContext) -> Payload:
            record = manager.board.tasks.get(task.id)
            if record is not None and record.attempt == context.attempt:
                self.figures[task.id, context.attempt] = record.decision
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
        )

    async def direct(self, manager: TaskManager) -> None:
        loop = asyncio.get_running_loop()
        while manager.board.began_at is None:
            await asyncio.sleep(0.01)
        for number, wave in enumerate(self.world.waves):
            began_at = loop.time()
            self.wave_began_at.append(began_at)
            if self.world.rates[number] is None:
                manager.add_tasks(wave)
            else:
                for task, moment in zip(wave, self.world.arrivals(number), strict=True):
                    await asyncio.sleep(began_at + moment - loop.time())
                    manager.add_task(task)
            unsettled = [manager.board.tasks[task.id] for task in wave]
            while unsettled and loop.time() - began_at < _LONGEST_WAVE_S:
                await asyncio.sleep(_CHECK_EVERY_S)
                unsettled = [record for record in unsettled if not record.status.is_final]
        await manager.stop()


def play_world(
    world: HiddenWorld,
    policy: str | MatchingPolicy,
    *,
    seen: Callable[[TaskManager], None] | None = None,
    network: MemoryNetwork | None = None,
    **options: Any,
) -> PlayedWorld:
    """Play a world in virtual time.

    Args:
        world: the world.
        policy: the matching policy, by name or as an object.
        seen: called with the manager before it starts.
        network: the network; by default one without faults.
        options: further arguments of the `TaskManager`.
    """
    return run_in_virtual_time(_play_world(world, policy, seen, network, options))


async def _play_world(
    world: HiddenWorld,
    policy: str | MatchingPolicy,
    seen: Callable[[TaskManager], None] | None,
    network: MemoryNetwork | None,
    options: dict[str, Any],
) -> PlayedWorld:
    names = [worker.name for worker in world.workers]
    manager = _OpenManager((), names, policy=policy, quiet=True, **options)
    manager.keep_open()
    if seen is not None:
        seen(manager)
    play = _Play(world)
    workers = [play.worker_agent(worker, manager) for worker in world.workers]
    directing = asyncio.ensure_future(play.direct(manager))
    try:
        await rehearse(manager, workers, network)
    finally:
        directing.cancel()
        await asyncio.gather(directing, return_exceptions=True)
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
                    play.figures.get((record.task_id, attempt.number)),
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
