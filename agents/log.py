"""Where the library's log lines go: to stdlib logging's logger "muster", configured by nobody here.

A program that embeds Muster sees warnings and errors on stderr, as of any logger, until it
configures `logging` as it likes; structlog's own configuration, which is global and belongs to
that program, is neither read nor changed. Only the command line sets up handlers.

structlog takes long to load, and most runs have nothing to tell: it is loaded with the first line
that somebody will read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import structlog

FIELDS = "muster_fields"
"""Where a record carries the fields of its line, for formatters that want them apart."""

_logger = logging.getLogger("muster")


class Log:
    """Tells what happens, an event and its fields a line."""

    def debug(self, event: str, **fields: object) -> None:
        """Tell a detail."""
        if _logger.isEnabledFor(logging.DEBUG):
            _structured().debug(event, **fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell what happens."""
        if _logger.isEnabledFor(logging.INFO):
            _structured().info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what may need somebody's attention."""
        if _logger.isEnabledFor(logging.WARNING):
            _structured().warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what went wrong."""
        if _logger.isEnabledFor(logging.ERROR):
            _structured().error(event, **fields)

    def exception(self, event: str, **fields: object) -> None:
        """Tell what went wrong, with the exception that is being handled."""
        self.error(event, exc_info=True, **fields)


log = Log()


@lru_cache(maxsize=1)
def _structured() -> structlog.stdlib.BoundLogger:
    import structlog  # noqa: PLC0415 - it loads rich, pygments and attrs

    made: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        _logger,
        processors=[structlog.stdlib.filter_by_level, _render],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return made


def _render(
    logger: object, level: str, line: MutableMapping[str, object]
) -> tuple[tuple[str], Mapping[str, object]]:
    """Turn a structlog line into the arguments of a stdlib log call."""
    del logger, level
    event = str(line.pop("event"))
    exc_info = line.pop("exc_info", None)
    fields = dict(line)
    told = "".join(f" {key}={value!r}" for key, value in fields.items())
    return (event + told,), {"exc_info": exc_info, "extra": {FIELDS: {"event": event, **fields}}}
