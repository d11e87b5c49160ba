"""Late worker: one of three workers never joins; after five seconds the run starts without it.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Junior as Junior (skill 3)
    participant Intermediate as Intermediate (skill 6)

    par Connect
        Junior->>TM: Connect
        Intermediate->>TM: Connect
    end

    Note over TM: Senior does not come within 5 s

    par Assign
        TM->>Intermediate: TaskAssignment(T2, difficulty=5)
        TM->>Junior: TaskAssignment(T1, difficulty=2)
    end
    Junior->>TM: TaskResult(T1, success=true)
    Intermediate->>TM: TaskResult(T2, success=true)

    par Shut down
        TM->>Junior: Shutdown
        TM->>Intermediate: Shutdown
    end
```

With the argument `fail` the run fails instead, with an error that names the missing worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ..agents.manager.task_manager import TaskManager
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Task
from .scenario import Scenario, perform


class LateWorker(Scenario):
    """One of three expected workers never joins; the run starts without it, or fails."""

    takes: ClassVar[str] = "start | fail: what to do without the missing worker (start)"

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        match self.arguments:
            case () | ("start",):
                self.on_missing: Literal["start", "fail"] = "start"
            case ("fail",):
                self.on_missing = "fail"
            case _:
                given = " ".join(self.arguments)
                raise InvalidInput(f"late_worker takes start or fail, not {given!r}")

    def manager(self) -> TaskManager:
        """Two tasks, three expected workers, and a join timeout of five seconds."""
        tasks = [
            Task(id=1, description="Sweep the yard", difficulty=2),
            Task(id=2, description="Mend the fence", difficulty=5),
        ]
        return TaskManager(
            tasks,
            expected_workers=["Junior", "Intermediate", "Senior"],
            port=0,
            # Joining over a real network takes some time, whatever the time scale is.
            join_timeout_s=max(self.seconds(5), 1.0),
            on_missing=self.on_missing,
            time_scale=self.time_scale,
            quiet=True,
        )

    def workers(self) -> list[WorkerAgent]:
        """Only two of the three."""
        return [
            WorkerAgent("Junior", skill_level=3, time_scale=self.time_scale),
            WorkerAgent("Intermediate", skill_level=6, time_scale=self.time_scale),
        ]


if __name__ == "__main__":
    perform(LateWorker)
