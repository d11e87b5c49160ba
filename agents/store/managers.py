"""Names the managers that share a store: the one that leads, and those that stand by."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ...messages import Payload

MAX_TEXT_CHARACTERS = 500
"""How much is read of each text of an entry."""


@dataclass(frozen=True, slots=True)
class ManagerEntry:
    """One manager that shares a store.

    Args:
        host: the name of its machine.
        pid: its process id there; None if it is unknown.
        leads: whether it leads the run; otherwise it stands by.
        since: since when it leads or stands by, in seconds since 1970; 0 if that is unknown.
        page: the URL of its live page; "" if it has none.
    """

    host: str
    pid: int | None
    leads: bool
    since: float = 0.0
    page: str = ""

    @classmethod
    def of_this_process(cls, *, leads: bool, since: float, page: str = "") -> ManagerEntry:
        """The entry of a manager in this process."""
        return cls(platform.node(), os.getpid(), leads, since, page)

    @classmethod
    def from_payload(cls, payload: object) -> ManagerEntry | None:
        """Read an entry; None if it is not one."""
        if not isinstance(payload, Mapping):
            return None
        fields: Mapping[object, object] = payload  # pyright: ignore[reportUnknownVariableType]
        host, pid, since = fields.get("host"), fields.get("pid"), fields.get("since")
        page = fields.get("page", "")
        if not (isinstance(host, str) and isinstance(page, str)):
            return None
        return cls(
            host[:MAX_TEXT_CHARACTERS],
            pid if type(pid) is int else None,
            fields.get("leads") is True,
            float(since) if isinstance(since, int | float) else 0.0,
            page[:MAX_TEXT_CHARACTERS],
        )

    def to_payload(self) -> dict[str, Payload]:
        """The entry as plain data."""
        return {
            "host": self.host,
            "pid": self.pid,
            "leads": self.leads,
            "since": self.since,
            "page": self.page,
        }

    @property
    def identity(self) -> tuple[str, int | None, float]:
        """Tells it from all other managers, and from the same one at another time."""
        return self.host, self.pid, self.since

    def is_in_process_of(self, other: ManagerEntry) -> bool:
        """Whether both are the same process, as far as is known: one may lack its host."""
        return self.pid == other.pid and (self.host == other.host or not (self.host and other.host))

    def describe(self) -> str:
        """Which manager it is, such as "process 4711 on alpha, page http://127.0.0.1:8080/"."""
        process = "a manager" if self.pid is None else f"process {self.pid}"
        where = f" on {self.host}" if self.host else ""
        return f"{process}{where}" + (f", page {self.page}" if self.page else "")


class ManagerList(Protocol):
    """The managers that share one store; all methods may block."""

    def announce(self, entry: ManagerEntry) -> None:
        """Name this manager until `withdraw`, or until its process ends; replaces its entry."""
        ...

    def withdraw(self) -> None:
        """Name this manager no more."""
        ...

    def read(self) -> list[ManagerEntry]:
        """The managers that live: the one that leads comes first, then the longest waiting."""
        ...

    def is_led(self) -> bool:
        """Whether a manager has the store; takes less time than `read`."""
        ...

    def request_handover(self, leader: ManagerEntry) -> None:
        """Ask one manager, and no later one, to hand the run over; repeat it until it has.

        In JetStream a request is forgotten two seconds after it was last repeated.
        """
        ...

    def find_handover_request(self) -> ManagerEntry | None:
        """The manager that is asked to hand the run over, if one is."""
        ...

    def forget_handover_request(self) -> None:
        """Take the request back, if there is one."""
        ...


@runtime_checkable
class SharedStore(Protocol):
    """A store that knows which managers share it."""

    @property
    def managers(self) -> ManagerList:
        """The managers that share it."""
        ...


def is_asked_to_hand_over(managers: ManagerList) -> bool:
    """Whether the manager that leads is asked to hand the run over, and can; it may block.

    A request to a former leader does not count. Without a standby, a request stays.
    """
    asked = managers.find_handover_request()
    if asked is None:
        return False
    found = managers.read()
    leads = any(each.leads and each.identity == asked.identity for each in found)
    return leads and bool(standbys_in(found))


def managers_of(store: object) -> ManagerList | None:
    """The managers that share a store; None if the store does not know them."""
    return store.managers if isinstance(store, SharedStore) else None


def in_order(entries: Iterable[ManagerEntry]) -> list[ManagerEntry]:
    """Entries in order: the one that leads comes first, then the longest waiting."""
    return sorted(entries, key=lambda each: (not each.leads, each.since, each.host, each.pid or 0))


def standbys_in(entries: Iterable[ManagerEntry]) -> list[ManagerEntry]:
    """Those of some entries that stand by."""
    return [each for each in entries if not each.leads]
