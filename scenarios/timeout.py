"""Timeout: a worker hangs, its attempt is cancelled, and the task fails.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Worker as Worker (skill 5)

    Worker->>TM: Connect

    TM->>Worker: TaskAssignment(T1, timeout=10s)

    Note over TM: Start timeout timer
    Note over Worker: Stuck

    Note over TM: Timeout reached
    TM->>Worker: CancelTask(T1)

    Note over TM: T1 failed: timed out: after 10 s
    Note over TM: Worker success_rate = 0%

    TM->>Worker: Shutdown
```
"""

from __future__ import annotations

import asyncio

from ..agents.manager.task_manager import TaskManager
from ..agents.transport.ceylon_api import AgentDetail
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task, TaskAssignment, TaskResult
from .scenario import Scenario, perform


class StuckWorker(WorkerAgent):
    """A worker that never ends a task."""

    async def handle_task(
        self, data: TaskAssignment, time: int = 0, agent: AgentDetail | None = None
    ) -> TaskResult | bool | None:
        """Wait forever."""
        await asyncio.Event().wait()
        return True


class Timeout(Scenario):
    """A worker hangs; after ten seconds its attempt is cancelled, and the task fails."""

    def manager(self) -> TaskManager:
        """One task with a timeout of ten seconds."""
        task = Task(id=1, description="Wait for the courier", difficulty=5, timeout=10)
        return TaskManager(
            [task], expected_workers=1, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """One worker, which hangs."""
        return [StuckWorker("Worker", skill_level=5, time_scale=self.time_scale)]


if __name__ == "__main__":
    perform(Timeout)
