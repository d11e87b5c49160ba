"""Draws runs as Mermaid diagrams, and checks diagrams against runs; all of it is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .checking import Mismatch, Verdict, check_diagram
    from .documents import FoundDiagram, find_diagrams
    from .flowchart import write_flowchart
    from .gantt import write_gantt
    from .sequence_model import SequenceDiagram
    from .sequence_of_run import DEFAULT_MAX_MESSAGES, tell_as_sequence
    from .sequence_syntax import read_sequence
    from .sequence_writer import write_sequence

__all__ = [
    "DEFAULT_MAX_MESSAGES",
    "FoundDiagram",
    "Mismatch",
    "SequenceDiagram",
    "Verdict",
    "check_diagram",
    "find_diagrams",
    "read_sequence",
    "tell_as_sequence",
    "write_flowchart",
    "write_gantt",
    "write_sequence",
]

_MODULES = {
    "DEFAULT_MAX_MESSAGES": ".sequence_of_run",
    "FoundDiagram": ".documents",
    "Mismatch": ".checking",
    "SequenceDiagram": ".sequence_model",
    "Verdict": ".checking",
    "check_diagram": ".checking",
    "find_diagrams": ".documents",
    "read_sequence": ".sequence_syntax",
    "tell_as_sequence": ".sequence_of_run",
    "write_flowchart": ".flowchart",
    "write_gantt": ".gantt",
    "write_sequence": ".sequence_writer",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
