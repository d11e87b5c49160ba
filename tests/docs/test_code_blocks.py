"""Every code block in the README and in docs/ runs, in the order of its page.

Python blocks are scripts, sh blocks go to bash; the blocks of a page share one folder. The two
commands that install Muster are run by `.ci/run`. A block that is not meant to run is marked
`text`, `json`, `mermaid` or the like; `py` is a program that needs another system.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


def _as_parameter(page: Path) -> object:
    marks = [] if page.stem in QUICK_PAGES else [pytest.mark.slow]
    return pytest.param(page, marks=marks, id=page.stem)


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.parametrize("page", [_as_parameter(page) for page in PAGES if blocks_of(page)])
def test_every_code_block_of_the_page_runs(page: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for number, (language, code) in enumerate(blocks_of(page), start=1):
        commands = {
            "python": [sys.executable, f"block_{number}.py"],
            "sh": ["bash", "-euo", "pipefail", f"block_{number}.sh"],
        }
        assert language in commands, f"{page.name}, block {number}: nobody can run {language!r}"
        (tmp_path / commands[language][-1]).write_text(code, encoding="utf-8")
        done = subprocess.run(
            commands[language],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, (
            f"{page.name}, block {number} ended with {done.returncode}:\n{code}\n"
            f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )
