"""Locates SuperAGI on this machine: the user's checkout, and the Python of its tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ....messages import InvalidInput

HOME_VARIABLE = "SUPERAGI_HOME"
PYTHON_VARIABLE = "SUPERAGI_PYTHON"
REPOSITORY = "https://github.com/TransformerOptimus/SuperAGI"
TESTED_COMMIT = "c3c1982"
"""The commit of SuperAGI, of January 2025, with which this is tested."""

EXTRACTOR = Path("superagi", "helper", "webpage_extractor.py")


def find_checkout(environment: Mapping[str, str] = os.environ) -> Path:
    """The checkout of SuperAGI in SUPERAGI_HOME.

    Installed packages are not searched, because `superagi` on PyPI is another project.

    Raises:
        InvalidInput: the variable is not set, or its folder is not SuperAGI.
    """
    named = environment.get(HOME_VARIABLE, "").strip()
    if not named:
        raise InvalidInput(
            f"{HOME_VARIABLE} is not set; clone {REPOSITORY} and set it to that folder"
        )
    checkout = Path(named).expanduser().resolve()
    if not (checkout / EXTRACTOR).is_file():
        raise InvalidInput(
            f"{HOME_VARIABLE} is {named!r}, which is not a checkout of SuperAGI: "
            f"it has no {EXTRACTOR.as_posix()}"
        )
    return checkout


def find_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The Python of SuperAGI's tools: SUPERAGI_PYTHON, or that of `muster superagi setup`.

    Raises:
        InvalidInput: it does not exist.
    """
    named = environment.get(PYTHON_VARIABLE, "").strip()
    python = Path(named).expanduser() if named else python_of(default_environment(environment))
    if not python.is_file():
        hint = f"check {PYTHON_VARIABLE}" if named else "run: muster superagi setup"
        raise InvalidInput(f"there is no Python for SuperAGI's tools at {str(python)!r}; {hint}")
    return python


def default_environment(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the virtual environment that `muster superagi setup` creates."""
    data = environment.get("XDG_DATA_HOME", "").strip()
    base = Path(data) if data else Path.home() / ".local" / "share"
    return base / "muster" / "superagi"


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
