"""A run of commands over a NATS server with TLS and credentials, each named by options alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from muster.agents.command.app import application
from muster.agents.command.options.skills import skills

from ..nats_server import running_nats_server
from .certificates import make_certificate, make_operator

DEADLINE_S = 90.0
HANDLERS = """
from muster.agents import Handlers

handlers = Handlers()


@handlers.task("double")
def double(task):
    return task.data * 2
"""


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "muster.agents.command", *arguments]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder)}


def said(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command(*arguments),
        check=False,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.nats
@pytest.mark.processes
@pytest.mark.slow
def test_all_commands_reach_a_manager_over_tls_with_credentials(tmp_path: Path) -> None:
    ours, other = make_certificate(tmp_path / "ours"), make_certificate(tmp_path / "other")
    operator, stranger = make_operator(), make_operator()
    (tmp_path / "user.creds").write_text(operator.credentials, encoding="ascii")
    (tmp_path / "wrong.creds").write_text(stranger.credentials, encoding="ascii")
    (tmp_path / "doubling.py").write_text(HANDLERS, encoding="utf-8")
    tls = f'tls {{ cert_file: "{ours.certificate}", key_file: "{ours.key}" }}'
    files = ("--nats-creds", "user.creds", "--tls-ca", str(ours.certificate))
    join = ("--join", "ticket")
    with running_nats_server(
        tmp_path / "server", jetstream=False, config=f"{operator.config}\n{tls}"
    ) as server:
        url = f"tls://127.0.0.1:{server.port}"
        managing = ("manager", "--link", url, "--workspace", "tls", "--ticket-file", "ticket")
        working = ("worker", *join, "--name", "Ada", "--skill", "5", "--handlers", "doubling")
        with running(tmp_path, *managing, *files), running(tmp_path, *working, *files):
            ends_at = time.monotonic() + DEADLINE_S
            while not (tmp_path / "ticket").exists():
                assert time.monotonic() < ends_at
                time.sleep(0.05)
            submitting = ("submit", *join, "--type", "double", "--data", "21", "--json")
            code, out, err = said(
                tmp_path, *submitting, *files, "--connect-timeout", str(DEADLINE_S)
            )
            assert (code, '"output": 42' in out or '"output":42' in out) == (0, True), out + err
            for asking in (
                ("status", *join),
                ("skills", "show", *join),
                ("doctor", *join),
            ):
                code, out, err = said(tmp_path, *asking, *files)
                assert code == 0, (asking, out, err)
        ca = str(ours.certificate)
        no_authority = ("--nats-creds", "user.creds", "--tls-ca", str(other.certificate))
        wrong_user = ("--nats-creds", "wrong.creds", "--tls-ca", ca)
        for asking, wrong, why in (
            (working, no_authority, "can't be trusted"),
            (("status", *join), no_authority, "can't be trusted"),
            (("status", *join), wrong_user, "refuses the credentials"),
            # It deletes its ticket in the end.
            (managing, no_authority, "can't be trusted"),
        ):
            code, out, err = said(tmp_path, *asking, *wrong)
            assert code != 0, (asking, wrong, out, err)
            assert why in err
            assert len(err.splitlines()) == 1, err


def test_every_command_that_uses_servers_takes_their_files() -> None:
    commands = [*application.registered_commands, *skills.registered_commands]
    found = 0
    for each in commands:
        assert each.callback is not None
        group = skills if each in skills.registered_commands else application
        click = typer.main.get_command(group).commands[  # type: ignore[attr-defined]
            each.name or each.callback.__name__.replace("_", "-")
        ]
        options = {name for parameter in click.params for name in parameter.opts}
        if {"--join", "--store"} & options and not each.hidden:
            assert {"--nats-creds", "--tls-ca"} <= options, each.name
            found += 1
    assert found > 15
