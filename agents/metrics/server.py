"""Serves `/metrics` to this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from prometheus_client import start_http_server

from ...messages import InvalidInput
from ..manager import TaskManager
from ..surroundings import LOOPBACK
from .rendering import registry_of


@contextlib.contextmanager
def serve_metrics(manager: TaskManager, port: int) -> Generator[str, None, None]:
    """Serve a manager's metrics on loopback, as long as this lasts.

    Args:
        manager: whose.
        port: the TCP port; 0 takes any free one.

    Yields:
        Where they are served, such as "http://127.0.0.1:9464/metrics".

    Raises:
        InvalidInput: the port can't be had.
    """
    try:
        server, thread = start_http_server(port, LOOPBACK, registry_of(manager))
    except OSError as fault:
        raise InvalidInput(
            f"the metrics can't be served on TCP port {port}: {fault.strerror}; stop what listens "
            "there, or choose another port (0 takes any free one)"
        ) from None
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
