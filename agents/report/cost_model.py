"""What a report tells of costs: by model, and against always the strongest worker."""

from __future__ import annotations

from pydantic import BaseModel

from .report_part import REPORT_CONFIG, Cost, Count, Share


class ModelCost(BaseModel):
    """What attempts have used of one model."""

    model_config = REPORT_CONFIG

    attempts: Count
    """How many attempts have used it."""

    tokens_in: Count
    """How many tokens went in."""

    tokens_out: Count
    """How many tokens came out."""

    cost: Cost
    """What these attempts cost, in the run's unit."""


class SavingsReport(BaseModel):
    """What a run saved against having the strongest worker do every task: an estimate.

    The strongest worker is the one with the best chance of success by the results of the run, among
    those that may do a task. Where it was seen to try a task, its cost is known; the rest is
    expected from its other results.
    """

    model_config = REPORT_CONFIG

    tasks: Count
    """How many settled tasks are compared: the latest."""

    completed: Count
    """How many of them were completed."""

    cost: Cost
    """What they cost, without reviews."""

    workers: dict[str, str]
    """The strongest worker of each type of task."""

    strongest_completed: Count
    """How many the strongest would have completed."""

    strongest_cost: Cost
    """What they would have cost."""

    saved: float
    """The difference; below 0 if the run cost more."""

    uncertainty: Cost
    """By how much that may be wrong: half of what lies between the next two."""

    saved_from: float | None = None
    """What was saved at least: with `saved_to` an interval that holds the truth in 90 % of all
    runs, whichever worker really is the strongest; None in reports of older versions."""

    saved_to: float | None = None
    """What was saved at most."""

    certainty: Share | None = None
    """How certain it is that these workers are the strongest; None in reports of older versions."""

    seen_share: Share
    """The share of the strongest worker's attempts that were seen in the run."""
