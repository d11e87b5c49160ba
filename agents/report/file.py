"""Writes the report to a file; the file's extension selects the format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...messages import InvalidInput
from ..runtime.private_file import write_private

if TYPE_CHECKING:
    from .model import RunReport

# The extensions are needed long before a report is written.
# ruff: noqa: PLC0415


def _as_html(report: RunReport, diagram: str | None) -> str:
    from .html import render_html

    return render_html(report, diagram)


def _as_markdown(report: RunReport, diagram: str | None) -> str:
    from .markdown import render_markdown

    return render_markdown(report, diagram)


def _as_json(report: RunReport, _diagram: str | None) -> str:
    return report.model_dump_json(indent=2) + "\n"


def _as_text(report: RunReport, _diagram: str | None) -> str:
    from .text import DEFAULT_WIDTH, render_text

    return render_text(report, DEFAULT_WIDTH) + "\n"


_WRITERS: Mapping[str, Callable[[RunReport, str | None], str]] = {
    ".html": _as_html,
    ".md": _as_markdown,
    ".json": _as_json,
    ".txt": _as_text,
}

REPORT_ENDINGS = tuple(_WRITERS)
"""The extensions of report files, each for one format."""


def shows_diagram(path: Path) -> bool:
    """Whether the format of a file contains the run's diagram."""
    return _WRITERS.get(path.suffix.lower()) in {_as_html, _as_markdown}


def check_report_file(path: Path | None) -> None:
    """Check, before the run, that a report can be written to a file after it.

    Raises:
        InvalidInput: it can't.
    """
    if path is None:
        return
    _writer_for(path)
    if path.is_dir():
        raise InvalidInput(f"the report can't be written to {str(path)!r}: it is a folder")
    if not path.parent.is_dir():
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: there is no folder {str(path.parent)!r}"
        )
    place, need = (path, os.W_OK) if path.exists() else (path.parent, os.W_OK | os.X_OK)
    if not os.access(place, need):
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: this user may not write to "
            f"{str(place)!r}"
        )


def write_report(report: RunReport, path: Path, diagram: str | None = None) -> None:
    """Write a report to a file; a new file is readable by its owner only.

    Args:
        report: the report.
        path: the file; its extension selects the format.
        diagram: the run as a Mermaid sequence diagram, for the formats that contain it.

    Raises:
        InvalidInput: the extension is unknown, or the file can't be written.
    """
    # Text may contain half of a surrogate pair, which UTF-8 can't encode.
    content = _writer_for(path)(report, diagram).encode(errors="replace")
    try:
        write_private(path, content)
    except OSError as fault:
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: {fault.strerror}"
        ) from None


def _writer_for(path: Path) -> Callable[[RunReport, str | None], str]:
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InvalidInput(
            f"the report can't be written to {str(path)!r}: its ending names the format, which is "
            f"one of {', '.join(REPORT_ENDINGS)}"
        )
    return writer
