"""Writes the output of commands to stdout, with control characters escaped."""

from __future__ import annotations

from pydantic import BaseModel

from ..runtime.terminal_text import terminal_json, terminal_line, terminal_lines
from .console.reserved_stdout import own_stdout


def write_line(line: str) -> None:
    """Write one line to stdout; newlines in it are escaped."""
    _write(terminal_line(line))


def write_lines(text: str) -> None:
    """Write a text of several lines to stdout; its newlines stay."""
    _write(terminal_lines(text))


def write_json(model: BaseModel) -> None:
    """Write a model to stdout as JSON."""
    write_json_text(model.model_dump_json(indent=2))


def write_json_text(text: str) -> None:
    """Write JSON to stdout, with characters escaped in JSON's own way."""
    _write(terminal_json(text))


def _write(text: str) -> None:
    stream = own_stdout()
    stream.write(text + "\n")
    stream.flush()
