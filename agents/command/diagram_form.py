"""The kinds of diagram that `muster diagram` draws; loaded without the drawing code."""

from __future__ import annotations

from enum import Enum


class DiagramForm(str, Enum):
    """A kind of diagram."""

    SEQUENCE = "sequence"
    GANTT = "gantt"
    FLOWCHART = "flowchart"
