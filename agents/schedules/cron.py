"""Cron expressions and time zones: checks them, and computes due times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from ...messages import InvalidInput
from ...messages.wording import show

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_CHARACTERS = 500

_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L (the last day) or LW (the last weekday)"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday), SUN to SAT, 5L (the last Friday) or 5#2"),
)
"""The fields of a cron expression, with their values."""

_FORMS = "also *, ranges such as 1-5, steps such as */5, and lists such as 1,3"
_EXAMPLE = '"*/5 * * * *" is every five minutes, "0 9 * * MON-FRI" weekdays at 9:00'

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_ZONES = "name one such as 'Europe/Berlin' or 'UTC'"

_LOOK_BACK = timedelta(hours=3)
"""How long before a time the search for the next due time begins, so that a due time does not
depend on where the search for it began: clocks are not moved further than that."""


def find_zone(name: object) -> tzinfo:
    """The time zone of a name such as "Europe/Berlin".

    Raises:
        InvalidInput: there is no such zone; the message names those with similar names.
    """
    if name == "UTC":
        # The same everywhere, and faster.
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    by_lower = {each.lower(): each for each in available_timezones()}
    wanted = str(name).lower().replace(" ", "_")
    # Many know the city, and not its continent.
    city = wanted.rpartition("/")[2]
    cities = sorted(each for lower, each in by_lower.items() if lower.rpartition("/")[2] == city)
    close = cities or [by_lower[each] for each in get_close_matches(wanted, by_lower, 1, 0.7)]
    advice = f"did you mean {' or '.join(map(repr, close[:3]))}?" if close else ""
    raise InvalidInput(f"there is no time zone {show(name)}; {advice or _ZONES}")


class Cron:
    """The due times of a cron expression in a time zone.

    Args:
        expression: five fields, or an alias such as "@daily".
        zone: the time zone.

    Raises:
        InvalidInput: the expression has no meaning, or is never due.
    """

    def __init__(self, expression: object, zone: tzinfo) -> None:
        if not isinstance(expression, str) or len(expression) > _MAX_CHARACTERS:
            raise InvalidInput(
                f"cron is {show(expression)}; it must be text of {_MAX_CHARACTERS} characters at "
                f"most: {_EXAMPLE}"
            )
        self._zone = zone
        self._expression = _ALIASES.get(expression.strip().lower(), expression)
        _check_fields(expression, self._expression)
        # The latest answer, and since when it is one; the next search continues there.
        self._asked = 0.0
        self._latest: float | None = None
        self._following: Iterator[datetime] = iter(())

    def check_comes(self, after: float) -> None:
        """Check that it is due at some time after another one.

        Raises:
            InvalidInput: it never is.
        """
        if self.next_due(after) is None:
            raise InvalidInput(
                f"cron is {self._expression!r}, which never comes: no month that it names has "
                f"such a day; {_EXAMPLE}"
            )

    def next_due(self, after: float) -> float | None:
        """The first due time after a time, in seconds since 1970; None if there is none."""
        if self._latest is not None and self._asked <= after < self._latest:
            return self._latest
        if self._latest != after:
            start = _EPOCH + timedelta(seconds=after) - _LOOK_BACK
            try:
                self._following = iter(CronSim(self._expression, start.astimezone(self._zone)))
            except CronSimError:
                return None
        # cronsim gives up after fifty years without a due time.
        for due in self._following:
            at = (due.astimezone(timezone.utc) - _EPOCH).total_seconds()
            if at > after:
                self._asked, self._latest = after, at
                return at
        self._latest = None
        return None


def _check_fields(given: str, expression: str) -> None:
    """Check each field alone, since cronsim does not say what would be right."""
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        names = ", ".join(name for name, _ in _FIELDS)
        seconds = "; for seconds use every_s" if len(fields) == len(_FIELDS) + 1 else ""
        raise InvalidInput(
            f"cron is {show(given)}, which has {len(fields)} fields; it must have {len(_FIELDS)}: "
            f"{names}{seconds}; {_EXAMPLE}"
        )
    for place, (name, allowed) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[place] = fields[place]
        try:
            CronSim(" ".join(alone), _EPOCH)
        except (CronSimError, AssertionError, ValueError):
            raise InvalidInput(
                f"cron is {show(given)}: {fields[place]!r} is no {name}; it must be {allowed}; "
                f"{_FORMS}"
            ) from None
