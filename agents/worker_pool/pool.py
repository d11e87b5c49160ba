"""Keeps as many workers at a manager as its load needs: starts some, lets idle ones go."""

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
from .processes import ORDERLY_END_S, SpawnedWorker, WorkerSpawner

TARGET_LOAD = 0.7
COOL_DOWN_S = 30.0

_LONGEST_PAUSE_S = 60.0


@dataclass(slots=True, eq=False)
class _Member:
    name: str
    worker: SpawnedWorker
    has_joined: bool = False
    retired_at: float | None = None


class WorkerPool:
    """The workers that a spawner started for a manager, between a minimum and a maximum.

    A worker that holds work is never let go, nor one that was needed lately. Workers that came by
    themselves count for the load, not for the number. A spawner that fails is told of in the log,
    and tried again ever less often.

    ```python
    spawner = LocalProcesses(manager.ticket(), skill_level=5)
    async with WorkerPool(manager, spawner, minimum=1, maximum=4):
        ...
    ```

    Args:
        manager: whose workers they are.
        spawner: starts them.
        minimum: how many there are at least, 0 or more.
        maximum: how many there are at most.
        target_load: the share of slots with work above which workers are started; below half of it
            one is let go.
        cool_down_s: for how long there must not have been work for a worker before it is let go,
            in seconds.
        every_s: how often it looks, in seconds.
        name: what the workers are called, with a number behind that nobody has yet.

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
        self._spawned = 0
        # Bounded by the maximum, and those that are just ending.
        self._members: list[_Member] = []
        self._died_early = 0
        self._waits_until = 0.0
        self._looking: asyncio.Task[None] | None = None

    @property
    def workers(self) -> list[str]:
        """The names of its workers, those on their way too, but not those that are let go."""
        return [each.name for each in self._members if each.retired_at is None]

    async def scale_workers(self, current_load: float, target_load: float = TARGET_LOAD) -> Step:
        """Take one step: start a worker if the load is above the target, or let an idle one go.

        While a worker is on its way no other is started, except for the minimum: what it will
        take over is not known yet.

        Args:
            current_load: the work there is for each slot, as `measure_load` has it; 0 or more.
            target_load: the load to keep below; below half of it a worker is let go.

        Returns:
            What was done.

        Raises:
            InvalidInput: a load is out of range.
        """
        await self._tend()
        count = len(self.workers)
        step = decide(current_load, count, self._bounds, target_load)
        if step is Step.GROW:
            is_on_its_way = any(not each.has_joined for each in self._members)
            if now() < self._waits_until or (count >= self._bounds.minimum and is_on_its_way):
                return Step.STAY
            await self._spawn()
        elif step is Step.SHRINK and not self._retire_one():
            return Step.STAY
        return step

    async def start(self) -> None:
        """Begin to look after the number of workers, until `stop`."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """End all its workers; what they hold goes to others."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        members, self._members = self._members, []
        ends = await asyncio.gather(
            *(each.worker.end() for each in members), return_exceptions=True
        )
        for member, fault in zip(members, ends, strict=True):
            if isinstance(fault, Exception):
                log.error("could not end a worker", worker=member.name, why=describe_fault(fault))

    async def __aenter__(self) -> WorkerPool:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _look(self) -> None:
        # A run that has ended sends its workers home.
        while not self._manager.board.has_ended:
            try:
                await self._adjust()
            except Exception as fault:  # noqa: BLE001 - a spawner may be anybody's
                # As when the machine has no more processes to give.
                told = describe_fault(fault)
                log.error("could not scale", manager=self._manager.name, why=told)
                self._pause()
            await asyncio.sleep(self._every_s)

    async def _adjust(self) -> None:
        await self._tend()
        on_their_way = sum(not each.has_joined for each in self._members)
        workload = measure_workload(self._manager.board)
        change = self._scaler.advise(workload, len(self.workers), on_their_way, now())
        if change < 0:
            self._retire_one()
        elif now() >= self._waits_until:
            for _ in range(change):
                await self._spawn()

    async def _tend(self) -> None:
        """Take note of who has joined, who has ended, and who should have."""
        known = self._manager.board.workers
        for member in list(self._members):
            worker = known.get(member.name)
            if worker is not None and worker.alive and not member.has_joined:
                member.has_joined = True
                self._died_early = 0
            if not member.worker.is_alive:
                self._members.remove(member)
                if member.retired_at is None:
                    self._note_death(member)
            elif member.retired_at is not None and now() - member.retired_at > ORDERLY_END_S:
                await member.worker.end()

    def _note_death(self, member: _Member) -> None:
        log.warning("a worker ended by itself", manager=self._manager.name, worker=member.name)
        if not member.has_joined:
            # It would do the next one no better.
            self._pause()

    def _pause(self) -> None:
        self._died_early += 1
        pause_s = min(self._every_s * 2.0**self._died_early, _LONGEST_PAUSE_S)
        self._waits_until = now() + pause_s

    async def _spawn(self) -> None:
        name = self._next_name()
        self._members.append(_Member(name, await self._spawner.spawn(name)))

    def _next_name(self) -> str:
        while True:
            self._spawned += 1
            name = f"{self._name}-{self._spawned}"
            # A resumed run may wait for one of this name to come back.
            if name not in self._manager.board.workers:
                return name

    def _retire_one(self) -> bool:
        """Let the youngest idle worker go; False if all hold work."""
        for member in reversed(self._members):
            if member.has_joined and member.retired_at is None:
                # The manager alone knows, at this moment, whether it holds work.
                with contextlib.suppress(IllegalTransition, UnknownName):
                    self._manager.retire_worker(member.name)
                    member.retired_at = now()
                    return True
        return False
