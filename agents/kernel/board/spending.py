"""What attempts cost: charges them, reserves what running ones are expected to cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ....messages import Payload, TaskResult
from ....messages.usage import ModelUsage
from ..model.duration_estimate import DurationEstimate
from ..model.occurrences import ChargeFacts, OccurrenceKind
from ..model.records import Attempt, AttemptOutcome, TaskRecord, WorkerRecord
from ..model.suspension import worked_s
from .context import BoardContext
from .cost_sums import CostSums

MAX_COST = 1e12
"""The maximum cost of an attempt, so that no worker can make the sum infinite."""

MAX_UNITS = 20
"""How many other units than the run's are summed up; costs in further ones are dropped."""

MAX_MODELS = 100
"""How many models are told apart; what further ones are used for is summed up."""

OTHER_MODELS = "other models"

NO_SUMS: Mapping[str, Payload] = MappingProxyType({})


@dataclass(slots=True)
class ModelSum:
    """What attempts have used of one model.

    Args:
        attempts: how many have used it.
        tokens_in: how many tokens went in.
        tokens_out: how many tokens came out.
        cost: what the attempts cost, in the run's unit.
    """

    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def add(self, usage: ModelUsage, cost: float) -> None:
        """Add what one attempt has used."""
        self.attempts += 1
        self.tokens_in += usage.tokens_in
        self.tokens_out += usage.tokens_out
        self.cost += cost


