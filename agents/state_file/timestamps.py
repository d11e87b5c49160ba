"""ISO 8601 timestamps as state files hold them: in local time, with its offset from UTC."""

from __future__ import annotations

from datetime import datetime


def to_timestamp(at: float) -> str:
    """Seconds since 1970 as a timestamp, such as "2024-01-01T10:00:00.250000+01:00".

    It is in local time, for people, and names the offset: so it tells one moment everywhere, and
    in the hour that comes twice when clocks are set back.
    """
    return datetime.fromtimestamp(at).astimezone().isoformat()


def from_timestamp(text: str) -> float:
    """The seconds since 1970 of a timestamp; one that names no offset is in local time.

    Of an hour that comes twice, a timestamp without an offset means the first.

    Raises:
        ValueError: it is not a timestamp.
    """
    # Python 3.10 does not know "Z".
    moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    try:
        return moment.timestamp()
    except (OverflowError, OSError) as fault:
        raise ValueError(f"{text!r} is too far away: {fault}") from None
