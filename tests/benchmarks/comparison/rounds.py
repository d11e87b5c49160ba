"""One round of one competitor: a process of its own, with a time limit, and nothing left of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from muster.agents.bench.figures import payload_rate_of, percentile

from .competitors import Competitor
from .nats_server import nats_server
from .redis_server import redis_server

MARK_VARIABLE = "MUSTER_COMPARE_ROUND"
NATS_VARIABLE = "MUSTER_COMPARE_NATS"
REDIS_VARIABLE = "MUSTER_COMPARE_REDIS"
TAIL_CHARACTERS = 600
ENDING_MAY_TAKE_S = 15.0
MAY_HEED_SIGTERM_S = 3.0


@dataclass(frozen=True)
class RoundOrder:
    """What each competitor has to do in a round.

    Args:
        tasks: how many no-op tasks at once, one count after the other.
        samples: how many of them one at a time.
        payload_bytes: how large what is echoed is.
        payloads: how often; 0 leaves it out.
        warm_up_s: how long no-op tasks are done before anything is measured.
    """

    tasks: tuple[int, ...]
    samples: int
    payload_bytes: int
    payloads: int
    warm_up_s: float = 1.5


@dataclass
class Round:
    """What came of it.

    Args:
        competitor: whose round.
        number: which round, from 1.
        figures: what was measured, by the name of the figure.
        failure: why it did not come to its end; "" if it did.
    """

    competitor: str
    number: int
    figures: dict[str, float] = field(default_factory=dict[str, float])
    failure: str = ""


def play_round(
    competitor: Competitor, number: int, order: RoundOrder, *, python: str, limit_s: float
) -> Round:
    """Play one round.

    Args:
        competitor: who plays.
        number: which round.
        order: what it has to do.
        python: the Python that runs it.
        limit_s: after how many seconds it is ended.
    """
    played = Round(competitor.name, number)
    mark = secrets.token_hex(8)
    environment = {**os.environ, **competitor.environment, MARK_VARIABLE: mark}
    # Packages come compiled from pip; a checkout would be compiled anew in each process.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        with contextlib.ExitStack() as stack:
            if competitor.needs_redis:
                environment[REDIS_VARIABLE] = stack.enter_context(redis_server(environment))
            complaints = stack.enter_context(tempfile.TemporaryFile())
            if competitor.needs_nats:
                environment[NATS_VARIABLE] = stack.enter_context(nats_server())
            _play(played, competitor, order, python, environment, limit_s, complaints)
            if played.failure:
                complaints.seek(0)
                tail = complaints.read().decode(errors="replace").strip()[-TAIL_CHARACTERS:]
                played.failure += f": {tail}" if tail else ""
    except (OSError, RuntimeError) as fault:
        played.failure = str(fault)
    finally:
        end_all(mark)
    return played


def _play(
    played: Round,
    competitor: Competitor,
    order: RoundOrder,
    python: str,
    environment: dict[str, str],
    limit_s: float,
    complaints: IO[bytes],
) -> None:
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, str(competitor.path), json.dumps(asdict(order))],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        start_new_session=True,
    )
    timed_out = threading.Event()

    def end() -> None:
        timed_out.set()
        end_all(environment[MARK_VARIABLE])

    limit = threading.Timer(limit_s, end)
    limit.start()
    has_ended = False
    try:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                told = json.loads(line)
                if told.get("first_result"):
                    played.figures["cold_start_s"] = round(time.perf_counter() - began, 4)
                has_ended = bool(told.get("ended"))
                played.figures |= figures_of(told, order)
        process.wait(ENDING_MAY_TAKE_S)
    except subprocess.TimeoutExpired:
        played.failure = f"did not end within {ENDING_MAY_TAKE_S:g} s of its last word"
    finally:
        limit.cancel()
        if process.poll() is None:
            end_all(environment[MARK_VARIABLE])
            process.wait()
    if timed_out.is_set():
        played.failure = f"was ended after {limit_s:g} s"
    elif not has_ended and not played.failure:
        played.failure = f"ended with code {process.returncode}"


def figures_of(told: dict[str, Any], order: RoundOrder) -> dict[str, float]:
    """The figures that a line of a peer's comes to."""
    if "many" in told:
        return {f"tasks_per_s_{told['many']}": round(told["many"] / told["took_s"], 1)}
    if "one_s" in told:
        return {
            "p50_ms": round(1e3 * percentile(told["one_s"], 50), 3),
            "p99_ms": round(1e3 * percentile(told["one_s"], 99), 3),
        }
    if "echo_s" in told:
        rate = payload_rate_of(order.payload_bytes, order.payloads, told["echo_s"])
        return {"echo_mb_per_s": rate.mb_per_s}
    return {}


def end_all(mark: str) -> None:
    """End every process of a round, whoever started it and in whichever session it is.

    Ray and dask start processes that outlive a parent which is killed; what all have in common is
    the environment that they have inherited.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + MAY_HEED_SIGTERM_S
        for process_id in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)
        while time.monotonic() < deadline and any(marked(mark)):
            time.sleep(0.02)


def marked(mark: str) -> Iterator[int]:
    """The processes whose environment bears the mark of a round, but not this one, nor zombies."""
    wanted = f"{MARK_VARIABLE}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
