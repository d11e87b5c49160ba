"""`muster handover`, `muster mcp` and `muster worker --mcp` say in one line what is wrong."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from muster.agents.runtime.ports import claim_port
from muster.agents.security.ticket import Ticket
from muster.agents.store.sqlite import SqliteStore

Invoke = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    held = SqliteStore(tmp_path / "run.db")
    yield held
    held.close()


def told(ended: Any, *words: str) -> None:
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    for each in words:
        assert each in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give exactly one of --store and --join"),
        (("--store", "run.db", "--join", "ticket"), "give exactly one of --store and --join"),
        (("--store", "run.db"), "no manager leads the run in 'run.db'"),
        (("--store", "nats://127.0.0.1:1/run"), "check that it runs"),
        (("--store", "nats://127.0.0.1:1"), "can't name a store in JetStream"),
    ],
)
def test_a_handover_that_nobody_can_take_is_refused(
    invoke: Invoke, arguments: tuple[str, ...], words: str
) -> None:
    ended = invoke("handover", *arguments)
    assert ended.code == 2
    assert words in ended.err.replace("--join and --store", "--store and --join")


def test_without_a_standby_a_handover_by_store_is_refused(
    invoke: Invoke, store: SqliteStore
) -> None:
    told(invoke("handover", "--store", "run.db"), "no manager stands by", "--standby --store")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give exactly one of --store and --join"),
        (("--store", "none.db"), "there is no store"),
        (("--store", "none.db", "--http", "0"), "there is no store"),
        (("--store", "run.db", "--http", "0", "--token-file", "short"), "token"),
        (("--store", "run.db", "--http", "{used}"), "is already in use"),
    ],
)
def test_an_mcp_server_that_can_not_be_served_is_refused(
    invoke: Invoke, tmp_path: Path, store: SqliteStore, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "short").write_text("short", encoding="utf-8")
    (tmp_path / "short").chmod(0o600)
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = str(used.getsockname()[1])
        told(invoke("mcp", *(each.format(used=port) for each in arguments)), words)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("no-such-command", "there is no program"),
        (f"{sys.executable} -c exit(3)", "it ended with exit code 3"),
        (f"{sys.executable} -c print(1)", "it ended with exit code 0"),
        ("http://127.0.0.1:1/mcp", "can't be reached"),
        ("", "is blank"),
    ],
)
def test_a_worker_of_an_mcp_server_that_is_none_says_so_in_one_line(
    invoke: Invoke, server: str, words: str
) -> None:
    ticket = Ticket("default", "12D3KooWnobody", "127.0.0.1", claim_port(), sealed=False)
    options = ("--join", str(ticket), "--insecure", "--name", "Ada", "--skill", "5")
    told(invoke("worker", *options, "--mcp", server), words)
