"""What tests have processes do. Each process loads this, so it loads little."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

MAY_TAKE_S = 180.0


def begin(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(3600)


def begin_deaf(path: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    begin(path)


def begin_with_a_child(path: str) -> None:
    # It holds open what it inherits.
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    begin(path)


def make_lock() -> Any:
    return threading.Lock()


def call(what: Any) -> Any:
    return what()


def exit_with_nine() -> None:
    os._exit(9)


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def fail() -> None:
    raise ValueError


kept: list[bytes] = []


def keep(megabytes: int) -> int:
    kept.append(b"x" * megabytes * 1_000_000)
    return os.getpid()


def hold(megabytes: int) -> None:
    keep(megabytes)
    time.sleep(3600)


def wait_for(path: str) -> str:
    deadline = time.monotonic() + MAY_TAKE_S
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return "undisturbed"
