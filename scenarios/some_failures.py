"""Some fail: tasks are assigned in order, the most difficult one to the junior.

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

    TM->>Junior: TaskAssignment(T3, difficulty=8)
    TM->>Intermediate: TaskAssignment(T2, difficulty=5)
    TM->>Senior: TaskAssignment(T1, difficulty=2)

    Note over Junior: too difficult: skill 3 is below difficulty 8

    Senior->>TM: TaskResult(T1, success=true)
    Intermediate->>TM: TaskResult(T2, success=true)
    Junior->>TM: TaskResult(T3, success=false)

    Note over TM: Success rate: 66.67%

    par Shut down
        TM-->>Junior: Shutdown
        TM-->>Intermediate: Shutdown
        TM-->>Senior: Shutdown
    end
```

The tutorial's diagram has the results in the order of the workers. In fact they come in the order
in which the tasks end, after 2, 5 and 8 seconds.
"""

from __future__ import annotations

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task
from .scenario import Scenario, perform


class SomeFailures(Scenario):
    """Tasks are assigned in order, the most difficult one to the junior, which fails it."""

    def manager(self) -> TaskManager:
        """Three tasks, the most difficult first, assigned to the workers in order."""
        tasks = [
            Task(id=3, description="ML model training", difficulty=8),
            Task(id=2, description="Data analysis", difficulty=5),
            Task(id=1, description="Simple calculation", difficulty=2),
        ]
        return TaskManager(
            tasks,
            expected_workers=["Junior", "Intermediate", "Senior"],
            port=0,
            policy="in_order",
            time_scale=self.time_scale,
            quiet=True,
        )

    def workers(self) -> list[WorkerAgent]:
        """A junior, an intermediate and a senior."""
        return [
            WorkerAgent("Junior", skill_level=3, time_scale=self.time_scale),
            WorkerAgent("Intermediate", skill_level=6, time_scale=self.time_scale),
            WorkerAgent("Senior", skill_level=9, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(SomeFailures)
