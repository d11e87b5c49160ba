"""Specialists: a specialty raises a worker's skill by two levels for tasks of that type.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Vera as Vera (skill 6, vision)
    participant Nils as Nils (skill 6, language)
    participant Gus as Gus (skill 7)

    par Connect
        Vera->>TM: Connect
        Nils->>TM: Connect
        Gus->>TM: Connect
    end

    Note over TM: All workers connected

    par Assign
        TM->>Vera: TaskAssignment(T1, type=vision, difficulty=8)
        TM->>Nils: TaskAssignment(T2, type=language, difficulty=7)
        TM->>Gus: TaskAssignment(T3, type=audio, difficulty=7)
    end

    Note over Vera: skill 6 + 2 >= difficulty 8
    Note over Nils: skill 6 + 2 >= difficulty 7

    par
        Nils->>TM: TaskResult(T2, success=true)
        Gus->>TM: TaskResult(T3, success=true)
    end
    Vera->>TM: TaskResult(T1, success=true)

    par Shut down
        TM->>Vera: Shutdown
        TM->>Nils: Shutdown
        TM->>Gus: Shutdown
    end
```
"""

from __future__ import annotations

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.specialized_worker import SpecializedWorker
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task
from .scenario import Scenario, perform


class Specialists(Scenario):
    """Tasks go to workers with a matching specialty, even above their basic skill."""

    def manager(self) -> TaskManager:
        """One task for each specialty, and one without a specialist."""
        tasks = [
            Task(id=1, description="Read the gauges", difficulty=8, type="vision"),
            Task(id=2, description="Translate the manual", difficulty=7, type="language"),
            Task(id=3, description="Clean the recording", difficulty=7, type="audio"),
        ]
        return TaskManager(
            tasks, expected_workers=3, port=0, time_scale=self.time_scale, quiet=True
        )

    def workers(self) -> list[WorkerAgent]:
        """Two specialists and a generalist."""
        return [
            SpecializedWorker("Vera", 6, ["vision"], time_scale=self.time_scale),
            SpecializedWorker("Nils", 6, ["language"], time_scale=self.time_scale),
            WorkerAgent("Gus", skill_level=7, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(Specialists)
