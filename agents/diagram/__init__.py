"""Draws runs as Mermaid diagrams, and checks diagrams against runs; all of it is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .checking import Mismatch as Mismatch, Verdict as Verdict, check_diagram as check_diagram
    from .documents import FoundDiagram as FoundDiagram, find_diagrams as find_diagrams
    from .flowchart import write_flowchart as write_flowchart
    from .gantt import write_gantt as write_gantt
    from .sequence_model import SequenceDiagram as SequenceDiagram
    from .sequence_of_run import (
        DEFAULT_MAX_MESSAGES as DEFAULT_MAX_MESSAGES,
        tell_as_sequence as tell_as_sequence,
    )
    from .sequence_syntax import read_sequence as read_sequence
    from .sequence_writer import write_sequence as write_sequence

_MODULES = {
    ".checking": ("Mismatch", "Verdict", "check_diagram"),
    ".documents": ("FoundDiagram", "find_diagrams"),
    ".flowchart": ("write_flowchart",),
    ".gantt": ("write_gantt",),
    ".sequence_model": ("SequenceDiagram",),
    ".sequence_of_run": ("DEFAULT_MAX_MESSAGES", "tell_as_sequence"),
    ".sequence_syntax": ("read_sequence",),
    ".sequence_writer": ("write_sequence",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
