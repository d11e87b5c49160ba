"""Renders a manager's metrics as Prometheus's text format, and serves them on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Generator
from importlib.util import find_spec
from typing import cast
from weakref import WeakKeyDictionary

from ...messages import ExtraMissing, InvalidInput

if find_spec("prometheus_client") is None:
    raise ExtraMissing("the metrics", ["prometheus_client"], "metrics")

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from ..manager.task_manager import TaskManager
from ..runtime.ports import LOOPBACK
from ..transport.connection_limits import ConnectionLimits, LimitedConnection, LimitedListener
from .collector import ManagerCollector
from .scrape import Application, Scrape

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `render_metrics` returns."""

LIMITS = ConnectionLimits(connections=16, ask_within_s=5.0, answer_within_s=30.0)

_registries: WeakKeyDictionary[TaskManager, CollectorRegistry] = WeakKeyDictionary()
_registries_lock = threading.Lock()


def render_metrics(manager: TaskManager) -> bytes:
    """Render a manager's metrics in Prometheus's text format; callable from any thread.

    Counting starts with the first call, so make it before the run.
    """
    return generate_latest(registry_of(manager))


def registry_of(manager: TaskManager) -> CollectorRegistry:
    """The registry of a manager's metrics; each manager has its own, apart from the global one."""
    with _registries_lock:
        registry = _registries.get(manager)
        if registry is None:
            registry = _registries[manager] = CollectorRegistry()
            registry.register(ManagerCollector(manager))
        return registry


@contextlib.contextmanager
def serve_metrics(manager: TaskManager, port: int) -> Generator[str, None, None]:
    """Serve a manager's metrics on loopback while the context lasts.

    One thread answers one request after the other.

    Args:
        manager: the manager.
        port: the TCP port; 0 takes any free one.

    Yields:
        The URL, such as "http://127.0.0.1:9464/metrics".

    Raises:
        InvalidInput: the port can't be opened.
    """
    try:
        listening = socket.create_server((LOOPBACK, port))
    except (OSError, OverflowError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise InvalidInput(
            f"the metrics can't be served on TCP port {port}: {reason}; stop the program that "
            "listens there, or choose another port (0 takes any free one)"
        ) from None
    actual_port: int = listening.getsockname()[1]
    application = cast("Application", prometheus_client.make_wsgi_app(registry_of(manager)))  # pyright: ignore[reportUnknownMemberType]
    server = _Server(listening, application)
    server.start()
    try:
        yield f"http://{LOOPBACK}:{actual_port}/metrics"
    finally:
        server.close()


class _Server:
    """A thread with its own event loop, so that a busy run can still be scraped.

    Args:
        listening: the listening socket, which the server closes at the end.
        application: the WSGI application that returns the metrics.
    """

    def __init__(self, listening: socket.socket, application: Application) -> None:
        self._listening = listening
        self._application = application
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="muster-metrics", daemon=True)

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop to serve, and wait for the thread."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        listener = LimitedListener(self._listening, "metrics", LIMITS, self._make_protocol)
        listener.start()
        await self._over.wait()
        await listener.close()

    def _make_protocol(self, connection: LimitedConnection) -> Scrape:
        return Scrape(connection, self._application)
