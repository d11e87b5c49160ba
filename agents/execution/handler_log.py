"""The logger of a handler, bound to its task, attempt and worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..runtime.log import FIELDS

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import EventDict

    from ...messages import TaskAssignment

LOGGER_NAME = "muster.handler"
"""The name of the standard logger that handlers log to unless the program configures structlog."""


def make_handler_log(assignment: TaskAssignment) -> BoundLogger:
    """A structlog logger for one attempt.

    If the program has configured structlog, the logger follows that configuration. Otherwise it
    writes to the standard logger `LOGGER_NAME`. Neither configuration is changed.

    Args:
        assignment: the attempt.
    """
    import structlog  # noqa: PLC0415 - it imports slowly, and most handlers do not log

    if structlog.is_configured():
        logger = structlog.get_logger(LOGGER_NAME)
    else:
        logger = structlog.wrap_logger(
            logging.getLogger(LOGGER_NAME),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                _to_record,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            context_class=dict,
        )
    bound = logger.bind(
        task=assignment.task.id, attempt=assignment.attempt, worker=assignment.worker
    )
    return cast("BoundLogger", bound)


def _to_record(
    logger: object, method: str, line: EventDict
) -> tuple[tuple[str], Mapping[str, Any]]:
    """The arguments with which the standard logger is called."""
    del logger, method
    event = str(line.pop("event", ""))
    options = {name: line.pop(name) for name in ("exc_info", "stack_info") if name in line}
    text = event + "".join(f" {key}={value!r}" for key, value in line.items())
    # Without arguments, a percent sign in the text has no meaning.
    return (text,), {**options, "extra": {FIELDS: {"event": event, **line}}}
