"""All well: three tasks and three workers; each worker gets the task that matches its skill.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Junior as Junior (skill 3)
    participant Intermediate as Intermediate (skill 6)
    participant Senior as Senior (skill 9)

    par Connect
        Junior-->>TM: Connect
        Intermediate-->>TM: Connect
        Senior-->>TM: Connect
    end

    Note over TM: All workers connected

    par Assign
        TM->>Junior: TaskAssignment(T1, difficulty=2)
        TM->>Intermediate: TaskAssignment(T2, difficulty=5)
        TM->>Senior: TaskAssignment(T3, difficulty=8)
    end

    Note over Junior: T1 takes 2 s
    Note over Intermediate: T2 takes 5 s
    Note over Senior: T3 takes 8 s

    Junior->>TM: TaskResult(T1, success=true)
    Intermediate->>TM: TaskResult(T2, success=true)
    Senior->>TM: TaskResult(T3, success=true)

    Note over TM: Success rate: 100.00%

    par Shut down
        TM-->>Junior: Shutdown
        TM-->>Intermediate: Shutdown
        TM-->>Senior: Shutdown
    end
```
"""

from __future__ import annotations

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task
from .scenario import Scenario, perform


class AllWell(Scenario):
    """Three tasks and three workers; each worker gets the task that matches its skill."""

    def manager(self) -> TaskManager:
        """Three tasks, from simple to hard."""
        tasks = [
            Task(id=1, description="Simple calculation", difficulty=2),
            Task(id=2, description="Data analysis", difficulty=5),
            Task(id=3, description="ML model training", difficulty=8),
        ]
        return TaskManager(
            tasks, expected_workers=3, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """A junior, an intermediate and a senior."""
        return [
            WorkerAgent("Junior", skill_level=3, time_scale=self.time_scale),
            WorkerAgent("Intermediate", skill_level=6, time_scale=self.time_scale),
            WorkerAgent("Senior", skill_level=9, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(AllWell)
