"""Draws docs/images/word_count.svg, the README's picture, from a real run.

Run it after changing what a run prints: `python docs/draw_readme_picture.py`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("images") / "word_count.svg"
WIDTH = 92


def main() -> None:
    """Run the scenario and draw what it prints."""
    run = subprocess.run(
        [sys.executable, "-m", "muster.agents.command", "run", "word_count"],
        capture_output=True,
        text=True,
        check=True,
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ muster run word_count", style="bold"))
    console.print(Text(run.stdout.rstrip()))
    PICTURE.parent.mkdir(exist_ok=True)
    console.save_svg(str(PICTURE), title="muster run word_count")


if __name__ == "__main__":
    main()
