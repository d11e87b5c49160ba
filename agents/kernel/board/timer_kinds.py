"""All kinds of timer that a board sets."""

from __future__ import annotations

from typing import TypeAlias

from ..model.records import Attempt
from .deadlines import Lateness
from .delays import DelayEnd
from .expiry import Expiry
from .held_slots import HeldSlotWarning
from .prefetch import PrefetchRecall
from .question_expiry import QuestionExpiry
from .retention_end import RetentionEnd
from .timers import TimerQueue
from .worker_registry import Absence, Challenge, Quarantine, Silence, StartBarrier

BoardTimers: TypeAlias = TimerQueue[
    Attempt
    | Silence
    | Absence
    | Challenge
    | Quarantine
    | PrefetchRecall
    | StartBarrier
    | Expiry
    | Lateness
    | DelayEnd
    | HeldSlotWarning
    | QuestionExpiry
    | RetentionEnd
]
"""The timers of one board."""
