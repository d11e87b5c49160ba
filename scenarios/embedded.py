"""Embedded: a TaskManager and two workers join a workspace of plain Ceylon agents.

```mermaid
sequenceDiagram
    participant Hub as Hub (plain Ceylon admin)
    participant Observer as Observer (plain Ceylon agent)
    participant TM as TaskManager (guest)
    participant Porter as Porter (skill 4)
    participant Clerk as Clerk (skill 8)

    par the estate's own
        loop all the time
            Hub->>Observer: Bulletin, a pickle
        end
    and its guests
        par Connect
            Porter->>TM: Connect
            Clerk->>TM: Connect
        end
        Note over TM,Clerk: pickles are counted and dropped, never opened
        par Remark, a pydantic model
            TM->>Porter: Remark
            TM->>Clerk: Remark
        end
        par Assign
            TM->>Clerk: TaskAssignment(T2, difficulty=7)
            TM->>Porter: TaskAssignment(T1, difficulty=3)
        end
        Porter->>TM: TaskResult(T1, success=true)
        Clerk->>TM: TaskResult(T2, success=true)
        Note over TM: Success rate: 100%
        par Shut down
            TM->>Porter: Shutdown
            TM->>Clerk: Shutdown
        end
    end
```

The hub and the observer are agents that a Ceylon user already has; they send pickles, as Ceylon
does. The TaskManager and its workers join the same workspace. Neither side disturbs the other.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from ..agents.manager.task_manager import TaskManager
from ..agents.runtime.ports import claim_port, standing_in
from ..agents.transport.ceylon_api import AgentDetail, BaseAgent, PeerMode, on, on_run
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task, TaskResult
from .scenario import ManagerSeen, Scenario, SideMessageSink, perform

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

WORKSPACE = "estate"
BULLETIN_EVERY_S = 0.2
NO_FILE = os.devnull
"""Read by the plain agents instead of a `.ceylon_network` in the user's current folder."""


@dataclass
class Bulletin:
    """A message between the plain agents."""

    number: int


class Remark(BaseModel):
    """A user's own message, which Muster's agents encode with Muster's codec."""

    text: str


class Hub(BaseAgent):
    """A plain Ceylon admin that sends bulletins."""

    sent = 0

    @on_run()
    async def send_bulletins(self, inputs: object) -> None:
        """Send a bulletin at regular intervals."""
        del inputs
        while True:
            self.sent += 1
            await self.broadcast(pickle.dumps(Bulletin(self.sent)))
            await asyncio.sleep(BULLETIN_EVERY_S)


class Observer(BaseAgent):
    """A plain Ceylon agent that reads bulletins."""

    seen = 0
    tell_aside: SideMessageSink | None = None

    @on(Bulletin)
    async def read(self, data: Bulletin, time: int, agent: AgentDetail) -> None:
        """Count a bulletin."""
        del data, time, agent
        self.seen += 1
        if self.tell_aside is not None:
            self.tell_aside("Hub", "Observer", "Bulletin, a pickle")


class Foreman(TaskManager):
    """A TaskManager that broadcasts a remark before it assigns tasks."""

    tell_aside: SideMessageSink | None = None

    async def assign_tasks(self) -> None:
        """Broadcast a remark to the workers, then assign."""
        await self.broadcast_message(Remark(text="mind the wet steps"))
        if self.tell_aside is not None:
            for worker in self.board.workers:
                self.tell_aside(self.name, worker, "Remark")
        await super().assign_tasks()


class Clerk(WorkerAgent):
    """A worker with its own handler for the user's message."""

    remark = ""

    @on(Remark)
    async def note_down(self, data: Remark, time: int, agent: AgentDetail) -> None:
        """Keep a remark."""
        del time, agent
        self.remark = data.text


class Embedded(Scenario):
    """A TaskManager and two workers join a workspace of plain Ceylon agents."""

    has_plain_agents: ClassVar[bool] = True

    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play it over real Ceylon in one process, which is the only way to play it."""
        del processes
        port = claim_port()
        with tempfile.TemporaryDirectory() as folder, standing_in(Path(folder)):
            # A plain admin writes `.ceylon_network` into its current folder; keep the user's clean.
            self.hub = Hub(
                "Hub", PeerMode.ADMIN, port=port, workspace_id=WORKSPACE, config_path=NO_FILE
            )
        admin = self.hub.details().id
        self.observer = Observer(
            "Observer",
            PeerMode.CLIENT,
            port=port,
            workspace_id=WORKSPACE,
            admin_peer=admin,
            admin_ip="127.0.0.1",
            config_path=NO_FILE,
        )
        self.foreman = Foreman(
            [
                Task(id=1, description="Carry the chests", difficulty=3),
                Task(id=2, description="Write the manifest", difficulty=7),
            ],
            expected_workers=2,
            name="Foreman",
            port=port,
            workspace_id=WORKSPACE,
            admin_peer=admin,
            time_scale=self.time_scale,
            quiet=True,
        )
        self.porter = WorkerAgent(
            "Porter", 4, WORKSPACE, admin, port=port, time_scale=self.time_scale
        )
        self.clerk = Clerk("Clerk", 8, WORKSPACE, admin, port=port, time_scale=self.time_scale)
        self.observer.tell_aside = self.foreman.tell_aside = self.tell_aside
        if seen is not None:
            seen(self.foreman)
        guests = [self.observer, self.foreman, self.porter, self.clerk]
        workspace = asyncio.ensure_future(self.hub.start_agent(b"", guests))
        await self.foreman.finished()
        await asyncio.sleep(2 * BULLETIN_EVERY_S)
        await self.hub.stop()
        await workspace
        return self.foreman.report()

    def conclusion(self, report: RunReport) -> str:
        """What each side has received."""
        results = ", ".join(_describe(result) for result in self.foreman.task_results)
        return (
            f"the observer read {self.observer.seen} of {self.hub.sent} bulletins; "
            f"the clerk noted {self.clerk.remark!r}; {results}; "
            f"pickles that the foreman dropped: {report.dropped.get('pickle', 0)}"
        )


def _describe(result: TaskResult) -> str:
    return f"task {result.task_id} by {result.worker}"


if __name__ == "__main__":
    perform(Embedded)
