"""Workers, tasks and results for tests of scorecards."""

from __future__ import annotations

from typing import Any

from muster.agents.kernel.matching.learning_policy import SettledAttempt
from muster.agents.kernel.matching.scorecards.scorecards import Scorecards
from muster.agents.kernel.model.records import AttemptOutcome, WorkerRecord
from muster.messages import Task, WorkerProfile


def worker(name: str = "Ada", skill: int = 5, **fields: Any) -> WorkerRecord:
    profile = WorkerProfile(name, skill_level=skill, **fields)
    return WorkerRecord(profile, f"at {name}", "1", 1, 0.0, 0.0)


def task(difficulty: int = 5, task_type: str = "t", **fields: Any) -> Task:
    return Task(1, "a task", difficulty, type=task_type, **fields)


def attempt(by: WorkerRecord, of: Task, success: bool = True, **facts: Any) -> SettledAttempt:
    """An attempt that has ended; success or failure unless `outcome` says otherwise."""
    told: dict[str, Any] = {
        "attempt": 1,
        "outcome": AttemptOutcome.SUCCEEDED if success else AttemptOutcome.FAILED,
        "duration_s": 1.0,
        "error_kind": "" if success else "ValueError",
        "quality": None,
        "cost": 0.0,
        "counts_as_skill": True,
        "at": 0.0,
    }
    return SettledAttempt(task=of, worker=by, **{**told, **facts})


def learned(*results: SettledAttempt, scorecards: Scorecards | None = None) -> Scorecards:
    """Scorecards that have taken results one by one."""
    scorecards = scorecards or Scorecards()
    for each in results:
        scorecards.learn(each)
        scorecards.settle()
    return scorecards
