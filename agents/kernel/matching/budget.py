"""The budget of a run: what is spent, and what running attempts are expected to cost."""

from __future__ import annotations

from ..model.records import WorkerRecord


class Budget:
    """What a run may cost, what it has cost, and what its running attempts will cost.

    A worker that costs nothing gets tasks whatever is spent.

    Args:
        limit: what all attempts together may cost; None for no limit.
        unit: the unit of costs, such as "USD".
    """

    __slots__ = ("limit", "reserved", "spent", "unit")

    def __init__(self, limit: float | None, unit: str) -> None:
        self.limit = limit
        self.unit = unit
        self.spent = 0.0
        """What all attempts have cost, including those of forgotten tasks."""
        self.reserved = 0.0
        """What the running attempts are expected to cost."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing of the budget is left."""
        return self.limit is not None and self.spent >= self.limit

    @property
    def unspent(self) -> float | None:
        """What is not spent yet, 0 or more; None for no limit."""
        return None if self.limit is None else max(self.limit - self.spent, 0.0)

    @property
    def is_committed(self) -> bool:
        """Whether nothing is left if the running attempts cost what is expected of them."""
        return self.limit is not None and self.spent + self.reserved >= self.limit

    @property
    def left(self) -> float | None:
        """What may still be spent besides what is reserved, 0 or more; None for no limit."""
        return None if self.limit is None else max(self.limit - self.spent - self.reserved, 0.0)

    def describe(self) -> str:
        """How much of the budget is spent, as text; there must be a limit."""
        assert self.limit is not None
        amount = f"the budget of {self.limit:.2f} {self.unit}"
        if self.is_spent:
            return f"{amount} is spent ({self.spent:.2f})"
        return (
            f"{amount} is committed ({self.spent:.2f} spent, {self.reserved:.2f} expected of "
            "running attempts)"
        )


def describe_rates(worker: WorkerRecord) -> str:
    """What a worker costs, such as "0.01/s" or "0.5 a task and 0.01/s"."""
    rates = [
        f"{worker.cost_per_task:g} a task" if worker.cost_per_task else "",
        f"{worker.cost_per_s:g}/s" if worker.cost_per_s else "",
    ]
    return " and ".join(filter(None, rates)) or "what its results say"
