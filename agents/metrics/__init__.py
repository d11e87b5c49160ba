"""What Prometheus is told of a manager's run; its package comes with the extra `metrics`."""

from importlib.util import find_spec

from ...messages import ExtraMissing

if find_spec("prometheus_client") is None:
    raise ExtraMissing("the metrics", ["prometheus_client"], "metrics")

from .exposition import serve_metrics
from .rendering import METRICS_CONTENT_TYPE, render_metrics

__all__ = ["METRICS_CONTENT_TYPE", "render_metrics", "serve_metrics"]
