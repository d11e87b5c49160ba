"""Makes rows of schedules, and reads them."""

from __future__ import annotations

from collections.abc import Iterable

from ....messages import DecodeError, Flaw
from ....messages.values import pack_scalars, unpack
from ..model.schedules import ScheduleRecord, ScheduleTerms
from .rows import ScheduleRow
from .schedule_book import ScheduleBook


def changed_schedules(schedules: ScheduleBook) -> tuple[ScheduleRow, ...]:
    """The rows of the schedules that have changed since the last call."""
    by_name = schedules.by_name
    return tuple(
        ScheduleRow(name, _pack(by_name[name]) if name in by_name else None)
        for name in schedules.take_changed()
    )


def restore_schedules(schedules: ScheduleBook, rows: Iterable[ScheduleRow]) -> None:
    """Restore the schedules of a store; none is active before it is declared.

    Raises:
        DecodeError: a row can't be read; the message names it.
    """
    schedules.by_name.update({row.name: _read(row) for row in rows})


def _pack(record: ScheduleRecord) -> bytes:
    return pack_scalars(
        (
            tuple(record.terms),
            record.anchor,
            record.through,
            record.last_due,
            record.last_tasks,
            record.made,
            record.missed,
            record.skipped,
            record.failed,
            record.failure,
            record.last_outcome,
        )
    )


def _read(row: ScheduleRow) -> ScheduleRecord:
    try:
        # What a newer version of the same format adds stands at the end.
        terms, anchor, through, last_due, last_tasks, *others = unpack(row.state or b"")[:11]
        return ScheduleRecord(
            row.name,
            ScheduleTerms(*terms),
            anchor,
            through,
            last_due,
            tuple(last_tasks),
            *others,
        )
    except DecodeError as fault:
        raise DecodeError(fault.flaw, f"schedule {row.name!r}: {fault.detail}") from None
    except (TypeError, ValueError) as fault:
        detail = f"schedule {row.name!r}: {type(fault).__name__}: {fault}"
        raise DecodeError(Flaw.INVALID, detail) from None
