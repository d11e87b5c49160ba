"""A store in a stream of JetStream, which managers on several machines can open in turn."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Generator
from typing import Final

from ...messages import NatsUnusable, StoreBusy, StoreTaken, StoreUnusable
from ..kernel.board.rows import NOTHING, Rows
from ..nats.address import NatsAddress
from ..nats.jet_stream import JetStream
from ..nats.lease import LeaseHeld, LeaseHolder, StoreLease, find_lease_holder
from ..nats.log_stream import LogStream, StreamState, Superseded
from ..nats.names import check_name, read_options
from .row_messages import (
    LAYOUT_VERSION,
    MIN_MESSAGE_BYTES,
    RowEncoder,
    RowReader,
    UnreadableMessage,
)
from .stream_managers import StreamManagers

PATIENCE_S: Final = 60.0
"""How long a write waits for a server that is gone, in seconds."""

_OPENING_PATIENCE_S: Final = 5.0
_OPENING_ATTEMPTS: Final = 20
_DESCRIPTION: Final = "A store of Muster, layout "
_SNAPSHOT_AFTER_MESSAGES: Final = 50_000
_SNAPSHOT_AFTER_BYTES: Final = 32 << 20
_SNAPSHOT_AFTER_SNAPSHOTS: Final = 2
"""A snapshot is due when the messages since the last one have this many times its size."""


class JetStreamStore:
    """Keeps the rows of a run in a stream of JetStream; a new store is open and holds the stream.

    Opening it takes a lease, which another manager can take two seconds after this one has died or
    has lost its connection. It also writes a message that every further message must follow. So
    whoever held the store before can write no more, even without knowing that it has lost it.

    Each write is one message, or several of which only the last makes it valid. When the server
    is gone, a write waits for it up to a minute. Rows that `write` has written survive the manager
    and, with several replicas, a server. Like SQLite's, they are not forced to a disk at once.

    The rows are also kept in memory, for the snapshots that keep the stream short.

    Args:
        url: the servers and the store's name, such as `nats://host:4222/orders?replicas=3`.
        name: the manager's name, which others are told while it holds the store.

    Raises:
        InvalidInput: it is no such URL.
        StoreBusy: another manager holds it.
        StoreUnusable: there is no server, or it refuses; the stream is not a store, is damaged, or
            has another layout. It is left unchanged.
    """

    waits = True

    def __init__(self, url: str, *, name: str = "task_manager") -> None:
        self._place = _Place(url)
        self._fault: StoreUnusable | None = None
        with self._place.raising_ours("opened"):
            self._stream: JetStream | None = JetStream(self._place.address, f"muster store, {name}")
            self._log = self._place.log_of(self._stream)
            self._lease = StoreLease(self._stream, self._place.bucket, name)
            self._managers = StreamManagers(
                self._opened,
                self._place.bucket,
                replicas=self._place.replicas,
                keeps_connection=True,
            )
            try:
                self._open(self._stream)
            except LeaseHeld as fault:
                self.close()
                raise self._place.busy(fault.holder) from None
            except BaseException:
                self.close()
                raise

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return str(self._place.address)

    @property
    def blobs_urls(self) -> tuple[str, str]:
        """Where the run's large data is kept by default: its URL, and the one without a password.

        It is beside the store, so that a manager on another machine finds it.
        """
        address = self._place.address
        query = f"?replicas={self._place.replicas}" if self._place.replicas else ""
        bucket = f"{address.name}-blobs{query}"
        return f"{address.url}/{bucket}", f"{address.without_password().url}/{bucket}"

    @property
    def managers(self) -> StreamManagers:
        """The managers that share it: the one that leads, and those that stand by."""
        return self._managers

    def when_lost(self, callback: Callable[[], object]) -> None:
        """Call a function, in another thread, as soon as another manager has taken the store."""
        self._lease.when_taken(callback)

    def load(self) -> Rows:
        """Read all rows.

        Raises:
            StoreUnusable: the store is closed.
        """
        self._opened()
        return self._rows.read()

    def write(self, rows: Rows) -> None:
        """Write rows atomically.

        Raises:
            StoreTaken: another manager has opened the store; nothing is written any more.
            StoreUnusable: the store is closed; the server is gone for too long, has no room left or
                has deleted the stream; a row lacks the definition of its task, which was never
                written.
        """
        stream = self._opened()
        if self._fault is not None:
            raise self._fault
        if self._lease.taken_by is not None:
            raise self._broken(self._taken(str(self._lease.taken_by)))
        if rows == NOTHING:
            self._check_lease()
            return
        defined = self._rows.define(rows)
        messages = self._encoder.commit(rows)
        try:
            self._append(stream, messages)
            self._rows.keep(rows, defined)
            if self._is_snapshot_due():
                self._write_snapshot(stream)
        except Superseded as fault:
            raise self._broken(self._taken(str(fault))) from None
        except NatsUnusable as fault:
            raise self._broken(self._place.unusable("written", fault)) from None

    def close(self) -> None:
        """Give the lease back and close the connection, so that another manager can open it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                with contextlib.suppress(NatsUnusable):
                    stream.run(self._lease.release())
            finally:
                stream.close()

    def _open(self, stream: JetStream) -> None:
        place, run = self._place, stream.run
        if self._log.max_message_bytes < MIN_MESSAGE_BYTES:
            raise StoreUnusable(
                f"the store {self.url!r} can't be opened: max_payload of the server is too small; "
                "set it to at least 1024"
            )
        place.check(run(self._log.open("", create=False)))
        run(self._lease.acquire(replicas=place.replicas))
        found = run(
            self._log.open(
                f"{_DESCRIPTION}{LAYOUT_VERSION}",
                replicas=place.replicas,
                max_bytes=place.max_bytes,
                create=True,
            )
        )
        place.check(found)
        self._encoder = RowEncoder(secrets.token_bytes(8), self._log.max_message_bytes)
        self._last = self._write_opening(stream)
        reader = place.read(self._log, stream)
        if reader.last_sequence != self._last:
            raise self._taken("another manager has opened it at the same time")
        self._rows = reader.rows
        self._messages, self._bytes = reader.messages, reader.bytes
        self._snapshot_bytes = reader.snapshot_bytes

    def _write_opening(self, stream: JetStream) -> int:
        """Write the message that ends what a former manager may still be writing."""
        opening = self._encoder.opening()
        for _ in range(_OPENING_ATTEMPTS):
            last = stream.run(self._log.last_sequence())
            with contextlib.suppress(Superseded):
                return stream.run(self._log.append(opening, last, self._lease, _OPENING_PATIENCE_S))
        raise StoreBusy(
            f"the store {self.url!r} is being written to by a manager that has lost its "
            "lease; stop it, or give this manager another store"
        )

    def _append(self, stream: JetStream, messages: list[bytes]) -> None:
        for message in messages:
            append = self._log.append(message, self._last, self._lease, PATIENCE_S)
            self._last = stream.run(append)
            self._messages += 1
            self._bytes += len(message)

    def _is_snapshot_due(self) -> bool:
        most = max(_SNAPSHOT_AFTER_BYTES, _SNAPSHOT_AFTER_SNAPSHOTS * self._snapshot_bytes)
        return self._messages > _SNAPSHOT_AFTER_MESSAGES or self._bytes > most

    def _write_snapshot(self, stream: JetStream) -> None:
        begin = self._last + 1
        self._messages = self._bytes = 0
        for message in self._encoder.snapshot(self._rows.read()):
            self._append(stream, [message])
        self._snapshot_bytes = self._bytes
        self._messages = self._bytes = 0
        # What is left over is deleted with the next snapshot.
        with contextlib.suppress(NatsUnusable):
            stream.run(self._log.purge_before(begin))

    def _opened(self) -> JetStream:
        if self._stream is None:
            raise StoreUnusable(
                f"the store {self.url!r} is closed; open it again with JetStreamStore(url)"
            )
        return self._stream

    def _check_lease(self) -> None:
        if not self._lease.is_valid():
            raise StoreUnusable(
                f"the store {self.url!r} can't be written now: its lease has run out, and the "
                "server has not renewed it yet; check the connection to the server"
            )

    def _broken(self, fault: StoreUnusable) -> StoreUnusable:
        """What every further write raises, since it is not known what the stream has."""
        self._fault = fault
        return fault

    def _taken(self, why: str) -> StoreTaken:
        return StoreTaken(
            f"the store {self.url!r} was lost: {why}; whatever this manager had written is there, "
            "and the manager that leads now goes on with it"
        )


