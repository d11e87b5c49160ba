"""Starts additional workers: the protocol of spawners, and one that starts local processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from pydantic import ValidationError

from ...messages import InvalidInput, WorkerProfile
from ...messages.wording import summarize
from ..kernel.model.config import check_grace
from ..runtime.ceylon_choice import passed_on
from ..security.ticket import TICKET_VARIABLE, Ticket
from .fork_server import ForkedProcess, ForkServer
from .worker_spec import PARENT_VARIABLE, WorkerSpec

FINISH_TIMEOUT_S = 0.3
"""How long a worker process that is told to end may finish what it runs."""

EXIT_TIMEOUT_S = 5.0
"""How long a worker process may take to exit before it is killed."""

_PLACEHOLDER_NAME = "worker"


class SpawnedWorker(Protocol):
    """A worker that a spawner has started."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs or is still starting."""
        ...

    async def end(self) -> None:
        """End it; its tasks go to other workers."""
        ...


@runtime_checkable
class WatchedWorker(Protocol):
    """A spawned worker that tells at once that it has ended; others are asked now and then."""

    async def ended(self) -> None:
        """Wait until it has ended."""
        ...


class WorkerSpawner(Protocol):
    """Starts workers that join one manager."""

    async def spawn(self, name: str) -> SpawnedWorker:
        """Start a worker; returns before it has joined.

        Args:
            name: its name, unique in its workspace.
        """
        ...


class LocalProcesses:
    """Starts workers as processes of this machine; each ends with the process that started it.

    Each leads a process group of its own, so that only the process that started it receives Ctrl-C.

    Args:
        ticket: the manager's ticket; the processes get it in their environment, where no other
            user sees it.
        skill_level: compared with the difficulty of tasks.
        specialties: task types for which its skill counts 2 more.
        skills: named skills with their levels, 0 to 1,000.
        cost_per_s: what a second of its work costs, in the manager's unit, 0 or more.
        cost_per_task: what each attempt costs besides, 0 or more.
        slots: how many tasks each runs at once; None for the default of `muster worker`.
        handlers: modules with the functions that perform tasks, each as "module" or
            "module:attribute"; without any, work is simulated.
        time_scale: how long one second of simulated work takes, in seconds.
        grace_s: for how long running tasks may go on when a process gets SIGTERM from outside, as
            by a supervisor that stops all processes of a service, in seconds, 0 or more.
        fork_server: forks the processes, if it can, much faster than they start otherwise; see
            `ForkServer`.

    Raises:
        InvalidInput: an argument is out of range.
    """

    def __init__(
        self,
        ticket: Ticket,
        skill_level: int,
        *,
        specialties: Iterable[str] = (),
        skills: Mapping[str, float] | None = None,
        cost_per_s: float = 0.0,
        cost_per_task: float = 0.0,
        slots: int | None = 1,
        handlers: Iterable[str] = (),
        time_scale: float = 1.0,
        grace_s: float = 30.0,
        fork_server: ForkServer | None = None,
    ) -> None:
        check_grace(grace_s)
        self._fork_server = fork_server
        self._environment = {TICKET_VARIABLE: str(ticket)}
        try:
            profile = WorkerProfile(
                name=_PLACEHOLDER_NAME,
                skill_level=skill_level,
                specialties=tuple(specialties),
                skills=dict(skills or {}),
                cost_per_s=cost_per_s,
                cost_per_task=cost_per_task,
                slots=1 if slots is None else slots,
            )
        except ValidationError as fault:
            raise InvalidInput(f"no worker can be started like this: {summarize(fault)}") from None
        self._spec = WorkerSpec(profile, tuple(handlers), time_scale, grace_s)

    async def spawn(self, name: str) -> LocalProcess:
        """Start a worker; returns before it has joined."""
        profile = self._spec.profile.model_copy(update={"name": name})
        spec = self._spec._replace(profile=profile)
        environment = {**os.environ, **passed_on(), **self._environment}
        if self._fork_server is not None:
            forked = await _fork(self._fork_server, spec, environment)
            if forked is not None:
                return LocalProcess(forked)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "muster.agents.command.processes.worker_process", spec.line()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            env={**environment, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
        return LocalProcess(process)


async def _fork(
    fork_server: ForkServer, spec: WorkerSpec, environment: dict[str, str]
) -> _ForkedWorker | None:
    forking = asyncio.ensure_future(asyncio.to_thread(fork_server.fork, spec, environment))
    try:
        forked = await asyncio.shield(forking)
    except asyncio.CancelledError:
        forking.add_done_callback(_kill_unwanted)
        raise
    return None if forked is None else _ForkedWorker(forked)


def _kill_unwanted(forking: asyncio.Future[ForkedProcess | None]) -> None:
    forked = None if forking.cancelled() or forking.exception() else forking.result()
    if forked is not None:
        _ForkedWorker(forked).kill()


class _ForkedWorker:
    """A forked process, with the methods of asyncio's `Process` that are needed here."""

    def __init__(self, forked: ForkedProcess) -> None:
        self.pid = forked.pid
        self._pidfd = forked.pidfd
        self._close = weakref.finalize(self, os.close, forked.pidfd)

    @property
    def returncode(self) -> int | None:
        """None while it runs, then 0: only the fork server learns the exit code."""
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
        """Kill it."""
        self._send(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has ended."""
        if self.returncode is None:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            # One of its own, since several may wait, and an event loop watches each once.
            descriptor = os.dup(self._pidfd)
            loop.add_reader(descriptor, _note_end, ended)
            try:
                await ended
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return 0

    def _send(self, number: signal.Signals) -> None:
        if sys.platform == "linux" and self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)


def _note_end(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


class LocalProcess:
    """A worker in a process of this machine."""

    def __init__(self, process: asyncio.subprocess.Process | _ForkedWorker) -> None:
        self._process = process

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._process.wait()

    async def end(self) -> None:
        """Ask it to stop, and kill it if it does not."""
        terminate, kill = self._process.terminate, self._process.kill
        steps = (
            (terminate, FINISH_TIMEOUT_S),
            # The second one ends its time of grace.
            (terminate, EXIT_TIMEOUT_S),
            (kill, EXIT_TIMEOUT_S),
        )
        for send_signal, timeout_s in steps:
            if not self.is_alive:
                return
            with contextlib.suppress(ProcessLookupError):
                send_signal()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout_s)
