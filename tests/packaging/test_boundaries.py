"""What modules may use, read from the source; pyproject.toml says who imports whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

KERNEL = Path("agents/kernel")
"""The pure heart: it is told what happened and when, and returns what is to be done."""

ONLY_FILE_THAT_KNOWS_CEYLON = "agents/transport/ceylon_api.py"

NOT_IN_THE_KERNEL = {
    "asyncio",
    "ceylon",
    "logging",
    "loguru",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "structlog",
    "subprocess",
    "sys",
    "time",
    "uuid",
}
"""Clocks, chance, concurrency, logs and the world outside."""

ONLY_FILE_WITH_A_CLOCK_AND_CHANCE = "messages/task_ids.py"
"""Makes the ids of new tasks, before they come to the kernel."""

MAX_LINES = 450

UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
LOADING = {"load", "loads", "Unpickler", "open", "Shelf"}

READS_ITS_OWN_PICKLES = "agents/one_machine/calling.py"
"""The only file that unpickles: what a program and the processes that it forked or started itself
send each other through pipes that no other process has."""


def _imports(tree: ast.AST, source: Path) -> Iterator[str]:
    """The full names that a module imports, relative ones as "agents.board"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = source.parts[: -node.level] if node.level else ()
            steps = (*base, node.module) if node.module else base
            yield ".".join(steps)
            yield from (".".join((*steps, alias.name)) for alias in node.names)
        elif isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in {
            "__import__",
            "import_module",
        }:
            yield from (str(part.value) for part in node.args if isinstance(part, ast.Constant))


def _reads(tree: ast.AST) -> Iterator[str]:
    """What of names and attributes a module uses, such as "pickle.loads"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield _dotted(node)


def _dotted(node: ast.expr) -> str:
    """A name with its attributes, such as "pickle.loads"; what is no name is left empty."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _is_unsafe(name: str) -> bool:
    owner, _, member = name.rpartition(".")
    return owner in UNPICKLERS and member in LOADING


class Used(NamedTuple):
    """The names that a source file uses."""

    imports: set[str]
    reads: set[str]


Read: TypeAlias = Mapping[str, Used]
"""What each source file uses, by its path such as "agents/kernel/board/board.py"."""


@pytest.fixture(scope="module")
def read(sources: Sequence[Path], checkout: Path) -> Read:
    used: dict[str, Used] = {}
    for source in sources:
        tree = ast.parse((checkout / source).read_text(encoding="utf-8"))
        used[source.as_posix()] = Used(set(_imports(tree, source)), set(_reads(tree)))
    return used


def test_every_module_imports_only_what_the_contracts_in_pyproject_allow(checkout: Path) -> None:
    command = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [command, "--no-cache"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_nothing_but_packages_is_directly_in_agents(checkout: Path) -> None:
    files = {path.name for path in (checkout / "agents").iterdir() if path.is_file()}
    assert files == {"__init__.py", "py.typed"}


def test_no_public_class_name_is_used_twice(checkout: Path) -> None:
    names = [
        node.name
        for package in ("messages", "agents", "scenarios")
        for path in (checkout / package).rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_no_module_is_longer_than_450_lines(checkout: Path) -> None:
    lengths = {
        path.relative_to(checkout).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for package in ("messages", "agents", "scenarios")
        for path in (checkout / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_only_one_file_imports_ceylon(read: Read) -> None:
    importers = {
        source
        for source, used in read.items()
        if any(name.split(".")[0] == "ceylon" for name in used.imports)
    }
    assert importers == {ONLY_FILE_THAT_KNOWS_CEYLON}


def test_nothing_is_unpickled_or_evaluated(read: Read) -> None:
    unsafe: dict[str, set[str]] = {}
    for source, used in read.items():
        names = used.imports | used.reads
        bad = {name for name in names if _is_unsafe(name)}
        bad |= names & {"eval", "exec", "builtins.eval", "builtins.exec"}
        if bad:
            unsafe[source] = bad
    assert unsafe == {READS_ITS_OWN_PICKLES: {"pickle.loads"}}


def test_what_reads_its_own_pickles_is_used_on_one_machine_alone(read: Read) -> None:
    module = READS_ITS_OWN_PICKLES.removesuffix(".py").replace("/", ".")
    importers = {
        source
        for source, used in read.items()
        if any(name == module or name.startswith(f"{module}.") for name in used.imports)
    }
    assert importers != set()
    assert {each for each in importers if not each.startswith("agents/one_machine/")} == set()


def test_messages_and_kernel_have_no_clock_no_chance_and_no_world(read: Read) -> None:
    clocks = {"now", "utcnow", "today", "fromtimestamp"}
    broken: dict[str, set[str]] = {}
    for source, used in read.items():
        if source == ONLY_FILE_WITH_A_CLOCK_AND_CHANCE:
            continue
        if source.startswith("messages/") or KERNEL in Path(source).parents:
            bad = {name.split(".")[0] for name in used.imports} & NOT_IN_THE_KERNEL
            bad |= {
                name
                for name in used.reads
                if name.startswith(("datetime.", "date.")) and name.split(".")[-1] in clocks
            }
            bad |= used.reads & {"open", "print", "input"}
            if bad:
                broken[source] = bad
    assert broken == {}


def test_the_kernel_makes_no_ids(read: Read) -> None:
    makers = {
        source
        for source, used in read.items()
        if KERNEL in Path(source).parents
        and "new_task_id" in {name.split(".")[-1] for name in used.imports | used.reads}
    }
    assert makers == set()


@pytest.mark.parametrize(
    "name",
    [
        "agents/kernel/board/board.py",
        ONLY_FILE_THAT_KNOWS_CEYLON,
        ONLY_FILE_WITH_A_CLOCK_AND_CHANCE,
    ],
)
def test_a_file_named_here_exists(name: str, checkout: Path) -> None:
    assert (checkout / name).is_file()


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(b'')",
        "import pickle\nread = pickle.load",
        "from pickle import loads",
        "from pickle import Unpickler as Reader",
        "import marshal\nmarshal.loads(b'')",
        "import shelve\nshelve.open('a')",
    ],
)
def test_these_checks_see_what_unpickles(code: str) -> None:
    tree = ast.parse(code)
    used = {*_imports(tree, Path("agents/a.py")), *_reads(tree)}
    assert any(_is_unsafe(name) for name in used)
