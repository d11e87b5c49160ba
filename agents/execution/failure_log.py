"""Logs the attempts that failed: each kind of failure with its traceback, further ones quietly."""

from __future__ import annotations

from ...messages import TaskId
from ..kernel.model.error_kind import error_kind
from ..runtime.log import log

MAX_KINDS = 50
"""How many kinds of failures are logged as warnings."""


class FailureLog:
    """Logs failed attempts, so that thousands of the same failure can't fill the log.

    The first failure of each kind is a warning, further ones are logged on the level of events. Two
    failures are of the same kind if they have the same type and were raised at the same place.

    Args:
        worker: the worker's name.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._known: set[tuple[str, str]] = set()

    def tell(
        self, task_id: TaskId, attempt: int, task_type: str, error: str, traceback: str | None
    ) -> None:
        """Log that an attempt failed.

        Args:
            task_id: the task.
            attempt: the number of the attempt.
            task_type: the type of the task, or "".
            error: the error message.
            traceback: the traceback; None if there is none.
        """
        places = [line for line in (traceback or "").splitlines() if line.startswith("  File ")]
        kind = (error_kind(error), places[-1] if places else "")
        is_new = kind not in self._known and len(self._known) < MAX_KINDS
        if is_new:
            self._known.add(kind)
        (log.warning if is_new else log.info)(
            "an attempt failed",
            worker=self._worker,
            task=task_id,
            attempt=attempt,
            type=task_type,
            error=error,
            traceback=traceback,
        )
