"""Where the library's log lines go: to stdlib logging's logger "muster", configured by nobody here.

A program that embeds Muster sees warnings and errors on stderr, as of any logger, until it
configures `logging` as it likes; structlog's own configuration, which is global and belongs to
that program, is neither read nor changed. Only the command line sets up handlers.

Nothing is loaded to tell a line: the moment at which something must be told may be that at which
the process can't open another file. Only the command line's lines are rendered by structlog.
"""

from __future__ import annotations

import logging
from typing import cast

FIELDS = "muster_fields"
"""Where a record carries the fields of its line, for formatters that want them apart."""

_logger = logging.getLogger("muster")


class Log:
    """Tells what happens, an event and its fields a line."""

    def debug(self, event: str, **fields: object) -> None:
        """Tell a detail."""
        _tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell what happens."""
        _tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what may need somebody's attention."""
        _tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what went wrong."""
        _tell(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Tell what went wrong, with the exception that is being handled."""
        _tell(logging.ERROR, event, {"exc_info": True, **fields})


log = Log()


def _tell(level: int, event: str, fields: dict[str, object]) -> None:
    if not _logger.isEnabledFor(level):
        return
    exc_info = cast("BaseException | bool | None", fields.pop("exc_info", None))
    told = event + "".join(f" {key}={value!r}" for key, value in fields.items())
    # Without arguments a percent sign is nothing special. The line is our caller's caller's.
    _logger.log(
        level,
        told,
        exc_info=exc_info,
        extra={FIELDS: {"event": event, **fields}},
        stacklevel=3,
    )
