"""Foreign text on a terminal: whatever it holds, it moves nothing and forges no line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.command.console import logging_setup
from muster.agents.command.console.exit import exit_code_of, print_message
from muster.agents.command.console.logging_setup import _StderrHandler
from muster.agents.command.console.plain_lines import name_of
from muster.agents.runtime.log import log
from muster.agents.runtime.terminal_text import (
    one_line,
    terminal_json,
    terminal_line,
    terminal_lines,
)
from muster.messages import InvalidInput

HOSTILE = {
    "OSC 52, which sets the clipboard": "Ada\x1b]52;c;cm0gLXJmIC8=\x07",
    "CSI, which clears the screen": "Ada\x1b[2J\x1b[H",
    "C1 CSI": "Ada\x9b2J",
    "C1 OSC": "Ada\x9d0;title\x9c",
    "right to left": "Ada\u202eneerg",
    "isolates": "A\u2066da\u2069",
    "a forged line": "Ada\nmuster: all is well",
    "a carriage return": "Ada\rBen",
    "a line separator": "Ada\u2028Ben",
    "a next line": "Ada\x85Ben",
    "backspaces": "Ada\x08\x08\x08Ben",
    "a bell and a null": "Ada\x07\x00",
    "zero width": "Ada\u200b",
    "a lone surrogate": "Ada\udc9b",
}
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def is_harmless(shown: str, lines: int = 1) -> bool:
    told = shown.removesuffix("\n").split("\n")
    return len(told) == lines and all(line.isprintable() for line in told)


@hostile
def test_a_hostile_text_is_shown_escaped_on_one_line(text: str) -> None:
    assert is_harmless(terminal_line(text))
    assert is_harmless(one_line(text, 100))
    assert "Ada" in terminal_line(text) or "da" in terminal_line(text)


@given(st.text())
def test_no_text_at_all_shows_anything_raw(text: str) -> None:
    assert is_harmless(terminal_line(text))
    assert is_harmless(one_line(text))
    assert all(line.isprintable() for line in terminal_lines(text).split("\n"))


@given(st.recursive(st.text() | st.integers(), st.lists))
def test_escaped_json_reads_back_the_same_and_shows_nothing_raw(value: object) -> None:
    shown = terminal_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(shown) == value
    assert all(line.isprintable() for line in shown.split("\n"))


def test_plain_text_of_any_language_stays_as_it_is() -> None:
    for text in ("Weigh the leaf", "Ødegård prüft 茶", "tab-free 100 % ✓"):
        assert terminal_line(text) == one_line(text) == text


def test_a_long_text_is_cut() -> None:
    assert one_line("a" * 20, 5) == "aaaaa…"


# ------------------------------------------------------------------------ the ways to a terminal


def by_an_error(text: str) -> None:
    print_message(f"worker {text} is refused")


def by_an_error_that_ends_the_command(text: str) -> None:
    def fail() -> None:
        raise InvalidInput(f"no worker {text}")

    assert exit_code_of(fail) == 2


def by_a_field_of_the_log(text: str) -> None:
    log.warning("a worker is late", worker=text)


def by_the_event_of_another_library(text: str) -> None:
    logging.getLogger("muster.other").warning("heard %s", text)


def by_a_value_that_is_no_text(text: str) -> None:
    class Named:
        def __repr__(self) -> str:
            return text

    log.warning("a worker is late", worker=Named())


WAYS: list[Callable[[str], None]] = [
    by_an_error,
    by_an_error_that_ends_the_command,
    by_a_field_of_the_log,
    by_the_event_of_another_library,
    by_a_value_that_is_no_text,
]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What has reached a terminal, without its colours; log lines are those for people."""
    ours = logging.getLogger("muster")
    monkeypatch.setattr(ours, "handlers", [_StderrHandler(for_people=True)])
    monkeypatch.setattr(ours, "propagate", False)

    def read() -> str:
        told = without_colours(capsys.readouterr().err)
        assert told
        return told

    return read


def without_colours(text: str) -> str:
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", *(f"\x1b[{n}m" for n in range(30, 38))):
        text = text.replace(code, "")
    return text


@hostile
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_the_terminal_escapes(
    shown: Callable[[], str], way: Callable[[str], None], text: str
) -> None:
    way(text)
    assert is_harmless(shown())


def raised(text: str) -> RuntimeError:
    password = f"not to be {'told'}"
    try:
        assert not password, text
    except AssertionError as fault:
        return RuntimeError(text).with_traceback(fault.__traceback__)
    raise AssertionError


@hostile
@pytest.mark.parametrize("way", WAYS)
def test_each_way_escapes_too_when_the_renderer_can_not_be_loaded(
    shown: Callable[[], str],
    way: Callable[[str], None],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*, for_people: bool) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(logging_setup, "_formatter", fail)
    way(text)
    assert is_harmless(shown())


@hostile
def test_a_traceback_is_indented_and_escaped(shown: Callable[[], str], text: str) -> None:
    log.error("a handler failed", exc_info=raised(text))
    told = shown()
    first, *others = told.rstrip("\n").split("\n")
    assert "a handler failed" in first
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert "not to be told" not in told


@hostile
def test_an_unforeseen_error_is_told_escaped(shown: Callable[[], str], text: str) -> None:
    def fail() -> None:
        raise RuntimeError(text)

    assert exit_code_of(fail) == 70
    assert all(line.isprintable() for line in shown().split("\n"))


@hostile
def test_the_name_of_a_task_in_progress_lines_is_harmless(text: str) -> None:
    assert is_harmless(name_of(text))
