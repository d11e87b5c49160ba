"""Priorities: one worker, four tasks, the most urgent first.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Worker as Worker (skill 9)

    Worker->>TM: Connect

    TM->>Worker: TaskAssignment(T3, priority=8)
    Worker->>TM: TaskResult(T3, success=true)
    TM->>Worker: TaskAssignment(T2, priority=4)
    Worker->>TM: TaskResult(T2, success=true)
    Note over TM: T5 is added, more urgent than what still waits
    TM->>Worker: TaskAssignment(T5, priority=6)
    Worker->>TM: TaskResult(T5, success=true)
    TM->>Worker: TaskAssignment(T4, priority=2)
    Worker->>TM: TaskResult(T4, success=true)
    TM->>Worker: TaskAssignment(T1, priority=2)
    Worker->>TM: TaskResult(T1, success=true)

    TM->>Worker: Shutdown
```

T4 and T1 are equally urgent: the harder goes first. An urgent task is also done faster, since
`PriorityTask.get_processing_time()` is difficulty divided by priority.
"""

from __future__ import annotations

import asyncio

from ..agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import PriorityTask
from .scenario import Scenario, perform


class Priorities(Scenario):
    """One worker, four tasks and one that comes later: the most urgent goes first."""

    def manager(self) -> TaskManager:
        """Four tasks of different urgency."""
        tasks = [
            PriorityTask(id=1, description="Tidy the archive", difficulty=2, priority=2),
            PriorityTask(id=2, description="Answer the customer", difficulty=8, priority=4),
            PriorityTask(id=3, description="Stop the leak", difficulty=8, priority=8),
            PriorityTask(id=4, description="Order the spares", difficulty=6, priority=2),
        ]
        return TaskManager(
            tasks, expected_workers=1, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """One worker, able to do all of it."""
        return [WorkerAgent("Worker", skill_level=9, time_scale=self.time_scale)]

    async def direct(self, manager: TaskManager) -> None:
        """While the second task is done (from 1 s to 3 s), a new one comes in."""
        first_done = asyncio.Event()

        def note(occurrence: Occurrence) -> None:
            if occurrence.what is OccurrenceKind.TASK_COMPLETED:
                first_done.set()

        manager.watch(note)
        await first_done.wait()
        await asyncio.sleep(self.seconds(0.5))
        manager.add_task(
            PriorityTask(id=5, description="Call the plumber", difficulty=6, priority=6)
        )


if __name__ == "__main__":
    perform(Priorities)
