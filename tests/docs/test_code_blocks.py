"""Every code block in the README and in docs/ runs, in the order of its page.

Python blocks are scripts, sh blocks go to bash; the blocks of a page share one folder. The two
commands that install Muster are run by `.ci/run`. A block that is not meant to run is marked
`text`, `json`, `mermaid` or the like; `py` is a program that needs another system.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(<!-- (?:run|test) -->\s*)?```(\w*)\n(.*?)```", re.DOTALL)
NOT_RUN = {"py", "text", "json", "mermaid", "csv", "toml", "jsonl"}
BLOCK_DEADLINE_S = 300
QUICK_PAGES = {"README"}
"""What a newcomer copies first; the others take minutes together."""


def blocks_of(page: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for installs, language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert language, f"{page.name} has a code block that names no language"
        if not installs and language not in NOT_RUN:
            found.append((language, code))
    return found


def run_with_its_background(
    command: list[str], folder: Path, environment: dict[str, str]
) -> tuple[int, str]:
    """Run a command, then end what it left running; return its exit code and its output."""
    # A file, since a pipe stays open as long as anything runs in the background.
    with (folder / "output of the block").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(BLOCK_DEADLINE_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        return process.wait(), output.read()


def _as_parameter(page: Path) -> object:
    marks = [] if page.stem in QUICK_PAGES else [pytest.mark.slow]
    return pytest.param(page, marks=marks, id=page.stem)


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.parametrize("page", [_as_parameter(page) for page in PAGES if blocks_of(page)])
def test_every_code_block_of_the_page_runs(page: Path, tmp_path: Path) -> None:
    # Debian installs nats-server where only root looks for commands.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    environment = {**os.environ, "PATH": path}
    for number, (language, code) in enumerate(blocks_of(page), start=1):
        commands = {
            "python": [sys.executable, f"block_{number}.py"],
            "sh": ["bash", "-euo", "pipefail", f"block_{number}.sh"],
        }
        assert language in commands, f"{page.name}, block {number}: nobody can run {language!r}"
        (tmp_path / commands[language][-1]).write_text(code, encoding="utf-8")
        ended, output = run_with_its_background(commands[language], tmp_path, environment)
        assert ended == 0, (
            f"{page.name}, block {number} ended with {ended}:\n{code}\n{output[-4000:]}"
        )
