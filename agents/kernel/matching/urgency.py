"""The urgency of waiting tasks: by the policy, with deadlines and priorities that age."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .policies import MatchingPolicy

if TYPE_CHECKING:
    from ..model.records import TaskRecord


class Urgency:
    """The urgency of waiting tasks.

    Args:
        policy: the matching policy. If it has a true attribute `puts_priority_first`, priorities
            age, and the earliest deadline comes first among equal priorities.
    """

    def __init__(self, policy: MatchingPolicy) -> None:
        self.puts_priority_first = bool(getattr(policy, "puts_priority_first", False))
        """Whether the first value of an urgency is the level of priority."""
        self.aging_s: float | None = None
        """A waiting task gains one level of priority each time this passes; None never."""
        self.time_scale = 1.0
        """The real duration of one second of a task's deadline, in seconds."""

    def of(self, policy: MatchingPolicy, record: TaskRecord) -> tuple[float, ...]:
        """A task's urgency; the task with the smallest value is assigned first."""
        task = record.task
        sequence = record.sequence if record.place is None else record.place
        urgency = policy.urgency(task, sequence)
        if not self.puts_priority_first:
            return urgency
        level = urgency[0]
        if self.aging_s is not None:
            # All waiting tasks age alike, so that only the time of adding makes a difference.
            level += record.added_at // self.aging_s
        limit_s = task.deadline
        due_at = math.inf if limit_s is None else record.added_at + limit_s * self.time_scale
        return (level, due_at, *urgency[1:])
