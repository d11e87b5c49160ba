"""Whoever held a store in JetStream before can write nothing more, whatever the order of writes."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from muster.agents.kernel.board.rows import Rows
from muster.agents.nats.lease import StoreLease
from muster.agents.nats.log_stream import LogStream
from muster.agents.store.jet_stream import JetStreamStore, read_stream
from muster.messages import StoreBusy, StoreTaken, StoreUnusable

from ..nats_server import NatsServer
from .conftest import task_row

pytestmark = pytest.mark.nats

DEADLINE_S = 60.0


@pytest.fixture
def url(nats_server: NatsServer) -> str:
    return f"{nats_server.url}/fence-{secrets.token_hex(8)}"


@pytest.fixture
def opened() -> Iterator[list[JetStreamStore]]:
    stores: list[JetStreamStore] = []
    yield stores
    for store in stores:
        store.close()


@pytest.fixture
def without_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody believes to hold the lease, so that only the fence is left."""

    async def acquire(lease: StoreLease, *, replicas: int | None) -> None:
        del lease, replicas

    monkeypatch.setattr(StoreLease, "acquire", acquire)
    monkeypatch.setattr(StoreLease, "is_valid", lambda lease: True)


def in_some_order(url: str, opened: list[JetStreamStore], seed: int) -> None:
    """Open stores and write with any of them; check that one unbroken line of writes is left."""
    choices = random.Random(seed)
    kept: dict[int, bytes] = {}
    leader: JetStreamStore | None = None
    for number in range(1, 41):
        if leader is None or choices.random() < 0.2:
            leader = JetStreamStore(url, name=f"manager {number}")
            opened.append(leader)
            assert {row.task_id: row.state for row in leader.load().tasks} == kept
        writer = choices.choice(opened)
        size = choices.choice([1, 100, 400_000])
        state = random.Random(number).randbytes(size)
        rows = Rows(
            tasks=tuple(
                task_row(number * 10 + each, number * 10 + each, state) for each in range(3)
            )
        )
        if writer is leader:
            writer.write(rows)
            kept.update((row.task_id, row.state) for row in rows.tasks)
        else:
            with pytest.raises(StoreTaken, match="opened it since"):
                writer.write(rows)
    assert {row.task_id: row.state for row in read_stream(url)[0].tasks} == kept


@pytest.mark.usefixtures("without_leases")
@pytest.mark.parametrize("seed", range(3))
def test_of_writers_in_any_order_only_the_last_to_open_the_store_writes(url, opened, seed) -> None:
    in_some_order(url, opened, seed)


@pytest.mark.usefixtures("without_leases")
def test_the_same_order_of_writes_finds_a_missing_fence(url, opened, monkeypatch) -> None:
    async def publish(log: LogStream, message: bytes, after: int) -> int:
        del after
        return (await log._stream.context.publish(log._subject, message)).seq

    monkeypatch.setattr(LogStream, "_publish", publish)
    with pytest.raises((StoreUnusable, AssertionError, pytest.fail.Exception)):
        in_some_order(url, opened, 0)


@pytest.mark.usefixtures("without_leases")
def test_of_writers_at_the_same_time_one_prefix_each_is_kept(url, opened) -> None:
    acknowledged: list[list[int]] = []

    def write_until_taken(store: JetStreamStore, begin: int, written: list[int]) -> None:
        for number in range(begin, begin + 100_000):
            try:
                # Now and then in two messages, of which only the second makes it valid.
                state = random.Random(number).randbytes(1_200_000 if number % 7 == 0 else 10)
                store.write(Rows(tasks=(task_row(number, number, state),)))
            except StoreTaken:
                return
            written.append(number)

    threads: list[threading.Thread] = []
    found: list[list[int]] = []
    for turn in range(5):
        store = JetStreamStore(url, name=f"manager {turn}")
        opened.append(store)
        found.append([row.task_id for row in store.load().tasks])
        acknowledged.append([])
        begin = 1 + turn * 1_000_000
        arguments = (store, begin, acknowledged[-1])
        threads.append(threading.Thread(target=write_until_taken, args=arguments))
        threads[-1].start()
        wait_for(lambda: len(acknowledged[-1]) > 10)
    JetStreamStore(url, name="last").close()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    kept = [row.task_id for row in read_stream(url)[0].tasks]
    for turn, written in enumerate(acknowledged):
        begin = 1 + turn * 1_000_000
        own = [each for each in kept if begin <= each < begin + 1_000_000]
        # The acknowledgement of one more may not have arrived.
        assert own[: len(written)] == written
        assert len(own) <= len(written) + 1
        if turn + 1 < len(found):
            assert found[turn + 1] == [each for each in kept if each < begin + 1_000_000]


def wait_for(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_whoever_holds_it_is_named(url, opened) -> None:
    opened.append(JetStreamStore(url, name="tea manager"))
    with pytest.raises(StoreBusy, match=r"is held by tea manager, process \d+ on \S+; wait until"):
        JetStreamStore(url)


@pytest.mark.slow
def test_a_manager_that_renews_its_lease_no_more_loses_its_store(url, opened) -> None:
    first = JetStreamStore(url, name="first")
    opened.append(first)
    first.write(Rows(b"first"))
    lost: list[str] = []
    first.when_lost(lambda: lost.append("first"))
    # As when its process is stopped: it neither renews the lease nor looks at the clock.
    first._stream._thread.call_soon(time.sleep, 5.0)
    began = time.monotonic()
    second = JetStreamStore(url, name="second")
    opened.append(second)
    assert second.load().run == b"first"
    second.write(Rows(b"second"))
    assert time.monotonic() - began > 1.0
    with pytest.raises(StoreTaken, match=r"second, process|opened it since"):
        first.write(Rows(b"too late"))
    wait_for(lambda: lost == ["first"])
    with pytest.raises(StoreTaken):
        first.write(Rows())
    assert second.load().run == read_stream(url)[0].run == b"second"


@pytest.mark.slow
def test_a_manager_without_connection_stops_before_another_can_have_its_lease(url, opened) -> None:
    first = JetStreamStore(url, name="first")
    opened.append(first)
    lease = first._lease
    # Nothing goes out any more, and nothing comes in.
    first._stream.run(cut_off(first))
    wait_for(lambda: not lease.is_valid())
    second_at = None
    try:
        second = JetStreamStore(url, name="second")
        opened.append(second)
        second_at = time.monotonic()
    finally:
        assert second_at is not None
        assert lease._valid_until < second_at
    with pytest.raises(StoreUnusable, match="its lease has run out"):
        first.write(Rows())


async def cut_off(store: JetStreamStore) -> None:
    client = store._stream.client

    async def nothing(*arguments: object, **options: object) -> None:
        raise ConnectionError("cut off")

    client.publish = nothing
