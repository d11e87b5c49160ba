"""A usage error shows no control character of the command line, and is on one line."""

from __future__ import annotations

from typing import Any

import pytest

FORGED = "\x1b]0;forged\x07\x1b[2J\n\u202emuster: all is well"


@pytest.mark.parametrize(
    "arguments",
    [
        (FORGED,),
        (f"--{FORGED}",),
        ("scenarios", FORGED),
        ("scenarios", f"--{FORGED}"),
        ("bench", "--tasks", FORGED),
        ("manager", "--tasks", "tasks.jsonl", "--workers", 1, "--on-missing", FORGED),
        ("superagi", FORGED),
        ("superagi", "check", FORGED),
    ],
    ids=str,
)
def test_what_a_usage_error_quotes_is_escaped(invoke: Any, arguments: tuple[object, ...]) -> None:
    ended = invoke(*arguments)
    assert ended.code == 2
    lines = ended.err.removesuffix("\n").split("\n")
    assert all(line.isprintable() for line in lines), lines
    assert lines[-1].startswith("Error: ")


@pytest.mark.parametrize("arguments", [(), ("superagi",)], ids=str)
def test_without_arguments_the_help_keeps_its_lines(
    invoke: Any, arguments: tuple[object, ...]
) -> None:
    ended = invoke(*arguments)
    assert ended.code == 2
    assert "\nCommands:\n" in ended.out + ended.err
