"""`muster bench`: its figures, what it says to what it can't do, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., Any]
Start = Callable[..., Any]

FIGURES = {"throughput", "latency", "cold_start_s", "payload", "memory"}


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_all_figures_are_told_as_json_and_nothing_is_left_behind(
    start: Start, tmp_path: Path
) -> None:
    running = start("bench", "--tasks", 200, "--payload", "2kB", "--store", "run.db", "--json")
    ended = running.end(within_s=300)
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(ended.out)
    assert figures.keys() == {"conditions", *FIGURES}
    conditions = figures["conditions"]
    assert (conditions["workers"], conditions["slots"]) == (2, 64)
    assert (conditions["sealed"], conditions["store"]) == (True, "run.db")
    many = figures["throughput"]
    assert many["tasks"] == 200
    assert many["tasks_per_s"] == pytest.approx(200 / many["took_s"], rel=0.01)
    one = figures["latency"]
    assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["slowest_ms"]
    assert (figures["payload"]["size_bytes"], figures["payload"]["count"]) == (2_000, 20)
    assert figures["cold_start_s"] > 0
    # Python alone takes more than 5 MB, and what is done here no gigabyte.
    assert all(5e6 < peak < 1e9 for peak in figures["memory"].values())
    assert left_of(tmp_path) == []
    assert list((tmp_path / "scratch").iterdir()) == []
    assert start("status", "--store", "run.db").end().code == 0


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_ctrl_c_during_the_cold_start_ends_that_too(start: Start, tmp_path: Path) -> None:
    running = start("bench")
    running.wait_until(lambda: any("fresh_process" in each for each in left_of(tmp_path)))
    running.interrupt()
    ended = running.end()
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "muster: stopped before everything was measured\n"
    running.wait_until(lambda: left_of(tmp_path) == [])


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_ctrl_c_while_tasks_are_done_tells_what_was_measured_before(
    start: Start, tmp_path: Path
) -> None:
    running = start("bench", "--tasks", 1_000_000)
    # Those of the cold start may outlive it for a moment; the workers that are started second stay.
    seen_since: list[float] = []

    def are_second_workers_there() -> bool:
        left = left_of(tmp_path)
        if any("fresh_process" in each for each in left) or not any(
            "worker_process" in each for each in left
        ):
            seen_since.clear()
            return False
        seen_since.append(time.monotonic())
        return seen_since[-1] - seen_since[0] > 1.5

    running.wait_until(are_second_workers_there)
    running.interrupt()
    ended = running.end()
    assert ended.code == 1
    assert "Cold start" in ended.out
    assert "Many tasks" not in ended.out
    assert ended.err == "muster: stopped before everything was measured\n"
    running.wait_until(lambda: left_of(tmp_path) == [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--payload", "1XB"), "muster: '1XB' is no size; write a number and one of B, kB, MB"),
        (("--payload", "0"), "must be 1B or more"),
        (("--tasks", 0), "Invalid value for '--tasks'"),
        (("--workers", 0), "Invalid value for '--workers'"),
        (("--slots", -1), "Invalid value for '--slots'"),
        (("--port", 65_536), "Invalid value for '--port'"),
        (("--store", "."), "muster: the file '.' exists already"),
        (("--store", "nowhere/run.db"), "nowhere'; create it first"),
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_is(
    invoke: Invoke, arguments: tuple[object, ...], told: str
) -> None:
    ended = invoke("bench", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_a_store_that_exists_is_left_as_it_is(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "run.db").write_text("mine")
    ended = invoke("bench", "--store", "run.db")
    assert ended.code == 2
    assert "'run.db' exists already" in ended.err
    assert (tmp_path / "run.db").read_text() == "mine"


def test_a_port_in_use_is_told_before_anything_is_measured(invoke: Invoke) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        ended = invoke("bench", "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"muster: UDP port {port} is already in use")


def left_of(folder: Path) -> list[str]:
    """What runs of all that a command in this folder has started, whatever session it is in."""
    mark = f"TMPDIR={folder / 'scratch'}".encode()
    return [
        command
        for process, environment in _environments()
        if mark in environment.split(b"\0") and (command := _command_of(process))
    ]


def _environments() -> Iterator[tuple[Path, bytes]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield process, (process / "environ").read_bytes()


def _command_of(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_text().replace("\0", " ")
    return ""
