"""Writes the output of commands to stdout, with control characters escaped."""

from __future__ import annotations

from typing import TextIO

from pydantic import BaseModel

from ...messages import InvalidInput
from ..runtime.terminal_text import terminal_json, terminal_line, terminal_lines
from .console.exit import discard_output
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
    _write(terminal_json(text, own_stdout().encoding or "utf-8"))


def _write(text: str) -> None:
    write_to(own_stdout(), text + "\n")


def write_to(stream: TextIO, text: str) -> None:
    """Write text to a stream at once; nothing happens if its reader has gone.

    Raises:
        InvalidInput: it can't be written, for example because the disk is full.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Its reader has seen enough, as in `| head -1`; the command and its exit code are the same.
        discard_output(stream)
    except OSError as fault:
        discard_output(stream)
        raise InvalidInput(
            f"the output can't be written: {fault.strerror}; write it elsewhere"
        ) from None
