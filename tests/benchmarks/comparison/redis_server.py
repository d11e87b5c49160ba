"""A Redis server of one's own, in memory, on a free port, as long as it is needed."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from .competitors import REDIS_COMMAND

STARTING_MAY_TAKE_S = 10.0


@contextlib.contextmanager
def redis_server(environment: dict[str, str]) -> Iterator[str]:
    """Run a server; gives its URL.

    Args:
        environment: the server's environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [
                *(REDIS_COMMAND, "--port", str(port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", folder),
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_until_up(server, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _wait_until_up(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + STARTING_MAY_TAKE_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as line:
            line.sendall(b"PING\r\n")
            if line.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.02)
    raise RuntimeError(f"{REDIS_COMMAND} does not answer on port {port}")
