"""CONTRIBUTING.md names the sessions of the noxfile, and only files and folders that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SESSION = re.compile(r"^@nox\.session.*\ndef (\w+)\(", re.MULTILINE)


def test_every_session_has_its_row() -> None:
    sessions = SESSION.findall((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert len(sessions) >= 7
    assert re.findall(r"^\| `nox -s (\w+)` \|", PAGE, re.MULTILINE) == sessions


def test_every_file_and_folder_that_is_named_exists() -> None:
    named = re.findall(r"`((?:agents|messages|scenarios|tests|docs)/[\w/.]*)`", PAGE)
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []
