"""Writes the tables of folders and modules, from the first line of each one's docstring.

Run it after adding, moving or renaming a module: `python docs/write_room_map.py`. With `--check` it
writes nothing, names the pages that are not current, and exits with 1 if there are any. CI and a
test run that. It needs nothing but Python.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("messages", "agents", "scenarios")
BEGIN = "<!-- begin: docs/write_room_map.py writes what follows -->"
END = "<!-- end -->"


def folders(root: Path = ROOT) -> Iterator[Path]:
    """Each folder with an `__init__.py`, a parent before its children."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("__init__.py"), key=lambda path: path.parent):
            yield path.parent


def modules(folder: Path) -> list[Path]:
    """The modules of a folder, without its `__init__.py`."""
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def first_line(module: Path) -> str:
    """The first line of a module's docstring, fit for a cell of a table.

    Raises:
        ValueError: it has no docstring.
    """
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{module} has no docstring; write one, whose first line says what it is")
    line = docstring.partition("\n")[0].replace("|", "\\|")
    # Brackets outside of code would be read as a link.
    parts = line.split("`")
    parts[::2] = [part.replace("[", "\\[") for part in parts[::2]]
    return "`".join(parts)


def folder_table(root: Path = ROOT) -> str:
    """One row for each folder, in Markdown."""
    rows = [
        f"| `{folder.relative_to(root).as_posix()}/` | {first_line(folder / '__init__.py')} |"
        for folder in folders(root)
    ]
    return "\n".join(["| folder | what it holds |", "|---|---|", *rows])


def module_tables(root: Path = ROOT) -> str:
    """One section for each folder with a row for each of its modules, in Markdown."""
    sections: list[str] = []
    for folder in folders(root):
        name = folder.relative_to(root).as_posix()
        sections.append(f"## `{name}/`\n\n{first_line(folder / '__init__.py')}")
        rows = [f"| `{module.name}` | {first_line(module)} |" for module in modules(folder)]
        if rows:
            sections.append("\n".join(["| module | what it holds |", "|---|---|", *rows]))
    return "\n\n".join(sections)


def filled(page: str, table: str) -> str:
    """A page with a table between its two marks.

    Raises:
        ValueError: the page has not exactly one pair of marks.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"a page needs one line {BEGIN!r} and, further down, one line {END!r}")
    marked = f"{re.escape(BEGIN)}.*?{re.escape(END)}"
    return re.sub(marked, lambda _: f"{BEGIN}\n\n{table}\n\n{END}", page, flags=re.DOTALL)


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Each page with tables, and the text that it should have."""
    tables = {root / "CONTRIBUTING.md": folder_table, root / "docs" / "rooms.md": module_tables}
    return {
        path: filled(path.read_text(encoding="utf-8"), table(root))
        for path, table in tables.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or check them; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name stale pages")
    check: bool = parser.parse_args(arguments).check
    stale = {
        path: text for path, text in pages().items() if path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        name = path.relative_to(ROOT).as_posix()
        if check:
            sys.stderr.write(f"{name} is not current; run: python docs/write_room_map.py\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
