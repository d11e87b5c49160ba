"""`--web`: a run of the command line is seen on a page, and the page ends with it, or lingers."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from muster.agents.command.web_page import add_default_web_port

Start = Callable[..., Any]


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        (["run", "all_well", "--web"], ["run", "all_well", "--web", "8080"]),
        (["run", "all_well", "--web", "9"], ["run", "all_well", "--web", "9"]),
        (["run", "word_count", "--web", "texts"], ["run", "word_count", "--web", "8080", "texts"]),
        (["manager", "--web", "--port", "0"], ["manager", "--web", "8080", "--port", "0"]),
        (["run", "x", "--", "--web"], ["run", "x", "--", "--web"]),
        (["run", "x", "--web=9"], ["run", "x", "--web=9"]),
        ([], []),
    ],
)
def test_web_alone_means_the_usual_port(given: list[str], filled: list[str]) -> None:
    assert add_default_web_port(given) == filled


def test_a_taken_port_ends_the_command_before_anything_runs(
    invoke: Callable[..., Any],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = invoke("run", "all_well", "--web", port)
    assert ended.code == 2
    assert f"TCP port {port} is already in use" in ended.err


def test_without_its_packages_the_page_names_the_extra(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    find_spec = util.find_spec
    for module in [name for name in sys.modules if name.startswith("muster.agents.live")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("muster.agents.live", raising=False)
    monkeypatch.setattr(
        util, "find_spec", lambda name, *more: None if name == "fastapi" else find_spec(name, *more)
    )
    ended = invoke("run", "all_well", "--web", 0)
    assert ended.code == 2
    assert "pip install 'ceylon-muster[live]'" in ended.err


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_the_page_lingers_after_the_run_until_it_is_interrupted(start: Start) -> None:
    running = start("run", "all_well", "--time-scale", "0.02", "--web", 0, "--web-linger", 60)
    line = running.wait_for("available for 60 s")
    url = line.split()[2]
    with urllib.request.urlopen(f"{url}api/stats", timeout=60) as answer:
        stats = json.load(answer)
    assert (stats["state"], stats["counts"]["completed"]) == ("finished", 3)
    running.interrupt(signal.SIGINT)
    ended = running.end()
    assert ended.code == 0
    assert "3 of 3 tasks succeeded" in ended.out
    assert ended.err == ""


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_elsewhere_than_at_a_terminal_the_page_ends_with_the_run(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"id": 1, "description": "x"}\n')
    options = ("--workers", 1, "--port", 0, "--ticket-file", "ticket", "--web", 0, "--json")
    manager = start("manager", "--tasks", "tasks.jsonl", *options)
    manager.wait_for("live page: http://127.0.0.1:")
    start("worker", "--join", "ticket", "--name", "Ada", "--skill", 5, "--time-scale", 0.02)
    ended = manager.end()
    assert ended.code == 0
    assert json.loads(ended.out)["success_rate"] == 1.0
