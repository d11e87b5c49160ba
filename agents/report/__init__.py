"""The final report of a run, and the formats it is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .file import write_report as write_report
    from .model import (
        RunReport as RunReport,
        TaskReport as TaskReport,
        WorkerReport as WorkerReport,
    )
    from .text import render_summary as render_summary, render_text as render_text

_MODULES = {
    ".file": ("write_report",),
    ".model": ("RunReport", "TaskReport", "WorkerReport"),
    ".text": ("render_summary", "render_text"),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
