"""The report as a file, in the format that its ending names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...messages import InvalidInput
from ..runtime.private_file import write_private

if TYPE_CHECKING:
    from .model import RunReport

# The endings are asked for long before there is a report to be written.
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
"""The endings of report files, each of which names a format."""


def shows_diagram(path: Path) -> bool:
    """Whether the format that a file's ending names shows a run's diagram."""
    return _WRITERS.get(path.suffix.lower()) in {_as_html, _as_markdown}


def check_report_file(path: Path | None) -> None:
    """Make sure, before the work begins, that a report can be written here after it.

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


def write_report(report: RunReport, path: Path, diagram: str | None = None) -> None:
    """Write a report in the format that the file's ending names; a new file is its owner's alone.

    Args:
        report: the run.
        path: where to.
        diagram: the run as a Mermaid sequence diagram, for the formats that show it.

    Raises:
        InvalidInput: the ending names no format, or the file can't be written.
    """
    # Text from anywhere may hold half of a surrogate pair, which no file can.
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
