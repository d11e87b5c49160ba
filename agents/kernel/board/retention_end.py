"""The timer for the end of the time for which results are kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class RetentionEnd:
    """The timer for the end of the time for which results are kept."""

    at: float | None = None

    def due_at(self) -> float | None:
        """When the oldest result has been kept long enough, in seconds; None if there is none."""
        return self.at
