"""ISO 8601 timestamps as state files hold them: in local time, which the text does not name."""

from __future__ import annotations

from datetime import datetime


def to_timestamp(at: float) -> str:
    """Seconds since 1970 as a timestamp in local time, such as "2024-01-01T10:00:00.250000".

    It names no zone, for programs that read such files compare it with their own local time.
    """
    return datetime.fromtimestamp(at).isoformat()  # noqa: DTZ006 - local time, as said


def from_timestamp(text: str) -> float:
    """The seconds since 1970 of a timestamp; one that names no zone is in local time.

    Raises:
        ValueError: it is not a timestamp.
    """
    # Python 3.10 does not know "Z".
    moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    try:
        return moment.timestamp()
    except (OverflowError, OSError) as fault:
        raise ValueError(f"{text!r} is too far away: {fault}") from None
