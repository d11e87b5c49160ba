"""Configures logging of a command: to stderr, as text at a terminal, else as JSON."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO, cast

from loguru import logger as ceylon_logger

from ...runtime.log import FIELDS
from ...runtime.terminal_text import terminal_line

if TYPE_CHECKING:
    import structlog
    from structlog.typing import ExcInfo

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def configure_logging(verbosity: int) -> None:
    """Send log lines to stderr: coloured text at a terminal, else one JSON object per line.

    Args:
        verbosity: 0 logs warnings and errors, 1 also events, 2 or more everything, including
            Ceylon's log.
    """
    level = LEVELS[min(verbosity, len(LEVELS) - 1)]
    if level > logging.DEBUG:
        ceylon_logger.disable("ceylon")
    handler = _StderrHandler(for_people=sys.stderr.isatty())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("muster").setLevel(level)


def load_for_logging() -> None:
    """Import what renders log lines, while the process can still open files."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StderrHandler):
            handler.load()


class _StderrHandler(logging.Handler):
    """Writes to the current `sys.stderr`, which the live display replaces.

    Args:
        for_people: write coloured text instead of JSON.
    """

    def __init__(self, *, for_people: bool) -> None:
        super().__init__()
        self._for_people = for_people

    def load(self) -> None:
        """Import what renders lines."""
        _formatter(for_people=self._for_people)

    def format(self, record: logging.LogRecord) -> str:
        """Render a record as a line."""
        try:
            return _formatter(for_people=self._for_people).format(record)
        except (ImportError, OSError):
            # The renderer can't be imported, for example because no file can be opened any more.
            return _format_plainly(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as in the standard library: logging must not end the run
            self.handleError(record)


@lru_cache(maxsize=2)
def _formatter(*, for_people: bool) -> structlog.stdlib.ProcessorFormatter:
    import structlog  # noqa: PLC0415 - it imports slowly, and most runs log nothing

    if for_people:
        rendering: list[structlog.types.Processor] = [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            _escape_values,
            structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback),
        ]
    else:
        rendering = [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _take_fields,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _escape_values(
    logger: object, level: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Escape foreign values, because the renderer writes text unescaped."""
    del logger, level
    for key, value in line.items():
        if key == "exception":
            line[key] = _indent(str(value))
        elif key not in {"exc_info", "_record"}:
            line[key] = terminal_line(value if isinstance(value, str) else repr(value))
    return line


def _indent(text: str) -> str:
    """Indent a traceback, so that no text in it looks like a log line."""
    return "\n".join(f"    {terminal_line(line)}" for line in text.split("\n"))


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write an indented traceback, so that no text in it looks like a log line."""
    stream.writelines(
        f"\n    {terminal_line(line)}"
        for line in "".join(traceback.format_exception(*exc_info)).splitlines()
    )


def _format_plainly(record: logging.LogRecord) -> str:
    """Render a record as a line without further imports."""
    fields = cast("dict[str, object]", getattr(record, FIELDS, {}))
    traceback_text = str(fields.get("exception", ""))
    message = record.getMessage().removesuffix(f"\n{traceback_text}")
    line = io.StringIO(terminal_line(message))
    line.seek(0, io.SEEK_END)
    if traceback_text:
        line.write(f"\n{_indent(traceback_text)}")
    if record.exc_info and record.exc_info[0] is not None:
        _write_traceback(line, record.exc_info)
    return line.getvalue()


def _take_fields(
    logger: object, level: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Add the fields of Muster's own log lines; lines of other libraries have none."""
    del logger, level
    fields = getattr(line.get("_record"), FIELDS, None)
    if fields is not None:
        line.update(cast("dict[str, object]", fields))
    return line
