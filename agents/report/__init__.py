"""The final report of a run, and the formats it is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .file import write_report
    from .model import RunReport, TaskReport, WorkerReport
    from .text import render_summary, render_text

__all__ = [
    "RunReport",
    "TaskReport",
    "WorkerReport",
    "render_summary",
    "render_text",
    "write_report",
]

_MODULES = {
    "RunReport": ".model",
    "TaskReport": ".model",
    "WorkerReport": ".model",
    "render_summary": ".text",
    "render_text": ".text",
    "write_report": ".file",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
