"""The base class of scenarios, which plays them over real Ceylon or rehearses them in memory."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from ..agents.manager.task_manager import TaskManager
from ..agents.runtime.log import log
from ..agents.security.ticket import write_ticket_file
from ..agents.simulation.memory_network import MemoryNetwork
from ..agents.simulation.rehearsal import rehearse
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

ManagerSeen: TypeAlias = Callable[[TaskManager], None]
"""Called with the manager before it starts, to watch it."""

SideMessageSink: TypeAlias = Callable[[str, str, str], None]
"""Called with sender, receiver and text of a message that is not Muster's."""

STARTING_TOLD_EVERY_S = 10
"""How often it is told that worker processes are still starting, in seconds."""

WORKER_EXIT_S = 1.5
"""How long a worker process may take to end after its manager, and again after SIGTERM."""


class Scenario:
    """A manager, its workers, and a script of what happens while they run.

    Each subclass is a scenario. The docstring of its module has a Mermaid sequence diagram of it.

    Args:
        time_scale: how long a second of the scenario lasts, in seconds.
        arguments: the arguments of the command line after the scenario's name.

    Raises:
        InvalidInput: the scenario takes no arguments, or they are invalid.
    """

    takes: ClassVar[str] = ""
    """A description of its arguments, for people; "" if it takes none."""

    has_worker_processes: ClassVar[bool] = False
    """Whether its workers always run in their own processes."""

    has_plain_agents: ClassVar[bool] = False
    """Whether plain Ceylon agents take part, so that it can't be rehearsed over a memory link."""

    talks_over_sockets: ClassVar[bool] = False
    """Whether its tasks wait for sockets, so that it can't be rehearsed in virtual time."""

    in_virtual_time: ClassVar[bool] = False
    """Whether `muster run` plays it in virtual time over a memory link, so that it takes a moment.
    """

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        if arguments and not self.takes:
            raise InvalidInput(f"scenario {self.name()!r} takes no arguments, not {arguments[0]!r}")
        self.time_scale = time_scale
        self.arguments = tuple(arguments)
        self.tell_aside: SideMessageSink = _discard

    @classmethod
    def name(cls) -> str:
        """The scenario's name, which is the name of its module."""
        module = sys.modules[cls.__module__]
        return Path(module.__file__ or cls.__module__).stem

    @classmethod
    def needs_the_real_network(cls) -> str:
        """Why it can't be rehearsed, such as "plain Ceylon agents take part"; "" if it can be."""
        if cls.has_plain_agents:
            return "plain Ceylon agents take part"
        return "its tasks use sockets" if cls.talks_over_sockets else ""

    @classmethod
    def headline(cls) -> str:
        """The first line of its docstring."""
        return (cls.__doc__ or cls.name()).strip().splitlines()[0]

    def manager(self) -> TaskManager:
        """The manager with its tasks."""
        raise NotImplementedError

    def workers(self) -> list[WorkerAgent]:
        """The workers, in the order in which they join."""
        raise NotImplementedError

    async def direct(self, manager: TaskManager) -> None:
        """Act while the manager runs, for example cancel a task in the third second."""

    def conclusion(self, report: RunReport) -> str:
        """The outcome of the run, from its report; "" if the report is sufficient."""
        del report
        return ""

    def seconds(self, scenario_s: float) -> float:
        """Convert seconds of the scenario to real seconds."""
        return scenario_s * self.time_scale

    # ---------------------------------------------------------- playing

    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play the scenario over real Ceylon, or over a memory link if it is `in_virtual_time`.

        Args:
            processes: whether each worker runs in its own process.
            seen: called with the manager before it starts.

        Raises:
            WorkersMissing: workers did not join in time, and the scenario needs them.
        """
        if self.in_virtual_time:
            return await self.rehearse(seen=seen)
        manager = self.manager()
        if seen is not None:
            seen(manager)
        directing = asyncio.ensure_future(self.direct(manager))
        try:
            if processes or self.has_worker_processes:
                await self._play_with_processes(manager)
            else:
                await manager.start_agent(b"", self.workers())
        finally:
            directing.cancel()
            await asyncio.gather(directing, return_exceptions=True)
        return manager.report()

    async def rehearse(
        self, network: MemoryNetwork | None = None, *, seen: ManagerSeen | None = None
    ) -> RunReport:
        """Play the scenario over a memory link, in the time of the running loop."""
        manager = self.manager()
        if seen is not None:
            seen(manager)
        directing = asyncio.ensure_future(self.direct(manager))
        try:
            return await rehearse(manager, self.workers(), network)
        finally:
            directing.cancel()
            await asyncio.gather(directing, return_exceptions=True)

    async def _play_with_processes(self, manager: TaskManager) -> None:
        with tempfile.TemporaryDirectory(prefix="muster-") as folder:
            ticket_file = Path(folder, "ticket")
            write_ticket_file(ticket_file, manager.ticket())
            processes = [
                await self._start_worker(worker.name, ticket_file) for worker in self.workers()
            ]
            by_name = dict(zip((each.name for each in self.workers()), processes, strict=True))
            waiting = asyncio.ensure_future(_wait_while_workers_start(manager, by_name))
            try:
                await manager.start_agent(b"")
            finally:
                waiting.cancel()
                await asyncio.gather(*(_wait_for_exit(process) for process in processes))

    async def _start_worker(self, worker: str, ticket_file: Path) -> asyncio.subprocess.Process:
        module = sys.modules[type(self).__module__]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "muster.agents.command", "play-worker"),
            *(str(module.__file__), worker),
            *("--join", str(ticket_file)),
            *("--time-scale", str(self.time_scale)),
            "--",
            *self.arguments,
        )


def _discard(sender: str, receiver: str, text: str) -> None:
    """Ignore a side message, since nobody traces the run."""


async def _wait_while_workers_start(
    manager: TaskManager, processes: Mapping[str, asyncio.subprocess.Process]
) -> None:
    """Let the manager wait for its workers as long as their processes are starting, and say so.

    On a busy machine a process may take long to come up, which is no reason to fail.
    """
    waited_s = 0
    while True:
        await asyncio.sleep(STARTING_TOLD_EVERY_S)
        waited_s += STARTING_TOLD_EVERY_S
        starting = [
            name
            for name in manager.missing_workers()
            if name in processes and processes[name].returncode is None
        ]
        if not starting:
            return
        manager.wait_longer(STARTING_TOLD_EVERY_S)
        log.warning(
            "the worker processes are still starting; waiting for them",
            workers=", ".join(starting),
            waited_s=waited_s,
        )


async def _wait_for_exit(process: asyncio.subprocess.Process) -> None:
    # A worker that was still starting when the run ended does not know that it ended.
    for end in (process.terminate, process.kill):
        try:
            await asyncio.wait_for(process.wait(), WORKER_EXIT_S)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                end()
    await process.wait()


def perform(scenario: type[Scenario]) -> None:
    """Run a scenario as a script: `muster run` with the script's own arguments."""
    # By name, since the command imports the scenarios, and they must not import it.
    sys.argv[:] = ["muster", "run", scenario.name(), *sys.argv[1:]]
    runpy.run_module("muster.agents.command", run_name="__main__")
