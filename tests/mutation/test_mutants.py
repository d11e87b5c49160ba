"""The mutants of small texts: what is changed, what is left alone, and that the rest stays."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_mutants() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "mutation_mutants", Path(__file__).with_name("mutants.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


mutants = load_mutants()


def changes_of(text: str) -> set[str]:
    source = text.encode()
    return {each.apply(source).decode() for each in mutants.find_mutants("a.py", source)}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("a = b < c", {"a = b <= c", "a = b >= c"}),
        ("a = b is None", {"a = b is not None"}),
        ("a = b not in c", {"a = b in c"}),
        ("a = b and c or d", {"a = b or c or d", "a = b and c and d"}),
        ("a = (b\n    and c)", {"a = (b\n or c)"}),
        ("a = b + (c)", {"a = b - (c)"}),
        ("a += b", {"pass", "a -= b"}),
        ("a = 5", {"a = 6", "a = 4"}),
        ("a = True", {"a = False"}),
        ("a = -b", {"a = b"}),
        ("a = not b", {"a = b"}),
        ("a = min(b)", {"a = max(b)"}),
        ("a = f(b, c)", {"a = f(c, b)"}),
        ("a = b if c else d", {"a = b if not (c) else d"}),
        ("a = [b for b in c if d]", {"a = [b for b in c if not (d)]"}),
        ("a.b = c", {"pass"}),
        ("f()", {"pass"}),
        ("if a:\n    raise b", {"if not (a):\n    raise b", "if a:\n    pass"}),
        ("def f(a=1):\n    return a", {
            "def f(a=2):\n    return a",
            "def f(a=0):\n    return a",
            "def f(a=1):\n    return None",
        }),
        ("while a:\n    break", {"while not (a):\n    break", "while a:\n    continue"}),
        ("é = f(b); a = 'ü' < c", {"é = f(b); a = 'ü' <= c", "é = f(b); a = 'ü' >= c"}),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_tried(text: str, changes: set[str]) -> None:
    assert changes_of(text) == changes


@pytest.mark.parametrize(
    "text",
    [
        "import a",
        '"""About 5 things."""',
        "assert a < 5",
        "_log.warning('5 of them', 5, a)",
        "a = f'{b < 5}'",
        "if TYPE_CHECKING:\n    a = 5",
        "def f(a: Literal[5]) -> Literal[6]: ...",
        "return_nothing = lambda: None",
    ],
)
def test_what_no_test_needs_to_notice_is_left_alone(text: str) -> None:
    assert changes_of(text) == set()


def test_a_mutant_names_the_lines_of_its_statement_and_whether_they_run_on_import() -> None:
    source = b"A = 1\n\ndef f(\n    a=1,\n):\n    return a(\n        2\n    )\n"
    found = {
        (each.first_line, each.last_line, each.runs_on_import)
        for each in mutants.find_mutants("a.py", source)
    }
    assert found == {(1, 1, True), (3, 5, True), (6, 8, False)}


def test_every_mutant_of_a_room_of_the_kernel_is_python_and_says_something_else() -> None:
    rooms = (path.read_bytes() for path in (ROOT / "agents/kernel").rglob("*.py"))
    source = min((each for each in rooms if len(each) > 4000), key=len)
    before = ast.dump(ast.parse(source))
    found = mutants.find_mutants("room.py", source)
    assert len({each.key for each in found}) == len(found) > 20
    for each in found:
        assert ast.dump(ast.parse(each.apply(source))) != before, each.diff(source)
