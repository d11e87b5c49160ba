"""The tables of folders and modules are current, and the script that writes them says when not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

WRITER = Path(__file__).parents[2] / "docs" / "write_room_map.py"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_room_map", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, writer: ModuleType) -> Path:
    """A small checkout with both pages, not yet filled."""
    for folder, line in [
        ("messages", "What is sent."),
        ("agents", "Who sends."),
        ("agents/store", "Where a run is kept."),
        ("scenarios", "Stories."),
    ]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f'"""{line}\n\nMore of it.\n"""\n')
    (tmp_path / "agents/store/sqlite.py").write_text('"""A store in SQLite, for a | b."""\n')
    (tmp_path / "docs").mkdir()
    for page in ("CONTRIBUTING.md", "docs/rooms.md"):
        marked = f"{writer.BEGIN}\nstale rows\n{writer.END}"
        (tmp_path / page).write_text(f"# Before\n\n{marked}\n\nAfter.\n")
    return tmp_path


def test_the_tables_are_current(writer: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert (writer.main(["--check"]), capsys.readouterr().err) == (0, "")


def test_a_folder_is_named_by_the_first_line_of_its_docstring(
    writer: ModuleType, checkout: Path
) -> None:
    text = writer.pages(checkout)[checkout / "CONTRIBUTING.md"]
    assert "| `agents/store/` | Where a run is kept. |" in text
    assert "More of it" not in text
    assert "stale rows" not in text
    assert text.startswith("# Before\n")
    assert text.endswith("\n\nAfter.\n")


def test_a_module_stands_in_the_section_of_its_folder(writer: ModuleType, checkout: Path) -> None:
    text = writer.pages(checkout)[checkout / "docs/rooms.md"]
    section = text.partition("## `agents/store/`")[2].partition("## ")[0]
    assert "| `sqlite.py` | A store in SQLite, for a \\| b. |" in section


def test_filling_a_page_twice_changes_nothing(writer: ModuleType, checkout: Path) -> None:
    for path, text in writer.pages(checkout).items():
        path.write_text(text)
    assert all(path.read_text() == text for path, text in writer.pages(checkout).items())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("a module that came", lambda root: (root / "agents/new.py").write_text('"""New."""')),
        ("a module that went", lambda root: (root / "agents/store/sqlite.py").unlink()),
        (
            "a module that says something else",
            lambda root: (root / "agents/store/sqlite.py").write_text('"""Something else."""'),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_check_notices(
    name: str,
    change: object,
    writer: ModuleType,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path, text in writer.pages(checkout).items():
        path.write_text(text)
    change(checkout)
    whole = writer.pages
    monkeypatch.setattr(writer, "ROOT", checkout)
    monkeypatch.setattr(writer, "pages", lambda: whole(checkout))
    assert writer.main(["--check"]) == 1
    assert "docs/rooms.md is not current; run: python docs/write_room_map.py" in (
        capsys.readouterr().err
    )


def test_a_module_without_a_docstring_is_named(writer: ModuleType, checkout: Path) -> None:
    (checkout / "agents/bare.py").write_text("a = 1\n")
    with pytest.raises(ValueError, match=r"bare\.py has no docstring"):
        writer.pages(checkout)


def test_a_page_without_marks_is_refused(writer: ModuleType, checkout: Path) -> None:
    (checkout / "docs/rooms.md").write_text("# Nothing here\n")
    with pytest.raises(ValueError, match="a page needs one line"):
        writer.pages(checkout)
