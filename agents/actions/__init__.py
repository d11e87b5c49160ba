"""Background actions that run as tasks: downloads, reminders, health checks and searches.

The first argument of each action is its task, whose progress it sets. Each can be cancelled at any
time. They run as tasks of a `LocalTaskManager`, or as handlers of a `WorkerAgent`: see
`action_handlers`.
"""

from importlib.util import find_spec

from ...messages import ExtraMissing

if find_spec("httpx") is None:
    raise ExtraMissing("the background actions", ["httpx"], "web")

from .batch_search import QueryOutcome, SearchReport, batch_web_search
from .download import Download, download_file
from .for_workers import action_handlers
from .health_check import HealthCheck, HealthReport, periodic_health_check
from .progress import HasProgress
from .reminder import reminder_timer
from .search_engines import SearchEngine, SearchHit, SearxngEngine, WikipediaEngine

__all__ = [
    "Download",
    "HasProgress",
    "HealthCheck",
    "HealthReport",
    "QueryOutcome",
    "SearchEngine",
    "SearchHit",
    "SearchReport",
    "SearxngEngine",
    "WikipediaEngine",
    "action_handlers",
    "batch_web_search",
    "download_file",
    "periodic_health_check",
    "reminder_timer",
]
