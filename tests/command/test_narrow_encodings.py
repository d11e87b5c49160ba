"""Every command prints all it has to say, whatever the encoding of its output lacks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents.command.app import main
from muster.agents.runtime.terminal_text import ASCII_FORMS, print_text, terminal_json

ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8"]

TASKS = "id,description,difficulty\nfünf,größe → 5 ≥ 3,1\n"


class Output(io.TextIOWrapper):
    """A stdout of some encoding that refuses what it lacks, as Python's does."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding)

    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


Run = Callable[..., str]


@pytest.fixture
def run(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command whose output has an encoding. Returns what it printed."""
    del invoke

    def go(encoding: str, *arguments: str) -> str:
        output = Output(encoding)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", output)
            with pytest.raises(SystemExit):
                main(arguments)
        return output.text()

    return go


QUICKLY = ("--time-scale", "0.02")

COMMANDS = [
    (("--help",), "replay"),
    (("manager", "--help"), "--skills"),
    (("run", "all_well", *QUICKLY), "Tasks: 3 completed"),
    (("run", "all_well", "--json", *QUICKLY), '"Simple calculation"'),
    (("scenarios",), "word_count"),
    (("simulate", "all_well", "--runs", "2"), "2 runs"),
    (("check", "all_well"), "holds for all_well"),
    (("diagram", "all_well"), "sequenceDiagram"),
    (("why", "fünf", "--store", "run.db"), "is completed"),
    (("status", "--store", "run.db"), "completed"),
    (("report", "--store", "run.db"), "Tasks: 1 completed"),
    (("report", "--store", "run.db", "--json"), '"duration"'),
    (("skills", "show", "--store", "run.db"), "success"),
    (("replay", "--store", "run.db", "--policy", "best_fit"), "best_fit"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run whose names are not ASCII, and what its manager printed in ASCII."""
    folder = tmp_path_factory.mktemp("narrow")
    (folder / "tasks.csv").write_text(TASKS, encoding="utf-8")
    manager = subprocess.run(
        [
            Path(sys.executable).with_name("muster"),
            *("manager", "--tasks", "tasks.csv", "--workers", "1:1", "--port", "0"),
            *("--time-scale", "0.01", "--store", "run.db"),
        ],
        cwd=folder,
        env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    (folder / "manager.txt").write_bytes(manager.stdout)
    return folder / "run.db"


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.parametrize(
    ("encoding", "arguments", "told"),
    [
        *(("ascii", *command) for command in COMMANDS),
        ("cp1252", *COMMANDS[1]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_command_prints_all(
    run: Run, store: Path, encoding: str, arguments: tuple[str, ...], told: str
) -> None:
    given = [str(store) if each == "run.db" else each for each in arguments]
    printed = run(encoding, *given)
    assert told in printed
    if "--json" in arguments:
        json.loads(printed)


@pytest.mark.ceylon
@pytest.mark.processes
def test_a_manager_with_an_ascii_output_prints_its_summary(store: Path) -> None:
    printed = store.with_name("manager.txt").read_bytes().decode("ascii")
    assert "funf  grosse -> 5 >= 3" in printed.replace("gro?e", "grosse")
    assert "Tasks: 1 completed" in printed


@pytest.mark.parametrize(
    ("text", "encoding", "printed"),
    [
        ("a … b → c ± d", "ascii", "a ... b -> c +- d"),
        ("a … b → c ± d", "latin-1", "a ... b -> c ± d"),
        ("a … b → c ± d", "cp1252", "a … b -> c ± d"),
        ("José Ångström", "ascii", "Jose Angstrom"),
        ("中文 🍵", "ascii", "?? ?"),
        ("───│", "ascii", "---|"),
        ("\ud800", "utf-8", "?"),
    ],
)
def test_what_an_encoding_lacks_has_an_ascii_form(
    text: str, encoding: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text.encode(encoding, ASCII_FORMS).decode(encoding) == printed
    output = Output(encoding)
    monkeypatch.setattr(sys, "stdout", output)
    print_text(text)
    assert output.text() == f"{printed}\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_keeps_its_value_in_every_encoding(encoding: str) -> None:
    value = {"größe": ["→", "🍵", "\x1b"]}
    shown = terminal_json(json.dumps(value, ensure_ascii=False), encoding)
    assert json.loads(shown.encode(encoding).decode(encoding)) == value
