"""Names the managers of a store in JetStream, in the bucket of its lease."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from ...messages import NatsUnusable
from ..nats.jet_stream import JetStream
from ..nats.lease import find_lease_holder
from ..nats.shared_entries import SharedEntries
from .managers import ManagerEntry, in_order

_REQUEST = "handover"


class StreamManagers:
    """The managers of one store in JetStream; see `ManagerList`.

    Args:
        connect: opens a connection; called when it is first needed, and again after `withdraw`.
        bucket: the bucket of the store's lease.
        replicas: on how many servers a new bucket is kept; None: one.
        keeps_connection: whether `withdraw` leaves the connection open, since it is another's.

    Most methods raise `NatsUnusable` if the server can't be reached.
    """

    def __init__(
        self,
        connect: Callable[[], JetStream],
        bucket: str,
        *,
        replicas: int | None = None,
        keeps_connection: bool = False,
    ) -> None:
        self._connect = connect
        self._bucket = bucket
        self._replicas = replicas
        self._keeps_connection = keeps_connection
        self._opened: tuple[JetStream, SharedEntries] | None = None

    def announce(self, entry: ManagerEntry) -> None:
        """Name this manager until `withdraw`, or until its process ends."""
        self._open()[1].put(json.dumps(entry.to_payload()).encode())

    def withdraw(self) -> None:
        """Name this manager no more, and close the connection."""
        if self._opened is None:
            return
        (stream, entries), self._opened = self._opened, None
        try:
            # Otherwise it ends by itself soon.
            with contextlib.suppress(NatsUnusable):
                entries.withdraw()
        finally:
            if not self._keeps_connection:
                stream.close()

    def read(self) -> list[ManagerEntry]:
        """The managers that live; the one that leads is the one that holds the lease."""
        stream, entries = self._open()
        holder = stream.run(find_lease_holder(stream, self._bucket))
        leader = None if holder is None else (holder.host, holder.pid)
        found = [entry for each in entries.read() if (entry := _parse(each)) is not None]
        page = next((each.page for each in found if (each.host, each.pid) == leader), "")
        found = [each for each in found if not each.leads and (each.host, each.pid) != leader]
        if holder is not None:
            # Its own entry may come later than the lease, or end while the lease is held.
            led_since = holder.since
            found.append(ManagerEntry(holder.host, holder.pid, True, led_since, page))
        return in_order(found)

    def is_led(self) -> bool:
        """Whether a manager has the store: whether it holds the lease."""
        stream, _ = self._open()
        return stream.run(find_lease_holder(stream, self._bucket)) is not None

    def request_handover(self, leader: ManagerEntry) -> None:
        """Ask one manager to hand the run over; see `ManagerList`."""
        self._open()[1].leave_note(_REQUEST, json.dumps(leader.to_payload()).encode())

    def find_handover_request(self) -> ManagerEntry | None:
        """The manager that is asked to hand the run over, if one is."""
        note = self._open()[1].find_note(_REQUEST)
        return None if note is None else _parse(note)

    def forget_handover_request(self) -> None:
        """Take the request back, if there is one."""
        self._open()[1].delete_note(_REQUEST)

    def _open(self) -> tuple[JetStream, SharedEntries]:
        if self._opened is None:
            stream = self._connect()
            self._opened = (stream, SharedEntries(stream, self._bucket, replicas=self._replicas))
        return self._opened


def _parse(content: bytes) -> ManagerEntry | None:
    try:
        return ManagerEntry.from_payload(json.loads(content))
    except (ValueError, RecursionError):
        return None
