"""Gives the options for NATS servers to all commands that use servers."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from ...nats.address import CREDS_VARIABLE, TLS_CA_VARIABLE
from ..nats_files import pass_on_files
from .added_options import add_options
from .shared import NatsCreds, TlsCa

_OPTIONS = {"nats_creds": NatsCreds, "tls_ca": TlsCa}
_USES_SERVERS = frozenset({"join", "store"})


class RegisteredCommand(Protocol):
    """A command, as Typer registers it."""

    callback: Callable[..., Any] | None
    hidden: bool


def add_nats_options(commands: Iterable[RegisteredCommand]) -> None:
    """Give `--nats-creds` and `--tls-ca` to all commands that take a ticket or store without them.

    Args:
        commands: the registered commands.
    """
    for command in commands:
        assert command.callback is not None
        parameters = set(inspect.signature(command.callback).parameters)
        uses_servers = _USES_SERVERS & parameters and not command.hidden
        if uses_servers and not set(_OPTIONS) & parameters:
            command.callback = _with_nats_options(command.callback)


def _with_nats_options(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*, nats_creds: Path | None, tls_ca: Path | None, **given: Any) -> Any:
        before = {name: os.environ.get(name) for name in (CREDS_VARIABLE, TLS_CA_VARIABLE)}
        pass_on_files(nats_creds, tls_ca)
        try:
            return command(**given)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    add_options(run, command, {name: (option, None) for name, option in _OPTIONS.items()})
    return run
