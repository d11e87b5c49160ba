"""How an attempt can end, and why a worker gets no more tasks."""

from __future__ import annotations

from enum import Enum


class AttemptOutcome(str, Enum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LOST = "lost"
    CANCELLED = "cancelled"
    OVERTAKEN = "overtaken"
    NOT_BEGUN = "not begun"
    DECLINED = "declined"
    POSTPONED = "postponed"
    """Its handler asked to be called again later."""
    REJECTED = "rejected"
    RETURNED = "returned"
    """Its worker left in order, and gave the task back unfinished."""


class Drain(str, Enum):
    """Why a worker gets no more tasks, and what it does once it has finished those it has."""

    LEAVES = "leaves"
    """The user wants it to leave."""
    STAYS = "stays"
    """The user wants it to stay, without tasks."""
    OWN = "own"
    """It said that it is about to leave."""
