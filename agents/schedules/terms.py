"""Checks the arguments of a schedule, and computes when it is due."""

from __future__ import annotations

from datetime import timezone, tzinfo
from typing import cast, get_args

from ...messages import InvalidInput
from ...messages.wording import show
from ..kernel.model.schedules import (
    Missed,
    NextDue,
    Overlap,
    ScheduleRecord,
    ScheduleTerms,
    next_of_interval,
)
from .cron import Cron, find_zone

MAX_NAME_CHARACTERS = 120
"""The longest name of a schedule, so that the ids of its tasks are valid."""

MIN_EVERY_S = 0.1
MAX_EVERY_S = 10 * 366 * 86_400.0


def check_name(name: object) -> None:
    """Check the name of a schedule.

    Raises:
        InvalidInput: it is no text, blank, too long, or contains control characters.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InvalidInput(
            f"the name of a schedule is {show(name)}; it must be printable text that is not blank"
        )
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidInput(
            f"the name of a schedule has {len(name)} characters; it may have "
            f"{MAX_NAME_CHARACTERS}, since the ids of its tasks contain it"
        )


def check_terms(  # noqa: PLR0917 - the arguments of `schedule`, in their order
    name: str, cron: str, every_s: object, tz: str, missed: str, overlap: str
) -> ScheduleTerms:
    """Check when a schedule is due, and what happens when it is late.

    Raises:
        InvalidInput: an argument is out of range, there is no such time zone, or `cron` and
            `every_s` are both given, or neither is.
    """
    about = f"schedule {name!r}"
    if (not cron) == (every_s is None):
        given = "neither" if every_s is None else "both"
        raise InvalidInput(f"{about} has {given} of cron and every_s; give one of them")
    for argument, value, allowed in (
        ("missed", missed, get_args(Missed)),
        ("overlap", overlap, get_args(Overlap)),
    ):
        if value not in allowed:
            raise InvalidInput(
                f"{argument} of {about} is {show(value)}; it must be "
                f"{', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}"
            )
    if every_s is not None:
        is_number = isinstance(every_s, int | float) and not isinstance(every_s, bool)
        # NaN is in no range.
        if not is_number or not MIN_EVERY_S <= cast("float", every_s) <= MAX_EVERY_S:
            raise InvalidInput(
                f"every_s of {about} is {show(every_s)}; it must be a number of seconds from "
                f"{MIN_EVERY_S:g} to {MAX_EVERY_S:,.0f} (ten years)"
            )
    terms = ScheduleTerms(
        cron,
        None if every_s is None else float(cast("float", every_s)),
        tz,
        cast("Missed", missed),
        cast("Overlap", overlap),
    )
    zone = find_zone(tz)
    if terms.cron:
        try:
            Cron(terms.cron, zone).check_comes(0.0)
        except InvalidInput as fault:
            raise InvalidInput(f"{about}: {fault}") from None
    return terms


def zone_of(tz: str) -> tzinfo:
    """The time zone of a schedule; UTC if this machine does not know it."""
    try:
        return find_zone(tz)
    except InvalidInput:
        return timezone.utc


def due_times_of(record: ScheduleRecord) -> NextDue:
    """What computes the due times of a schedule."""
    every_s = record.terms.every_s
    if every_s is not None:
        return lambda after: next_of_interval(record.anchor, every_s, after)
    return Cron(record.terms.cron, zone_of(record.terms.tz)).next_due
