"""The library's log: lines for the logger "muster", which the library never configures.

A program that embeds Muster sees warnings and errors on stderr, as for any logger, until it
configures `logging`. The global configuration of structlog, which belongs to that program, is
neither read nor changed. Only the command line sets up handlers.

Logging a line imports nothing: the process may just have run out of file descriptors. Only the
command line renders its lines with structlog.
"""

from __future__ import annotations

import logging
from typing import cast

FIELDS = "muster_fields"
"""The attribute of a record that holds the fields of its line, for formatters that need them."""

_logger = logging.getLogger("muster")


class Log:
    """Logs events with fields, one line each.

    The field `exc_info` is an exception, and `traceback` is one as text; they follow the line.
    """

    def debug(self, event: str, **fields: object) -> None:
        """Log a detail."""
        _tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what happens."""
        _tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what may need attention."""
        _tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a failure."""
        _tell(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log a failure with the exception that is being handled."""
        _tell(logging.ERROR, event, {"exc_info": True, **fields})


log = Log()


def _tell(level: int, event: str, fields: dict[str, object]) -> None:
    if not _logger.isEnabledFor(level):
        return
    exc_info = cast("BaseException | bool | None", fields.pop("exc_info", None))
    traceback = cast("str | None", fields.pop("traceback", None))
    told = event + "".join(f" {key}={value!r}" for key, value in fields.items())
    if traceback is not None:
        told = f"{told}\n{traceback}"
        # The key under which structlog's renderers expect it.
        fields["exception"] = traceback
    # Without arguments a percent sign has no meaning. The line is the caller's caller's.
    _logger.log(
        level,
        told,
        exc_info=exc_info,
        extra={FIELDS: {"event": event, **fields}},
        stacklevel=3,
    )
