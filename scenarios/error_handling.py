"""Error handling: a worker fails a task beyond its skill, which its statistics show.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Worker1 as Worker1 (skill 3)
    participant Worker2 as Worker2 (skill 7)

    par Connect
        Worker1->>TM: Connect
        Worker2->>TM: Connect
    end

    TM->>Worker1: TaskAssignment(T1, difficulty=6)
    TM->>Worker2: TaskAssignment(T2, difficulty=4)

    Note over Worker1: Too difficult
    Note over Worker2: Processing

    Worker2->>TM: TaskResult(T2, success=true)
    Worker1->>TM: TaskResult(T1, success=false)

    Note over TM: Worker1 success_rate = 0%
    Note over TM: Worker2 success_rate = 100%

    par Shut down
        TM->>Worker1: Shutdown
        TM->>Worker2: Shutdown
    end
```
"""

from __future__ import annotations

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task
from .scenario import Scenario, perform


class ErrorHandling(Scenario):
    """A worker fails a task beyond its skill, which its statistics show."""

    def manager(self) -> TaskManager:
        """Two tasks, assigned to the workers in order."""
        tasks = [
            Task(id=1, description="Untangle the ledgers", difficulty=6),
            Task(id=2, description="Sort the receipts", difficulty=4),
        ]
        return TaskManager(
            tasks,
            expected_workers=["Worker1", "Worker2"],
            port=0,
            policy="in_order",
            time_scale=self.time_scale,
            quiet=True,
        )

    def workers(self) -> list[WorkerAgent]:
        """Two workers of skill 3 and 7."""
        return [
            WorkerAgent("Worker1", skill_level=3, time_scale=self.time_scale),
            WorkerAgent("Worker2", skill_level=7, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(ErrorHandling)
