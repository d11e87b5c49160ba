"""The page on the architecture names every room of the house, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {
    path.name
    for folder in ("messages", "agents", "agents/kernel")
    for path in (ROOT / folder).glob("*.py")
    if path.name != "__init__.py"
}


def test_every_room_is_named() -> None:
    assert {room for room in ROOMS if f"`{room}`" not in PAGE} == set()


def test_no_room_is_named_that_is_gone() -> None:
    named = {Path(name).name for name in re.findall(r"`([\w/]+\.py)`", PAGE)}
    assert named - ROOMS - {"scenario.py"} == set()
