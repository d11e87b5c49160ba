"""Exports a manager's metrics to Prometheus, and its attempts to OpenTelemetry as spans.

The Prometheus part needs the extra `metrics`, the OpenTelemetry part the extra `otel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .exposition import METRICS_CONTENT_TYPE, render_metrics, serve_metrics

__all__ = [
    "METRICS_CONTENT_TYPE",
    "render_metrics",
    "serve_metrics",
]

_MODULES = {
    "METRICS_CONTENT_TYPE": ".exposition",
    "render_metrics": ".exposition",
    "serve_metrics": ".exposition",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
