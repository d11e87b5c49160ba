"""Runs the command `muster`: inside this process, or as processes of its own."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import typer.main
from loguru import logger as ceylon_logger
from muster.agents.command import main

DEADLINE_S = 180

_commands_of = cache(typer.main.get_command)


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class Running:
    """A command that runs, and what it has printed so far."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def wait_for(self, text: str) -> str:
        """The first line, on stdout or stderr, that holds a text, as soon as it is there."""
        self.wait_until(
            lambda: self.process.poll() is not None or any(text in line for line in self.lines)
        )
        found = [line for line in self.lines if text in line]
        assert found, f"{text!r} did not come: {self.end()}"
        return found[0]

    @property
    def lines(self) -> list[str]:
        return [*self.out, *self.err]

    def wait_until(self, happens: Callable[[], bool]) -> None:
        """Wait for something that this process does."""
        deadline = time.monotonic() + DEADLINE_S
        while not happens():
            assert time.monotonic() < deadline, f"it did not happen; {self.out} {self.err}"
            # A real process: there is nothing to wait on.
            threading.Event().wait(0.01)

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Press Ctrl-C at its terminal: everyone in its process group hears it."""
        os.killpg(self.process.pid, number)

    def end(self, within_s: float = DEADLINE_S) -> Ended:
        """Wait for its end."""
        code = self.process.wait(within_s)
        for thread in self.readers:
            thread.join(within_s)
        return Ended(code, "".join(self.out), "".join(self.err))

    def __post_init__(self) -> None:
        self.readers = [
            threading.Thread(target=_read, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self.process.stdout, self.out),
                (self.process.stderr, self.err),
            )
            if stream is not None
        ]
        for thread in self.readers:
            thread.start()


def _read(stream: Iterator[str], lines: list[str]) -> None:
    lines.extend(stream)


@pytest.fixture
def invoke(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Ended]]:
    """Runs a command inside this process, in an empty folder; undoes what it sets up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    root, ours = logging.getLogger(), logging.getLogger("muster")
    handlers, root_level, our_level = list(root.handlers), root.level, ours.level
    thresholds = gc.get_threshold()
    # To build all commands takes longer than to run most of them, and they keep nothing of a call.
    monkeypatch.setattr(typer.main, "get_command", _commands_of)
    # What a test has made is not to stay for good.
    monkeypatch.setattr(gc, "freeze", lambda: None)

    def go(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ending:
            main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert isinstance(ending.value.code, int)
        return Ended(ending.value.code, captured.out, captured.err)

    yield go
    gc.set_threshold(*thresholds)
    root.handlers[:] = handlers
    root.setLevel(root_level)
    ours.setLevel(our_level)
    ceylon_logger.enable("ceylon")
    # A module of the user's has the same name in another test's folder.
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a command as a process and in a process group of its own, in an empty folder."""
    started: list[Running] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def go(*arguments: object, script: str = "", stdout: int = subprocess.PIPE) -> Running:
        how = [script] if script else ["-m", "muster.agents.command"]
        command = [sys.executable, *how, *map(str, arguments)]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(Running(process))
        return started[-1]

    yield go
    for running in started:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGKILL)
        running.end()
        for stream in (running.process.stdout, running.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def tasks_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tasks file of simulated tasks with these difficulties and ids from 1."""

    def write(*difficulties: int) -> Path:
        path = tmp_path / "tasks.jsonl"
        lines = [
            f'{{"id": {number}, "description": "Task {number}", "difficulty": {difficulty}}}\n'
            for number, difficulty in enumerate(difficulties, start=1)
        ]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    return write
