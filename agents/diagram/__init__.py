"""Diagrams of runs in Mermaid, and diagrams held against runs; all of it is pure."""

from .checking import Mismatch, Verdict, check_diagram
from .documents import Found, find_diagrams
from .flowchart import write_flowchart
from .gantt import write_gantt
from .sequence_model import SequenceDiagram
from .sequence_of_run import DEFAULT_MAX_MESSAGES, tell_as_sequence
from .sequence_syntax import read_sequence
from .sequence_writer import write_sequence

__all__ = [
    "DEFAULT_MAX_MESSAGES",
    "Found",
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
