"""Where additional workers come from: what a spawner is, and one that starts local processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import weakref
from collections.abc import Iterable
from typing import Protocol

from pydantic import ValidationError

from ...messages import InvalidInput, WorkerProfile
from ...messages.wording import summarize
from ..security.ticket import TICKET_VARIABLE, Ticket
from .fork_server import ForkServer, Grown
from .worker_spec import PARENT_VARIABLE, WorkerSpec

ORDERLY_END_S = 5.0
"""How long a worker process may take to say goodbye before it is killed."""

_LOOK_AGAIN_S = 0.02
_TO_BE_NAMED = "worker"


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
        nursery: makes the processes, if it can, in a fraction of the time that a start takes; see
            `ForkServer`.

    Raises:
        InvalidInput: no worker can be like this, such as one of negative skill.
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
        nursery: ForkServer | None = None,
    ) -> None:
        self._nursery = nursery
        self._environment = {TICKET_VARIABLE: str(ticket)}
        try:
            profile = WorkerProfile(
                name=_TO_BE_NAMED,
                skill_level=skill_level,
                specialties=tuple(specialties),
                slots=1 if slots is None else slots,
            )
        except ValidationError as fault:
            raise InvalidInput(f"no worker can be started like this: {summarize(fault)}") from None
        self._order = WorkerSpec(profile, tuple(handlers), time_scale)

    async def spawn(self, name: str) -> LocalProcess:
        """Start a worker; returns before it has joined."""
        profile = self._order.profile.model_copy(update={"name": name})
        order = self._order._replace(profile=profile)
        environment = {**os.environ, **self._environment}
        if self._nursery is not None:
            grown = await _grow(self._nursery, order, environment)
            if grown is not None:
                return LocalProcess(grown)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command.processes.worker_process", order.line()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env={**environment, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
        return LocalProcess(process)


async def _grow(
    nursery: ForkServer, order: WorkerSpec, environment: dict[str, str]
) -> _GrownProcess | None:
    growing = asyncio.ensure_future(asyncio.to_thread(nursery.grow, order, environment))
    try:
        grown = await asyncio.shield(growing)
    except asyncio.CancelledError:
        growing.add_done_callback(_kill_unwanted)
        raise
    return None if grown is None else _GrownProcess(grown)


def _kill_unwanted(growing: asyncio.Future[Grown | None]) -> None:
    grown = None if growing.cancelled() or growing.exception() else growing.result()
    if grown is not None:
        _GrownProcess(grown).kill()


class _GrownProcess:
    """A process that a nursery made, as far as it is like one of asyncio's."""

    def __init__(self, grown: Grown) -> None:
        self.pid = grown.pid
        self._pidfd = grown.pidfd
        self._close = weakref.finalize(self, os.close, grown.pidfd)

    @property
    def returncode(self) -> int | None:
        """None while it runs, and 0 after that: how it ended is known to the nursery alone."""
        if self._close.alive:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if not poll.poll(0):
                return None
            self._close()
        return 0

    def terminate(self) -> None:
        """Tell it to stop."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Have it end at once."""
        self._send(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended."""
        while self.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)
        return 0

    def _send(self, number: signal.Signals) -> None:
        if sys.platform == "linux" and self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)


class LocalProcess:
    """A worker in a process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process | _GrownProcess) -> None:
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
