"""Commands as processes that can be killed and started again, and are all gone at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

END_S = 60.0
"""How long a process that was asked to end may take."""

LOOK_EVERY_S = 0.05


class Process:
    """A command that runs now or ran before; all its starts write to the same two files.

    Args:
        name: what to call it when its story is told.
        command: the program and its arguments.
        folder: where it runs, and where its output goes.
        environment: variables besides those of this process.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        self._command = list(command)
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of its latest start."""
        assert self._running is not None, f"{self.name} was never started"
        return self._running.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        assert self._running is not None, f"{self.name} was never started"
        return self._running.poll()

    def start(self) -> None:
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._running = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # Ctrl-C in the terminal of the tests is theirs to deal with.
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it with SIGKILL, of which it hears nothing."""
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def terminate(self) -> None:
        """Ask it to end with SIGTERM, as a service manager does."""
        assert self._running is not None
        self._running.terminate()

    def end(self) -> None:
        """Ask it to end as Ctrl-C does, and kill it if it does not."""
        if self._running is None or self._running.poll() is not None:
            return
        self._running.send_signal(signal.SIGINT)
        try:
            self._running.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_lines(self, count: int = 6) -> str:
        """What it wrote last on stderr and stdout."""
        told = [f"{self.name}: {'runs' if self.code is None else f'ended with {self.code}'}"]
        for file in (self.err, self.out):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
            told += [f"    {file.suffix[1:]}: {line}" for line in lines]
        return "\n".join(told)


class Processes:
    """All processes of a test; those that still run at its end are killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[Process] = []

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Process:
        process = Process(name, command, self._folder, environment or {})
        process.start()
        self._processes.append(process)
        return process

    def last_lines(self) -> str:
        """What each of them wrote last."""
        return "\n".join(process.last_lines() for process in self._processes)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.code is None:
                process.kill()


def wait_until(happens: Callable[[], bool], within_s: float) -> bool:
    """Wait for something that other processes do; False if it takes too long."""
    deadline = time.monotonic() + within_s
    while not happens():
        if time.monotonic() >= deadline:
            return False
        # There is nothing to wait on.
        time.sleep(LOOK_EVERY_S)
    return True
