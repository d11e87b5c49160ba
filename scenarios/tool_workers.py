"""Tool workers: two MCP servers do the work that a clerk splits orders into.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Clerk as Clerk (skill 5)
    participant Stock as Stock (skill 5)
    participant Ledger as Ledger (skill 5)

    par Connect
        Clerk->>TM: Connect
        Stock->>TM: Connect
        Ledger->>TM: Connect
    end
    loop Mira's order, and then Jon's
        TM->>Clerk: TaskAssignment(order)
        Note over Clerk: waits for each tool without holding its slot
        TM->>Stock: TaskAssignment(stock.find)
        Stock->>TM: TaskResult(stock.find, success=true)
        TM->>Stock: TaskAssignment(stock.weigh_out)
        Stock->>TM: TaskResult(stock.weigh_out, success=true)
        TM->>Ledger: TaskAssignment(ledger.quote)
        Ledger->>TM: TaskResult(ledger.quote, success=true)
        TM->>Ledger: TaskAssignment(ledger.book)
        Ledger->>TM: TaskResult(ledger.book, success=true)
        Clerk->>TM: TaskResult(order, success=true)
    end
    Note over TM: Success rate: 100%
    par Shut down
        TM->>Clerk: Shutdown
        TM->>Stock: Shutdown
        TM->>Ledger: Shutdown
    end
```

Stock and Ledger are MCP servers, which know nothing of Muster: each of their tools is a type of
task, and arguments are checked against its JSON schema before they are sent. The clerk is an agent
of one's own that submits their calls as subtasks. Both customers want 250 g of a tea of which there
are 400 g, so the second gets the rest.

The servers ship with the scenario as `muster.scenarios.tea_tools` and speak over their stdin and
stdout, so it needs no network. It needs the extra `mcp`: `pip install 'ceylon-muster[mcp]'`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from typing_extensions import override

from ..agents.execution.handlers import Handlers, TaskContext
from ..agents.execution.marked_methods import task_method
from ..agents.manager.task_manager import TaskManager
from ..agents.mcp.handlers import McpHandlers
from ..agents.mcp.server import McpServer
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Task
from .scenario import ManagerSeen, Scenario, perform

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

WANTED_GRAMS = 250
TEA = "silver tips"
CUSTOMERS = ("Mira", "Jon")


class ShopClerk:
    """An agent that does orders with the tools of others."""

    @task_method
    async def order(self, customer: str, tea: str, grams: int, *, context: TaskContext) -> str:
        """Sell a customer some tea, or as much as there is of it."""
        sold = min(grams, await use(context, "stock.find", tea=tea))
        await use(context, "stock.weigh_out", tea=tea, grams=sold)
        cents = await use(context, "ledger.quote", tea=tea, grams=sold)
        number = await use(context, "ledger.book", customer=customer, cents=cents)
        return f"sale {number}: {sold} g of {tea} to {customer} for {cents / 100:.2f}"


async def use(context: TaskContext, tool: str, **arguments: str | int) -> int:
    """Have a tool called as a subtask, and give the number that it answers."""
    output = await context.submit(Task(type=tool, data=arguments))
    return int(cast("Mapping[str, int]", output)["result"])


class ToolWorkers(Scenario):
    """Two MCP servers as workers, and a clerk who uses their tools."""

    talks_over_sockets: ClassVar[bool] = True

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        self._stock = McpHandlers(_server("stock"))
        self._ledger = McpHandlers(_server("ledger"))

    @override
    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play it while both servers run.

        Raises:
            ExtraMissing: the extra `mcp` is not installed.
        """
        if processes:
            raise InvalidInput(
                "tool_workers can't be played with --processes: its servers belong to one process"
            )
        async with self._stock, self._ledger:
            return await super().play(seen=seen)

    @override
    def manager(self) -> TaskManager:
        """Two orders, one after the other."""
        first, second = (
            Task(
                id=customer,
                description=f"Tea for {customer}",
                type="order",
                data={"customer": customer, "tea": TEA, "grams": WANTED_GRAMS},
                depends_on=CUSTOMERS[:number],
            )
            for number, customer in enumerate(CUSTOMERS)
        )
        return TaskManager([first, second], expected_workers=3, port=0, quiet=True)

    @override
    def workers(self) -> list[WorkerAgent]:
        """The clerk, and a worker for each server."""
        return [
            WorkerAgent("Clerk", 5, handlers=Handlers.of(ShopClerk())),
            WorkerAgent("Stock", 5, handlers=self._stock),
            WorkerAgent("Ledger", 5, handlers=self._ledger),
        ]

    @override
    def conclusion(self, report: RunReport) -> str:
        """What was sold."""
        sold = [task for task in report.tasks if task.type == "order"]
        return "\n".join(str(task.output or task.error_message) for task in sold)


def _server(name: str) -> McpServer:
    command = shlex.join([sys.executable, "-m", "muster.scenarios.tea_tools", name])
    return McpServer(command, prefix=f"{name}.")


if __name__ == "__main__":
    perform(ToolWorkers)
