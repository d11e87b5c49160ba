"""All kinds of alarm that a board sets."""

from __future__ import annotations

from typing import TypeAlias

from .ahead import TakingBack
from .alarms import Alarms
from .expiry import Expiry
from .held_slots import HeldSlotWarning
from .members import Absence, Challenge, Quarantine, Roll, Silence
from .records import Attempt

BoardAlarms: TypeAlias = Alarms[
    Attempt
    | Silence
    | Absence
    | Challenge
    | Quarantine
    | TakingBack
    | Roll
    | Expiry
    | HeldSlotWarning
]
"""The alarms of one board."""
