"""Where additional workers come from: what a spawner is, and one that starts local processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Protocol

from .ticket import TICKET_VARIABLE, Ticket
from .worker_order import WorkerOrder

PARENT_VARIABLE = "MUSTER_PARENT"
"""Tells a worker process who started it, since that one may be gone before it has looked."""

ORDERLY_END_S = 5.0
"""How long a worker process may take to say goodbye before it is killed."""


class SpawnedWorker(Protocol):
    """A worker that was started by a spawner."""

    @property
    def is_alive(self) -> bool:
        """Whether it still runs, or is still on its way."""
        ...

    async def end(self) -> None:
        """See to it that it runs no longer; what it holds goes to other workers."""
        ...


class WorkerSpawner(Protocol):
    """Starts workers that join one manager."""

    async def spawn(self, name: str) -> SpawnedWorker:
        """Start a worker; returns before it has joined.

        Args:
            name: what it is to be called, unique in its workspace.
        """
        ...


class LocalProcesses:
    """Starts workers as processes of this machine; each ends with the process that started it.

    Each is the leader of a process group: Ctrl-C reaches the one that started it, who then decides.

    Args:
        ticket: the manager's; the processes get it by their environment, which nobody else sees.
        skill_level: what each can do.
        specialties: types of task for which its skill counts 2 more.
        slots: how many tasks each runs at once; None for as many as `muster worker` takes.
        handlers: modules with the functions that do tasks, each as "module" or
            "module:attribute"; without, work is simulated.
        time_scale: how long a second of simulated work lasts, in seconds.
    """

    def __init__(
        self,
        ticket: Ticket,
        skill_level: int,
        *,
        specialties: Iterable[str] = (),
        slots: int | None = 1,
        handlers: Iterable[str] = (),
        time_scale: float = 1.0,
    ) -> None:
        self._environment = {TICKET_VARIABLE: str(ticket)}
        self._order = WorkerOrder(
            name="",
            skill_level=skill_level,
            specialties=tuple(specialties),
            slots=1 if slots is None else slots,
            handlers=tuple(handlers),
            time_scale=time_scale,
        )

    async def spawn(self, name: str) -> LocalProcess:
        """Start a worker; returns before it has joined."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command.local_worker"),
            self._order._replace(name=name).line(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self._environment, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
        return LocalProcess(process)


class LocalProcess:
    """A worker in a process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def end(self) -> None:
        """Tell it to stop, and kill it if it does not."""
        for insist in (self._process.terminate, self._process.kill):
            if not self.is_alive:
                return
            with contextlib.suppress(ProcessLookupError):
                insist()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._process.wait(), ORDERLY_END_S)
