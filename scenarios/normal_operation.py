"""Normal operation: two workers and two tasks, each within the skill of its worker.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Worker1 as Worker1 (skill 5)
    participant Worker2 as Worker2 (skill 8)

    par Connect
        Worker1->>TM: Connect
        Worker2->>TM: Connect
    end

    Note over TM: All workers connected

    par Task assignment
        TM->>Worker1: TaskAssignment(T1, difficulty=4)
        TM->>Worker2: TaskAssignment(T2, difficulty=7)
    end

    Note over Worker1: Processing (4 s)
    Note over Worker2: Processing (7 s)

    Worker1->>TM: TaskResult(T1, success=true)
    Worker2->>TM: TaskResult(T2, success=true)

    Note over TM: Final report

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


class NormalOperation(Scenario):
    """Two workers and two tasks, each within the skill of its worker."""

    def manager(self) -> TaskManager:
        """An easier and a harder task."""
        tasks = [
            Task(id=1, description="Clean the records", difficulty=4),
            Task(id=2, description="Fit the forecast", difficulty=7),
        ]
        return TaskManager(
            tasks, expected_workers=2, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """Two workers of skill 5 and 8."""
        return [
            WorkerAgent("Worker1", skill_level=5, time_scale=self.time_scale),
            WorkerAgent("Worker2", skill_level=8, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(NormalOperation)
