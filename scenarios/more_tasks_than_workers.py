"""More tasks than workers: six tasks share two workers, and waiting tasks start as slots free up.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Junior as Junior (skill 3)
    participant Senior as Senior (skill 9)

    par Connect
        Junior->>TM: Connect
        Senior->>TM: Connect
    end

    par Assign
        TM->>Senior: TaskAssignment(T6, difficulty=9)
        TM->>Junior: TaskAssignment(T3, difficulty=3)
    end
    Note over TM: T1, T2, T4, T5 wait
    Junior->>TM: TaskResult(T3, success=true)
    TM->>Junior: TaskAssignment(T2, difficulty=2)
    Junior->>TM: TaskResult(T2, success=true)
    TM->>Junior: TaskAssignment(T1, difficulty=1)
    Junior->>TM: TaskResult(T1, success=true)
    Note over Junior: idle: what is left is beyond skill 3
    Senior->>TM: TaskResult(T6, success=true)
    TM->>Senior: TaskAssignment(T5, difficulty=7)
    Senior->>TM: TaskResult(T5, success=true)
    TM->>Senior: TaskAssignment(T4, difficulty=5)
    Senior->>TM: TaskResult(T4, success=true)

    par Shut down
        TM->>Junior: Shutdown
        TM->>Senior: Shutdown
    end
```
"""

from __future__ import annotations

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task
from .scenario import Scenario, perform


class MoreTasksThanWorkers(Scenario):
    """Six tasks share two workers; waiting tasks start as slots free up."""

    def manager(self) -> TaskManager:
        """Six tasks of rising difficulty."""
        difficulties = (1, 2, 3, 5, 7, 9)
        tasks = [
            Task(id=number, description=f"Shift {number}", difficulty=difficulty)
            for number, difficulty in enumerate(difficulties, start=1)
        ]
        return TaskManager(
            tasks, expected_workers=2, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """A junior and a senior."""
        return [
            WorkerAgent("Junior", skill_level=3, time_scale=self.time_scale),
            WorkerAgent("Senior", skill_level=9, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(MoreTasksThanWorkers)
