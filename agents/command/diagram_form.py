"""The forms in which `muster diagram` draws a run."""

from __future__ import annotations

from enum import Enum


class Form(str, Enum):
    """What a run can be drawn as."""

    SEQUENCE = "sequence"
    GANTT = "gantt"
    FLOWCHART = "flowchart"