class _Place:
    """Where a store is, and what is raised about it."""

    def __init__(self, url: str) -> None:
        self.address = NatsAddress.parse(url, may_name=True)
        name = check_name(self.address.name, "a store")
        self.replicas, self.max_bytes = read_options(self.address)
        self.bucket = f"muster-{name}"
        self._name = f"muster-{name}"
        self._subject = f"muster-store.{name}"

    def log_of(self, stream: JetStream) -> LogStream:
        return LogStream(stream, self._name, self._subject)

    def check(self, found: StreamState | None) -> None:
        """Check that a stream is a store which this version can read."""
        if found is None or found.description == f"{_DESCRIPTION}{LAYOUT_VERSION}":
            return
        layout = found.description.removeprefix(_DESCRIPTION)
        if layout != found.description:
            raise StoreUnusable(
                f"the store {str(self.address)!r} has layout {layout[:20]}, and this version of "
                f"Muster reads {LAYOUT_VERSION}; use the version that wrote it, or another name"
            )
        raise StoreUnusable(
            f"the stream {self._name!r} at {str(self.address)!r} is not a store of Muster; give "
            "the store another name"
        )

    def read(self, log: LogStream, stream: JetStream) -> RowReader:
        """Read all rows of a stream."""
        reader = RowReader()
        try:
            last = stream.run(log.read(reader.take, reader.is_whole))
            reader.finish(last)
        except UnreadableMessage as fault:
            raise StoreUnusable(
                f"the store {str(self.address)!r} can't be read: {fault}; use the version of "
                "Muster that wrote it, restore its stream from a backup, or use another name"
            ) from None
        return reader

    def raising_ours(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return _raising_ours(self, doing)

    def unusable(self, doing: str, fault: NatsUnusable) -> StoreUnusable:
        return StoreUnusable(
            f"the store {str(self.address)!r} can't be {doing}: {fault}", may_pass=fault.may_pass
        )

    def busy(self, holder: LeaseHolder) -> StoreBusy:
        return StoreBusy(
            f"the store {str(self.address)!r} is held by {holder}; wait until it ends, stop it, or "
            "give this manager another store"
        )


@contextlib.contextmanager
def _raising_ours(place: _Place, doing: str) -> Generator[None]:
    try:
        yield
    except NatsUnusable as fault:
        raise place.unusable(doing, fault) from None


def managers_of_stream(url: str) -> StreamManagers:
    """The managers that share the store at a URL.

    Raises:
        InvalidInput: it is no such URL.
    """
    place = _Place(url)

    def connect() -> JetStream:
        return JetStream(place.address, "muster managers")

    return StreamManagers(connect, place.bucket, replicas=place.replicas)


def read_stream(url: str) -> tuple[Rows, LeaseHolder | None]:
    """Read all rows of a store in JetStream, also while a manager writes to it; it changes nothing.

    Args:
        url: the servers and the store's name.

    Returns:
        The rows, and who holds the store.

    Raises:
        InvalidInput: it is no such URL.
        StoreUnusable: there is no server or no such store, or it can't be read.
    """
    place = _Place(url)
    with place.raising_ours("read"):
        stream = JetStream(place.address, "muster store, reading")
        try:
            log = place.log_of(stream)
            found = stream.run(log.open("", create=False))
            if found is None:
                raise StoreUnusable(f"there is no store {str(place.address)!r}; check its name")
            place.check(found)
            # Before the rows: a manager that ends in between has then written all of them.
            holder = stream.run(find_lease_holder(stream, place.bucket))
            return place.read(log, stream).rows.read(), holder
        finally:
            stream.close()
