"""What a scenario is, and how one is played: over real Ceylon, or rehearsed in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from ..agents.manager.task_manager import TaskManager
from ..agents.security.ticket import write_ticket_file
from ..agents.simulation.memory_network import MemoryNetwork
from ..agents.simulation.rehearsal import rehearse
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

ManagerSeen: TypeAlias = Callable[[TaskManager], None]
"""Called with the manager before it starts, to watch it."""

AsideTold: TypeAlias = Callable[[str, str, str], None]
"""Called with sender, receiver and text of what passes beside the run."""

WORKER_EXIT_S = 1.5
"""How long a worker process may take to end after its manager, and again when it is told to."""


class Scenario:
    """A story: a manager, its workers, and what happens besides.

    A subclass is one story. Its docstring tells it, with a Mermaid sequence diagram.

    Args:
        time_scale: how long a second of the story lasts, in seconds.
        arguments: what the command line gave besides the scenario's name.

    Raises:
        InvalidInput: arguments were given and the scenario takes none, or they are wrong.
    """

    takes: ClassVar[str] = ""
    """What the scenario takes as arguments, for people; "" if none."""

    has_worker_processes: ClassVar[bool] = False
    """Whether its workers run in processes of their own even if nobody asks for it."""

    has_plain_agents: ClassVar[bool] = False
    """Whether plain Ceylon agents take part, so that it can't be rehearsed over a memory link."""

    talks_over_sockets: ClassVar[bool] = False
    """Whether its work waits for sockets, so that it can't be rehearsed in virtual time."""

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        if arguments and not self.takes:
            raise InvalidInput(f"scenario {self.name()!r} takes no arguments, not {arguments[0]!r}")
        self.time_scale = time_scale
        self.arguments = tuple(arguments)
        self.tell_aside: AsideTold = _tell_nobody

    @classmethod
    def name(cls) -> str:
        """The scenario's name: that of its module."""
        module = sys.modules[cls.__module__]
        return Path(module.__file__ or cls.__module__).stem

    @classmethod
    def needs_the_real_network(cls) -> str:
        """Why it can't be rehearsed, such as "plain Ceylon agents take part"; "" if it can."""
        if cls.has_plain_agents:
            return "plain Ceylon agents take part"
        return "its work talks over sockets" if cls.talks_over_sockets else ""

    @classmethod
    def headline(cls) -> str:
        """The first line of the story."""
        return (cls.__doc__ or cls.name()).strip().splitlines()[0]

    def manager(self) -> TaskManager:
        """The manager with its tasks."""
        raise NotImplementedError

    def workers(self) -> list[WorkerAgent]:
        """The workers, in the order in which they come."""
        raise NotImplementedError

    async def direct(self, manager: TaskManager) -> None:
        """What happens besides, while the manager runs, such as a cancel in the third second."""

    def conclusion(self, report: RunReport) -> str:
        """What the run was for, told from its report; "" if the report says it all."""
        del report
        return ""

    def seconds(self, story_s: float) -> float:
        """How long that many seconds of the story really last."""
        return story_s * self.time_scale

    # ---------------------------------------------------------- playing it

    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play the scenario over real Ceylon.

        Args:
            processes: give each worker a process of its own.
            seen: called with the manager before it starts.

        Raises:
            WorkersMissing: workers did not come in time, and the scenario can't do without.
        """
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
            try:
                await manager.start_agent(b"")
            finally:
                await asyncio.gather(*(_see_out(process) for process in processes))

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


def _tell_nobody(sender: str, receiver: str, text: str) -> None:
    """Leave untold what passes beside the run: nobody traces it."""


async def _see_out(process: asyncio.subprocess.Process) -> None:
    # A worker that was still starting when the run ended never heard of the end.
    for insist in (process.terminate, process.kill):
        try:
            await asyncio.wait_for(process.wait(), WORKER_EXIT_S)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                insist()
    await process.wait()


def perform(scenario: type[Scenario]) -> None:
    """Run a scenario as a script: `muster run` with the script's own arguments."""
    # By name: the command imports the scenarios, so they must not import it.
    sys.argv[:] = ["muster", "run", scenario.name(), *sys.argv[1:]]
    runpy.run_module("muster.agents.command", run_name="__main__")
