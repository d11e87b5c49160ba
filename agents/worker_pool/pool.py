"""Scales the workers of a manager with its load: starts workers, and retires idle ones."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from ...messages import IllegalTransition, InvalidInput, UnknownName
from ..kernel.scaling import Bounds, Scaler, Step, decide, measure_workload
from ..manager.task_manager import TaskManager
from ..runtime.clock import now
from ..runtime.error_text import describe_fault
from ..runtime.log import log
from .processes import EXIT_TIMEOUT_S, SpawnedWorker, WatchedWorker, WorkerSpawner

TARGET_LOAD = 0.7
COOL_DOWN_S = 30.0

_MAX_PAUSE_S = 60.0
_LAST_FRAMES_S = 0.1
"""How long what a worker sent before it ended may be on its way."""


@dataclass(slots=True, eq=False)
class _PooledWorker:
    name: str
    worker: SpawnedWorker
    has_joined: bool = False
    retired_at: float | None = None
    watch: asyncio.Task[None] | None = None


class WorkerPool:
    """The workers that a spawner starts for a manager, between a minimum and a maximum.

    A worker that holds tasks is never retired, nor is one that was needed lately. Workers that
    joined independently count for the load, but not for the number. If the spawner fails, that is
    logged, and retried at growing intervals. Of a local process that dies the manager learns at
    once, so its tasks go to other workers without waiting for `lost_after_s`. While the run is
    paused, no worker is started.

    ```python
    spawner = LocalProcesses(manager.ticket(), skill_level=5)
    async with WorkerPool(manager, spawner, minimum=1, maximum=4):
        ...
    ```

    Args:
        manager: the manager.
        spawner: starts workers.
        minimum: the smallest number of workers, 0 or more.
        maximum: the largest number of workers.
        target_load: the share of busy slots above which workers are started; below half of it one
            is retired.
        cool_down_s: how long a worker must have been unneeded before it is retired, in seconds.
        every_s: how often the load is checked, in seconds.
        name: the prefix of the workers' names; an unused number is appended.

    Raises:
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        manager: TaskManager,
        spawner: WorkerSpawner,
        *,
        minimum: int = 1,
        maximum: int = 4,
        target_load: float = TARGET_LOAD,
        cool_down_s: float = COOL_DOWN_S,
        every_s: float = 1.0,
        name: str = "worker",
    ) -> None:
        self._bounds = Bounds(minimum, maximum)
        self._scaler = Scaler(self._bounds, target_load, cool_down_s)
        if not every_s > 0:
            raise InvalidInput(f"every_s is {every_s}; it must be above 0")
        self._manager = manager
        self._spawner = spawner
        self._every_s = every_s
        self._name = name
        self._spawned_count = 0
        # Bounded by the maximum, and those that are ending.
        self._spawned_workers: list[_PooledWorker] = []
        self._early_deaths = 0
        self._paused_until = 0.0
        self._loop_task: asyncio.Task[None] | None = None

    @property
    def workers(self) -> list[str]:
        """The names of its workers, including those that are starting, but not the retired ones."""
        return [each.name for each in self._spawned_workers if each.retired_at is None]

    async def scale_workers(self, current_load: float, target_load: float = TARGET_LOAD) -> Step:
        """Take one step: start a worker if the load is above the target, or retire an idle one.

        While a worker is starting no other is started, except to reach the minimum, since it is not
        known yet how much it will take over.

        Args:
            current_load: the tasks for each slot, as `measure_load` returns it; 0 or more.
            target_load: the load above which a worker is started; below half of it one is retired.

        Returns:
            The step that was taken.

        Raises:
            InvalidInput: a load is out of range.
        """
        await self._update()
        count = len(self.workers)
        step = decide(current_load, count, self._bounds, target_load)
        if step is Step.GROW:
            is_any_starting = any(not each.has_joined for each in self._spawned_workers)
            if (
                self._manager.board.pause.holds
                or now() < self._paused_until
                or (count >= self._bounds.minimum and is_any_starting)
            ):
                return Step.STAY
            await self._spawn()
        elif step is Step.SHRINK and not self._retire_one():
            return Step.STAY
        return step

    async def start(self) -> None:
        """Begin to scale the number of workers, until `stop`."""
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End all its workers; their tasks go to other workers."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
            self._loop_task = None
        workers, self._spawned_workers = self._spawned_workers, []
        for each in workers:
            if each.watch is not None:
                each.watch.cancel()
        ends = await asyncio.gather(
            *(each.worker.end() for each in workers), return_exceptions=True
        )
        for pooled, fault in zip(workers, ends, strict=True):
            if isinstance(fault, Exception):
                log.error("could not end a worker", worker=pooled.name, why=describe_fault(fault))

    async def __aenter__(self) -> WorkerPool:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _run(self) -> None:
        # When the run has ended, the manager stops its workers.
        board = self._manager.board
        # A run that a store holds may have been stopped; it goes on as soon as it is resumed.
        while board.is_suspended or not board.has_ended:
            try:
                await self._adjust()
            except Exception as fault:  # noqa: BLE001 - a spawner may be anybody's
                # Such as when the system can start no more processes.
                why = describe_fault(fault)
                log.error("could not scale", manager=self._manager.name, why=why)
                self._pause()
            await asyncio.sleep(self._every_s)

    async def _adjust(self) -> None:
        await self._update()
        starting = sum(not each.has_joined for each in self._spawned_workers)
        workload = measure_workload(self._manager.board)
        change = self._scaler.advise(workload, len(self.workers), starting, now())
        if change < 0:
            self._retire_one()
        elif now() >= self._paused_until and not self._manager.board.pause.holds:
            for _ in range(change):
                await self._spawn()

    async def _update(self) -> None:
        """Update which workers have joined or ended, and end retired ones that have not."""
        known = self._manager.board.workers
        for pooled in list(self._spawned_workers):
            worker = known.get(pooled.name)
            if worker is not None and worker.alive and not pooled.has_joined:
                pooled.has_joined = True
                self._early_deaths = 0
            if not pooled.worker.is_alive:
                self._spawned_workers.remove(pooled)
                if pooled.retired_at is None:
                    self._note_death(pooled)
            elif pooled.retired_at is not None and now() - pooled.retired_at > EXIT_TIMEOUT_S:
                await pooled.worker.end()

    async def _watch(self, pooled: _PooledWorker, worker: WatchedWorker) -> None:
        await worker.ended()
        await asyncio.sleep(_LAST_FRAMES_S)
        self._lose(pooled)

    def _lose(self, pooled: _PooledWorker) -> None:
        """Tell the manager that a worker has ended, unless it said so itself."""
        if not self._manager.board.has_ended:
            self._manager.lose_worker(pooled.name, "its process ended")

    def _note_death(self, pooled: _PooledWorker) -> None:
        self._lose(pooled)
        known = self._manager.board.workers.get(pooled.name)
        if known is None or known.drain is None:
            name = self._manager.name
            log.warning("a worker ended unexpectedly", manager=name, worker=pooled.name)
        if not pooled.has_joined:
            # The next one would probably fail as well.
            self._pause()

    def _pause(self) -> None:
        self._early_deaths += 1
        pause_s = min(self._every_s * 2.0**self._early_deaths, _MAX_PAUSE_S)
        self._paused_until = now() + pause_s

    async def _spawn(self) -> None:
        name = self._next_name()
        worker = await self._spawner.spawn(name)
        pooled = _PooledWorker(name, worker)
        if isinstance(worker, WatchedWorker):
            pooled.watch = asyncio.create_task(self._watch(pooled, worker))
        self._spawned_workers.append(pooled)

    def _next_name(self) -> str:
        while True:
            self._spawned_count += 1
            name = f"{self._name}-{self._spawned_count}"
            # A resumed run may still expect a worker of this name.
            if name not in self._manager.board.workers:
                return name

    def _retire_one(self) -> bool:
        """Retire the youngest idle worker; False if all hold tasks."""
        for pooled in reversed(self._spawned_workers):
            if pooled.has_joined and pooled.retired_at is None:
                # Only the manager knows whether the worker holds tasks at this moment.
                with contextlib.suppress(IllegalTransition, UnknownName):
                    self._manager.retire_worker(pooled.name)
                    pooled.retired_at = now()
                    return True
        return False
