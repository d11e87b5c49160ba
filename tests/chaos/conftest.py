"""What the chaos tests share: processes, networks, seeds and a voice."""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .namespaces import why_not
from .processes import Processes

SEED_VARIABLE = "MUSTER_CHAOS_SEED"

Tell = Callable[[str], None]


def pause(seconds: float) -> None:
    """Let time pass between one fault and the next."""
    threading.Event().wait(seconds)


@pytest.fixture
def tell(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Tell:
    """Prints what happens, with the seconds since the test began, captured or not."""
    began_at = time.monotonic()
    with capsys.disabled():
        print(f"\n{request.node.name}")

    def say(what: str) -> None:
        with capsys.disabled():
            print(f"    {time.monotonic() - began_at:6.1f} s  {what}", flush=True)

    return say


@pytest.fixture
def chance(tell: Tell) -> random.Random:
    """Makes all random choices of a test, from a seed that is printed."""
    seed = int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(1_000_000))
    tell(f"seed {seed}; {SEED_VARIABLE}={seed} makes the same choices")
    return random.Random(seed)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as all_of_them:
        yield all_of_them


@pytest.fixture(scope="session")
def _reason_for_no_networks() -> str | None:
    return why_not()


@pytest.fixture
def needs_networks(_reason_for_no_networks: str | None) -> None:
    if _reason_for_no_networks is not None:
        pytest.skip(f"network namespaces can't be made here: {_reason_for_no_networks}")
