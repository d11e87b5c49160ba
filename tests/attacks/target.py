"""What an attack is tried on: a manager's process, its workers, and the figures that they give."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, Any]
"""What an attack told."""

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
START_DEADLINE_S = 60.0
RESET = struct.pack("ii", 1, 0)
"""A socket that lingers like this is reset when it is closed."""


class Target:
    """A manager's process under attack, with worker processes.

    Args:
        folder: for the ticket and the log.
        rate: how many tasks a second it is given.
        descriptors: its limit of open files; 0 leaves it as it is.
        page_host: the address of its live page.
        lost_after_s: after how many seconds of silence a worker is lost.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rate: float = 40.0,
        descriptors: int = 0,
        page_host: str = LOOPBACK,
        lost_after_s: float = 10.0,
    ) -> None:
        self.folder = folder
        self.page_host = page_host
        self.figures: list[dict[str, Any]] = []
        self.ports: dict[str, int] = {}
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (folder / "manager.log").open("wb")
        command = [
            sys.executable,
            str(HERE / "manager_process.py"),
            f"--folder={folder}",
            f"--rate={rate}",
            f"--descriptors={descriptors}",
            f"--page-host={page_host}",
            f"--lost-after={lost_after_s}",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        wait_until(
            lambda: "discovery" in self.ports and bool(self.figures), "the manager has begun"
        )

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if "at" in told:
                self.figures.append(told)
            else:
                self.ports.update(told)

    # ------------------------------------------------------------------ its workers

    def start_workers(self, name: str, agents: int, *options: str) -> subprocess.Popen[bytes]:
        """Start a process of workers; `end_workers` ends it."""
        command = [
            *(sys.executable, "-m", "muster.agents.command", "worker"),
            *("--join", str(self.folder / "ticket"), "--name", name, "--skill", "5"),
            *("--agents", str(agents), "--slots", "4", "--time-scale", "0.05", *options),
        ]
        log = (self.folder / "workers.log").open("ab")
        with log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self._workers[name] = process
        return process

    def work(self, agents: int) -> None:
        """Have so many workers at work, and wait until they are."""
        self.start_workers("steady", agents)
        self.wait_for_workers(agents)
        wait_until(lambda: self.last["done"] > 0, "the first task is done")

    def end_workers(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a process of workers, by its process id."""
        process = self._workers.pop(name)
        process.send_signal(how)
        process.wait(START_DEADLINE_S)

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many are connected."""
        wait_until(lambda: self.last["workers"] >= number, f"{number} workers are there")

    # ------------------------------------------------------------------ what it tells

    @property
    def last(self) -> dict[str, Any]:
        """The figures that it told last."""
        return self.figures[-1]

    @property
    def log_bytes(self) -> int:
        """How much it has logged."""
        return (self.folder / "manager.log").stat().st_size

    def measure(self, for_s: float) -> dict[str, float]:
        """Wait, and tell how it went meanwhile; longer where nothing is done in this time."""
        first = len(self.figures) - 1
        time.sleep(for_s)
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self.last["done"] > self.figures[first]["done"], "a task is done")
        told = self.figures[first:]
        if len(told) < 2:
            return {"tasks/s": 0.0, "descriptors": float(told[0]["descriptors"])}
        took_s = told[-1]["at"] - told[0]["at"]
        return {
            "tasks/s": round((told[-1]["done"] - told[0]["done"]) / took_s, 1),
            "cpu": round((told[-1]["cpu_s"] - told[0]["cpu_s"]) / took_s, 3),
            "descriptors": max(each["descriptors"] for each in told),
            "rss_mb": max(each["rss_mb"] for each in told),
            "threads": max(each["threads"] for each in told),
            "silent_s": round(max(b["at"] - a["at"] for a, b in itertools.pairwise(told)), 2),
        }

    def health(self, patience_s: float = START_DEADLINE_S) -> tuple[int, float]:
        """What /healthz answers, and after how long; 0 if it does not."""
        return ask(self.page_host, self.ports["page"], "/healthz", patience_s)

    def close(self) -> None:
        """End everything that was started."""
        for name in tuple(self._workers):
            self.end_workers(name)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(START_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reading.join(START_DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


@contextlib.contextmanager
def target(**options: Any) -> Iterator[Target]:
    """A manager's process, as long as it is entered; takes what `Target` takes."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        under_attack = Target(Path(folder), **options)
        try:
            yield under_attack
        finally:
            under_attack.close()


def try_out(manager: Target, attacking: AbstractContextManager[Any], *, quick: bool) -> Figures:
    """Tell how a run goes before, during and after an attack, and whether it is in health then."""
    calm_s, attack_s = (2.0, 4.0) if quick else (5.0, 20.0)
    before = manager.measure(calm_s)
    logged = manager.log_bytes
    with attacking as attack:
        time.sleep(0.5)
        answers = [manager.health()]
        during = manager.measure(attack_s)
        answers += [manager.health() for _ in range(3)]
        opened = getattr(attack, "opened", None)
    after_s = 2.0 if quick else 15.0
    time.sleep(after_s)
    after = manager.measure(calm_s)
    return {
        "before": before,
        "during": during,
        "after": after,
        "health": [status for status, _ in answers],
        "health_s": max(took_s for _, took_s in answers),
        "log_bytes": manager.log_bytes - logged,
        "opened": opened,
        "alive": manager.process.poll() is None,
    }


def ask(host: str, port: int, path: str, patience_s: float = 5.0) -> tuple[int, float]:
    """Ask by HTTP: the status, or 0 without an answer, and how long it took in seconds."""
    named = f"[{host}]" if ":" in host else host
    began_at = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://{named}:{port}{path}", timeout=patience_s) as answer:
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as fault:
        status = fault.code
    except OSError:
        status = 0
    return status, round(time.monotonic() - began_at, 3)


def connect(host: str, port: int, patience_s: float = 2.0) -> socket.socket | None:
    """A connection, or None if there is none to be had."""
    try:
        return socket.create_connection((host, port), timeout=patience_s)
    except OSError:
        return None


class Flood:
    """Connections that are opened in a thread and kept, and opened again when they are closed.

    It is bounded to loopback.

    Args:
        host: the address.
        port: the TCP port.
        number: how many to hold.
        first_bytes: what each says when it is open.
        then: said again each `every_s` seconds by each of them.
        every_s: how often.
        reads: whether it takes in what it is sent.
        resets: whether each is reset at once, in place of being kept.
    """

    def __init__(
        self,
        host: str,
        port: int,
        number: int,
        first_bytes: bytes = b"",
        then: bytes = b"",
        every_s: float = 0.5,
        reads: bool = True,
        resets: bool = False,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"{host} is not of this machine")
        self._address = (host, port)
        self._reads, self._resets = reads, resets
        self._number = number
        self._first_bytes, self._then, self._every_s = first_bytes, then, every_s
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self.opened = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in self._open:
            each.close()

    def again(self) -> AbstractContextManager[Flood]:
        """The same, which goes on already and is ended elsewhere."""
        return contextlib.nullcontext(self)

    def _run(self) -> None:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        said_at = time.monotonic()
        while not self._over.wait(0.02):
            while len(self._open) < self._number and not self._over.is_set():
                made = socket.socket(family)
                if not self._reads:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                if self._resets:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                made.settimeout(1)
                try:
                    made.connect(self._address)
                    made.sendall(self._first_bytes)
                except OSError:
                    made.close()
                    break
                self.opened += 1
                if self._resets:
                    made.close()
                    continue
                made.setblocking(False)
                self._open.append(made)
            if time.monotonic() - said_at > self._every_s:
                said_at = time.monotonic()
                self._open = [each for each in self._open if self._is_open(each)]

    def _is_open(self, each: socket.socket) -> bool:
        try:
            if self._reads and each.recv(65_536) == b"":
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            each.close()
            return False
        try:
            each.send(self._then)
        except BlockingIOError:
            return True
        except OSError:
            each.close()
            return False
        return True


def wait_until(happens: Any, what: str, within_s: float = START_DEADLINE_S) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it takes too long.
    """
    ends_at = time.monotonic() + within_s
    while not happens():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)


def show(attack: Callable[..., Figures]) -> None:
    """Run one attack, as its module is run, and print what it told."""
    told = attack(quick="--quick" in sys.argv[1:])
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
