"""Where the library's log lines go: to stdlib logging's logger "muster", configured by nobody here.

A program that embeds Muster sees warnings and errors on stderr, as of any logger, until it
configures `logging` as it likes; structlog's own configuration, which is global and belongs to
that program, is neither read nor changed. Only the command line sets up handlers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping

import structlog

FIELDS = "muster_fields"
"""Where a record carries the fields of its line, for formatters that want them apart."""


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


log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("muster"),
    processors=[structlog.stdlib.filter_by_level, _render],
    wrapper_class=structlog.stdlib.BoundLogger,
    context_class=dict,
    cache_logger_on_first_use=True,
)
