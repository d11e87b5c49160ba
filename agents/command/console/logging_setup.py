"""Where log lines go when Muster runs as a command: to stderr, for people or for machines."""

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
    """Send log lines to stderr: coloured text on a terminal, else a JSON object a line.

    Args:
        verbosity: 0 tells warnings and errors, 1 what happens, 2 or more all, Ceylon's lines too.
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
    """Load what renders log lines: where no file can be opened any more it would be too late."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StderrHandler):
            handler.load()


class _StderrHandler(logging.Handler):
    """Writes to whatever stderr is at that moment: the live display puts itself in its place.

    Args:
        for_people: write coloured text, and not a JSON object a line.
    """

    def __init__(self, *, for_people: bool) -> None:
        super().__init__()
        self._for_people = for_people

    def load(self) -> None:
        """Load what it renders lines with."""
        _formatter(for_people=self._for_people)

    def format(self, record: logging.LogRecord) -> str:
        """Turn a record into a line."""
        try:
            return _formatter(for_people=self._for_people).format(record)
        except (ImportError, OSError):
            # What renders it can't be loaded, as when no file can be opened any more.
            return _format_plainly(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - as stdlib's own: a log line must not end the run
            self.handleError(record)


@lru_cache(maxsize=2)
def _formatter(*, for_people: bool) -> structlog.stdlib.ProcessorFormatter:
    import structlog  # noqa: PLC0415 - it takes long to load, and most runs log nothing

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
        foreign_pre_chain=[_take_fields, structlog.stdlib.add_log_level],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _escape_values(
    logger: object, level: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Escape what may come from elsewhere: the renderer writes texts as they are."""
    del logger, level
    for key, value in line.items():
        if key not in {"exc_info", "exception", "_record"}:
            line[key] = terminal_line(value if isinstance(value, str) else repr(value))
    return line


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write a traceback, indented, so that no text in it can pass for a line of the log."""
    stream.writelines(
        f"\n    {terminal_line(line)}"
        for line in "".join(traceback.format_exception(*exc_info)).splitlines()
    )


def _format_plainly(record: logging.LogRecord) -> str:
    """Turn a record into a line with nothing but what is loaded already."""
    told = io.StringIO(terminal_line(record.getMessage()))
    told.seek(0, io.SEEK_END)
    if record.exc_info and record.exc_info[0] is not None:
        _write_traceback(told, record.exc_info)
    return told.getvalue()


def _take_fields(
    logger: object, level: str, line: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Take a line of ours apart again; lines of other libraries stay text."""
    del logger, level
    fields = getattr(line.get("_record"), FIELDS, None)
    if fields is not None:
        line.update(cast("dict[str, object]", fields))
    return line
