"""Counts the lines of the programs in `docs/coming_from.md`, and writes the table into the page."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent / "coming_from.md"
BEGIN = "<!-- lines: made by docs/count_lines.py -->\n"
END = "<!-- end of lines -->"
SYSTEMS = ("Muster", "Celery", "Dask", "Prefect", "concurrent.futures")

_SECTION = re.compile(r"^## (\d+\. .*)$", re.MULTILINE)
_PART = re.compile(
    r"^(?:(Celery|Dask|Prefect|concurrent\.futures)\b[^\n]*\n\n)?```(\w+)\n(.*?)^```",
    re.DOTALL | re.MULTILINE,
)
_DOCUMENT = re.compile(r"<<'END'\n(.*?)^END$", re.DOTALL | re.MULTILINE)


def count(program: str) -> int:
    """The lines that are neither blank nor a comment."""
    lines = (line.strip() for line in program.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def count_all(text: str) -> dict[str, dict[str, int]]:
    """The lines of each program, by its title and by its system."""
    counts: dict[str, dict[str, int]] = {}
    _, *parts = _SECTION.split(text)
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        counts[title] = {}
        for system, language, program in _PART.findall(body.split("\n## ")[0]):
            # In a shell the program is what is written into the file.
            document = _DOCUMENT.search(program) if language == "sh" else None
            counts[title][system or "Muster"] = count(document[1] if document else program)
    return counts


def table(counts: dict[str, dict[str, int]]) -> str:
    """The counts as a table in Markdown."""
    lines = [f"| lines | {' | '.join(SYSTEMS)} |", f"|---|{'---|' * len(SYSTEMS)}"]
    for title, by_system in counts.items():
        cells = [str(by_system.get(system, "—")) for system in SYSTEMS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


def with_table(text: str) -> str:
    """A page with the table of its own programs."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(count_all(text))}\n{END}{after}"


def main() -> None:
    """Write the table."""
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
