"""Exports a manager's metrics to Prometheus, and its attempts to OpenTelemetry as spans.

The Prometheus part needs the extra `metrics`, the OpenTelemetry part the extra `otel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .exposition import (
        METRICS_CONTENT_TYPE as METRICS_CONTENT_TYPE,
        render_metrics as render_metrics,
        serve_metrics as serve_metrics,
    )

_MODULES = {
    ".exposition": ("METRICS_CONTENT_TYPE", "render_metrics", "serve_metrics"),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