class Spending:
    """Charges attempts and keeps the budget up to date.

    An attempt costs what its result says. If the result says nothing, or names another unit than
    the run's, it costs what its worker's rates make of its duration.
    """

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self._queue = context.queue
        self.budget = context.queue.budget
        self.on_forgotten = 0.0
        """What the attempts of forgotten tasks have cost."""
        self.in_other_units: dict[str, float] = {}
        """What was reported in other units than the run's, by unit; no budget counts it."""
        self.by_model: dict[str, ModelSum] = {}
        """What the attempts have used of each model, without those of a run before a resumed one
        whose tasks are forgotten."""
        self.sums = CostSums()
        """What all attempts have cost, by type and day."""
        self.forgotten_sums = CostSums()
        """The same of the attempts of forgotten tasks."""
        self._reserving = 0

    # ------------------------------------------------------------------ one attempt

    def reserve(self, attempt: Attempt, duration: DurationEstimate | None) -> None:
        """Reserve what an attempt is expected to cost; called when it is assigned.

        Args:
            attempt: the attempt.
            duration: the estimate for such tasks; None for none.
        """
        if self.budget.limit is not None and attempt.worker.is_paid:
            attempt.reserved = _expected_cost(attempt, duration)
            self._reserving += attempt.reserved > 0
            self.budget.reserved += attempt.reserved
            self._queue.follow_budget()

    def note_result(self, attempt: Attempt, result: TaskResult) -> None:
        """Charge an attempt by its worker's report; called once for each attempt, also late."""
        attempt.quality, attempt.usage = result.quality, result.usage
        worker = attempt.worker
        if result.cost is not None or worker.cost_per_s or worker.cost_per_task or attempt.cost:
            self._charge_for_result(attempt, result)
        if attempt.usage is not None:
            self._add_usage(attempt.usage, attempt.cost)

    def _charge_for_result(self, attempt: Attempt, result: TaskResult) -> None:
        worker, cost = attempt.worker, result.cost
        unit = self.budget.unit
        if cost is not None and result.cost_unit not in ("", unit):
            self._note_other_unit(attempt, cost, result.cost_unit)
            cost = None
        if cost is None:
            # A declined task uses no attempt, so only the time costs.
            fee = 0.0 if result.declined else worker.cost_per_task
            cost = fee + worker.cost_per_s * result.execution_time
        before = attempt.cost
        self._charge(attempt, cost)
        if attempt.outcome is not None and attempt.cost != before:
            self._note(attempt, ChargeFacts(attempt.cost, unit, is_counted=True))

    def end(self, attempt: Attempt, outcome: AttemptOutcome) -> None:
        """Charge an attempt whose worker has not reported its end, and release its reserve.

        Args:
            attempt: the attempt.
            outcome: how it ends; one that has not begun costs nothing.
        """
        worker = attempt.worker
        has_begun = not attempt.is_prefetched and outcome is not AttemptOutcome.NOT_BEGUN
        if has_begun and not attempt.is_reported and (worker.cost_per_s or worker.cost_per_task):
            took_s = max(worked_s(attempt, self._context.now), 0.0)
            self._charge(attempt, worker.cost_per_task + worker.cost_per_s * took_s)
        self.release(attempt)

    def release(self, attempt: Attempt) -> None:
        """Release the reserve of an attempt: it has ended, or it waits and costs nothing."""
        if attempt.reserved:
            budget = self.budget
            self._reserving -= 1
            # Sums of floats drift, so the sum is reset to 0 with the last attempt.
            budget.reserved = budget.reserved - attempt.reserved if self._reserving else 0.0
            attempt.reserved = 0.0
            self._queue.follow_budget()

    def _charge(self, attempt: Attempt, cost: float) -> None:
        worker, was_paid = attempt.worker, attempt.worker.is_paid
        cost = min(cost, MAX_COST)
        more = cost - attempt.cost
        attempt.cost = cost
        worker.stats.cost = max(worker.stats.cost + more, 0.0)
        self.budget.spent = max(self.budget.spent + more, 0.0)
        if more:
            self.sums.add(attempt.task.task.type, self._context.now, more)
        self._queue.follow_budget(has_new_costs=worker.is_paid is not was_paid)

    def _add_usage(self, usage: ModelUsage, cost: float) -> None:
        sums = self.by_model
        model = usage.model if usage.model in sums or len(sums) < MAX_MODELS else OTHER_MODELS
        if model not in sums:
            sums[model] = ModelSum()
        sums[model].add(usage, cost)

    def _note_other_unit(self, attempt: Attempt, cost: float, unit: str) -> None:
        sums = self.in_other_units
        if unit in sums or len(sums) < MAX_UNITS:
            sums[unit] = min(sums.get(unit, 0.0) + cost, MAX_COST)
        self._note(attempt, ChargeFacts(cost, unit, is_counted=False))

    def _note(self, attempt: Attempt, facts: ChargeFacts) -> None:
        self._context.note_task(
            OccurrenceKind.ATTEMPT_CHARGED,
            attempt.task,
            attempt.number,
            attempt.worker.name,
            facts,
        )

    # ------------------------------------------------------------------ the run

    def change_limit(self, limit: float | None, unit: str) -> None:
        """Set what the run may cost, and the unit of costs."""
        self.budget.limit, self.budget.unit = limit, unit
        for worker in self._queue.workers:
            self._queue.update_load(worker)
        self._queue.follow_budget()

    def forget(self, record: TaskRecord) -> None:
        """Keep what the attempts of a forgotten task have cost."""
        for attempt in record.attempts:
            if attempt.cost:
                self.on_forgotten += attempt.cost
                self.forgotten_sums.add(record.task.type, _charged_at(attempt), attempt.cost)

    def restore(
        self,
        attempts: list[Attempt],
        on_forgotten: float,
        forgotten_sums: Mapping[str, Payload] = NO_SUMS,
    ) -> None:
        """Sum up what the attempts of a restored run have cost.

        Args:
            attempts: all attempts.
            on_forgotten: what those of forgotten tasks have cost.
            forgotten_sums: the same by type and day, as `CostSums.export` returns it.
        """
        self.on_forgotten = on_forgotten
        self.forgotten_sums = CostSums.restore(forgotten_sums)
        self.sums.merge(self.forgotten_sums)
        self.budget.spent = on_forgotten + math.fsum(attempt.cost for attempt in attempts)
        for attempt in attempts:
            if attempt.outcome is None and attempt.suspended_at is None:
                self.reserve(attempt, None)
            if attempt.usage is not None:
                self._add_usage(attempt.usage, attempt.cost)
            if attempt.cost:
                self.sums.add(attempt.task.task.type, _charged_at(attempt), attempt.cost)
        self._queue.follow_budget()


def _charged_at(attempt: Attempt) -> float:
    return attempt.started_at if attempt.ended_at is None else attempt.ended_at


def _expected_cost(attempt: Attempt, duration: DurationEstimate | None) -> float:
    """What an attempt will probably cost.

    Where no duration is known, the worker's mean counts, and then the attempt's timeout. Where
    there is none either, only the price per task is expected.
    """
    worker = attempt.worker
    expected_s = math.inf if duration is None else duration.expected_s
    if expected_s == math.inf:
        expected_s = _mean(worker, worker.stats.total_time)
        if not expected_s and attempt.deadline is not None:
            expected_s = max(attempt.deadline - attempt.started_at, 0.0)
    by_rates = worker.cost_per_task + worker.cost_per_s * expected_s
    return min(max(by_rates, _mean(worker, worker.stats.cost)), MAX_COST)


def _mean(worker: WorkerRecord, total: float) -> float:
    count = worker.stats.completed_tasks
    return total / count if count else 0.0
