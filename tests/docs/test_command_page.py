"""The page on the command names every command, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from muster.agents.command.app import application

PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (`muster [^|]+`) \|", re.MULTILINE)
NAMED = re.compile(r"`muster ([a-z-]+(?: [a-z-]+)?)[^`]*`")


def commands_of(commands: typer.Typer, before: str = "") -> set[str]:
    """The commands that `muster --help` lists."""
    names: set[str] = set()
    for each in commands.registered_commands:
        assert each.callback is not None
        if not each.hidden:
            names.add(before + (each.name or each.callback.__name__))
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        names |= commands_of(group.typer_instance, f"{before}{group.name} ")
    return names


def test_every_command_has_its_row() -> None:
    told = {name for row in ROW.findall(PAGE) for name in NAMED.findall(row)}
    assert told == commands_of(application)
    assert "superagi setup" in told
