"""Real NATS servers on loopback, for tests and benchmarks; each has a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

START_TIMEOUT_S = 120.0
MISSING = "there is no nats-server here; Debian's package is called nats-server"


def find_nats_server() -> str:
    """The program, or a skipped test; in CI, and with `MUSTER_NATS_REQUIRED`, a failed one."""
    found = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        is_required = any(os.environ.get(name) for name in ("CI", "MUSTER_NATS_REQUIRED"))
        assert not is_required, MISSING
        pytest.skip(MISSING)
    return found


class NatsServer:
    """One server process.

    It keeps its port and its JetStream folder when it is started again after `stop` or `kill`.

    Args:
        folder: where it keeps everything; made if missing.
        jetstream: whether it has JetStream.
        config: further lines of its configuration file, such as `max_payload: 65536`.
        prefix: what the command begins with, such as `ip netns exec NAME`.
        host: the address that it listens on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jetstream: bool = True,
        config: str = "",
        prefix: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self._jetstream = jetstream
        self._config = config
        self._prefix = prefix
        self._host = host
        self.port = -1
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"nats://{self._host}:{self.port}"

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> NatsServer:
        """Start it, and wait until clients can connect."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        lines = [f'host: "{self._host}"', f"port: {self.port}", f'ports_file_dir: "{ports}"']
        lines += [f'log_file: "{self.folder / "server.log"}"', self._config]
        if self._jetstream:
            lines.append(f'jetstream {{ store_dir: "{self.folder / "jetstream"}" }}')
        config = self.folder / "server.conf"
        config.write_text("\n".join(lines), encoding="utf-8")
        command = [*self._prefix, find_nats_server(), "-c", str(config)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends_at = time.monotonic() + START_TIMEOUT_S
        while not self._is_listening(ports):
            assert self.process.poll() is None, f"nats-server did not start: {self.log}"
            assert time.monotonic() < ends_at, f"nats-server did not listen in time: {self.log}"
            time.sleep(0.02)
        return self

    def _is_listening(self, ports: Path) -> bool:
        """Whether it has told its port, and accepts connections there."""
        for file in ports.glob("*.ports"):
            try:
                urls = json.loads(file.read_text(encoding="utf-8"))["nats"]
            except (ValueError, KeyError):
                return False
            self.port = int(urls[0].rpartition(":")[2])
            if self._prefix:
                return True
            with socket.socket() as probe:
                return probe.connect_ex((self._host, self.port)) == 0
        return False

    def stop(self) -> None:
        """End it as an administrator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, signal_number: int) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            self.process.wait(START_TIMEOUT_S)
            self.process = None


@contextmanager
def running_nats_server(folder: Path, **options: object) -> Generator[NatsServer]:
    """A server that ends with the block."""
    server = NatsServer(folder, **options)  # type: ignore[arg-type]
    try:
        yield server.start()
    finally:
        server.kill()
