"""The page on the command says of every command in which room its options are."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from muster.agents.command.app import application

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
ROOMS = {path.name for path in (ROOT / "agents" / "command").glob("*.py")}
ROW = re.compile(r"^\| `(\w+\.py)` \| ((?:`[\w -]+`(?:, )?)+) \| .* \|$", re.MULTILINE)


def options_by_command(commands: typer.Typer, before: str = "") -> dict[str, str]:
    """The room of each command's function, whose parameters are its options."""
    rooms: dict[str, str] = {}
    for each in commands.registered_commands:
        assert each.callback is not None
        name = each.name or each.callback.__name__
        rooms[before + name] = Path(each.callback.__code__.co_filename).name
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        rooms |= options_by_command(group.typer_instance, f"{before}{group.name} ")
    return rooms


def test_each_command_stands_beside_the_room_of_its_options() -> None:
    told = {
        command: room
        for room, commands in ROW.findall(PAGE)
        for command in re.findall(r"`([\w -]+)`", commands)
    }
    assert told == options_by_command(application)
    assert told["superagi setup"] == "superagi_commands.py"


def test_no_room_is_named_that_is_gone() -> None:
    named = set(re.findall(r"`(\w+\.py)`", PAGE.partition("\n## The rooms\n")[2]))
    assert "application.py" in named
    assert named - ROOMS == set()
