"""Mermaid itself parses every diagram that is drawn and every diagram in the documentation."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster.agents.diagram import tell_as_sequence, write_flowchart, write_gantt, write_sequence
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.trace import Trace

from .conftest import REHEARSED, RunMaker

ROOT = Path(__file__).parents[2]
INSTALLING_MAY_TAKE_S = 300
READING_MAY_TAKE_S = 120

PARSE = """
import fs from "fs";
import { JSDOM } from "jsdom";
const dom = new JSDOM("<!doctype html><body></body>");
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const mermaid = (await import("mermaid")).default;
const folder = process.argv[2];
for (const name of fs.readdirSync(folder)) {
  try {
    await mermaid.parse(fs.readFileSync(`${folder}/${name}`, "utf8"));
  } catch (fault) {
    console.log(`${name}: ${fault.message}`);
  }
}
"""

HOSTILE = [
    *(
        ";",
        "#",
        ":",
        '"',
        "'",
        "<",
        ">",
        "&",
        "\n",
        "%",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "`",
        "$$x$$",
    ),
    *("<br/>", "%%", "%%{init: {}}%%", "style x:y#z;", "classDef", "end", "note over", "wrap:"),
    *("->>", "-->", "par", "#35;", "&lt;", "\\", "|", "@", "+", "~", "_", "^", "click", "subgraph"),
    *("title", "section", "accTitle: x", "link a: b", '{"a":1}', "---", "::icon", "**b**", "\x00"),
    *("call f()", "href", "https://a.b/c?d=e#f", "1", "é", "\u202e", "\t", "a"),
]


@pytest.fixture(scope="module")
def read_by_mermaid(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Has Mermaid read all files of a folder; what it says against them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no node with its npm here, by which Mermaid is run")
    folder = tmp_path_factory.mktemp("mermaid")
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "mermaid@11", "jsdom@26"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALLING_MAY_TAKE_S,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"Mermaid could not be installed from npm: {installed.stderr[-500:]}")
    (folder / "parse.mjs").write_text(PARSE, encoding="utf-8")

    def read(diagrams: Path) -> str:
        done = subprocess.run(
            [node, "parse.mjs", str(diagrams)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=READING_MAY_TAKE_S,
            check=False,
        )
        return done.stdout + done.stderr

    return read


def draw_all(trace: Trace) -> Iterator[str]:
    for most in (2, 60):
        yield write_sequence(tell_as_sequence(trace, most))
        yield write_gantt(trace, most)
        yield write_flowchart(trace, most)


def hostile_run(seed: int) -> Trace:
    chance = random.Random(seed)

    def text() -> str:
        return " ".join(chance.choices(HOSTILE, k=chance.randint(1, 6))).strip() or "a"

    run = RunMaker()
    names = [text() for _ in range(3)]
    for name in names:
        run.join(name, 5, text())
    for task in dict.fromkeys(text() for _ in range(4)):
        run.task(task, description=text(), type=text()).assign(task, chance.choice(names)).then()
        run.happens(OccurrenceKind.TASK_FAILED, task, 1, chance.choice(names), text())
    run.aside(text(), text(), text()).happens(OccurrenceKind.WORKER_LOST, None, 0, names[0], text())
    return run.end()


@pytest.mark.slow
@pytest.mark.processes
def test_mermaid_reads_them_all(
    read_by_mermaid: Callable[[Path], str],
    trace_of_story: Callable[[Any], Trace],
    tmp_path: Path,
) -> None:
    drawn = {
        f"{story.name()} {number}": text
        for story in REHEARSED
        for number, text in enumerate(draw_all(trace_of_story(story)))
    }
    for seed in range(30):
        drawn |= {
            f"hostile {seed} {number}": text
            for number, text in enumerate(draw_all(hostile_run(seed)))
        }
    for page in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")):
        blocks = re.findall(r"```mermaid\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        drawn |= {f"{page.stem} {number}": text for number, text in enumerate(blocks)}
    assert len(drawn) > 250
    for name, text in drawn.items():
        (tmp_path / f"{name}.mmd").write_text(text, encoding="utf-8")
    assert read_by_mermaid(tmp_path) == ""
