"""What can go wrong with a store in JetStream ends with an error that says what to change."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from pathlib import Path

import pytest
from muster.agents.kernel.board.rows import Rows
from muster.agents.nats.address import NatsAddress
from muster.agents.nats.connection import connect
from muster.agents.store import jet_stream
from muster.agents.store.jet_stream import JetStreamStore, read_stream
from muster.agents.store.places import open_store
from muster.agents.store.row_messages import RowEncoder, RowReader, UnreadableMessage
from muster.messages import InvalidInput, MusterError, NatsUnusable, StoreUnusable

from ..nats_server import NatsServer, running_nats_server
from .conftest import task_row

pytestmark = pytest.mark.nats

DEADLINE_S = 60.0


@pytest.fixture
def url(nats_server: NatsServer) -> str:
    return f"{nats_server.url}/faults-{secrets.token_hex(8)}"


def some_rows(count: int, size: int = 1000, first: int = 0) -> Rows:
    """Rows that can't be compressed."""
    chance = random.Random(first)
    return Rows(
        tasks=tuple(
            task_row(number, number, chance.randbytes(size))
            for number in range(first, first + count)
        )
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "can't name a store"),
        ("/", "can't name a store"),
        ("/two words", "can't name a store"),
        ("/a.b", "can't name a store"),
        ("/a/b", "can't name a store"),
        ("/a*", "can't name a store"),
        (f"/{'x' * 65}", "can't name a store"),
        ("/tea?replicas=0", "replicas=0 .* is not from 1 to 5"),
        ("/tea?replicas=many", "replicas=many .* is not from 1 to 5"),
        ("/tea?max_bytes=-1", "max_bytes=-1 "),
        ("/tea?color=red", "'color' is unknown .* there are replicas and max_bytes"),
    ],
)
def test_a_wrong_url_is_told_before_anything_is_opened(path: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        open_store(f"nats://user:secret@127.0.0.1:1{path}")


@pytest.mark.slow
def test_no_server_is_told_without_the_password() -> None:
    with pytest.raises(StoreUnusable, match=r"can't be opened: .* can't be reached") as raised:
        open_store("nats://user:secret@127.0.0.1:1/tea")
    assert "secret" not in str(raised.value)


def test_what_is_not_there_is_not_read(url) -> None:
    with pytest.raises(StoreUnusable, match="there is no store"):
        read_stream(url)


def test_jetstream_that_is_off_is_told(tmp_path: Path) -> None:
    wrong = pytest.raises(StoreUnusable, match="has no JetStream, or it is off")
    with running_nats_server(tmp_path, jetstream=False) as server, wrong:
        open_store(f"{server.url}/tea")


def test_wrong_credentials_are_told(tmp_path: Path) -> None:
    config = 'authorization { user: "ada", password: "right" }'
    with running_nats_server(tmp_path, config=config) as server:
        place = server.url.replace("nats://", "nats://ada:{}@") + "/tea"
        with pytest.raises(StoreUnusable, match="refuses user 'ada'") as raised:
            open_store(place.format("wrong"))
        assert "wrong" not in str(raised.value).replace("wrong credentials", "")
        store = open_store(place.format("right"))
        assert "right" not in store.url
        store.close()


def test_more_replicas_than_servers_are_told(url) -> None:
    with pytest.raises(StoreUnusable, match=r"not as many servers .* fewer with .replicas="):
        open_store(f"{url}?replicas=3")


def test_a_full_store_ends_the_writes_and_keeps_what_was_written(url) -> None:
    store = open_store(f"{url}?max_bytes=100000")
    store.write(some_rows(50))
    with pytest.raises(StoreUnusable, match="no room left: maximum bytes exceeded; free some"):
        store.write(some_rows(100, first=50))
    with pytest.raises(StoreUnusable, match="no room left"):
        store.write(Rows(b"small"))
    store.close()
    assert read_stream(url)[0] == some_rows(50)
    # With more room it goes on.
    store = open_store(f"{url}?max_bytes=10000000")
    store.write(some_rows(100, first=50))
    assert len(store.load().tasks) == 150
    store.close()


def test_a_server_without_room_is_told(tmp_path: Path) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path / "jetstream"}", max_file_store: 200000 }}'
    with running_nats_server(tmp_path, jetstream=False, config=config) as server:
        store = open_store(f"{server.url}/tea")

        def fill() -> None:
            for number in range(100):
                store.write(some_rows(20, first=20 * number))

        with pytest.raises(StoreUnusable, match=r"no room left: .* max_file_store"):
            fill()
        store.close()


@pytest.mark.parametrize("max_payload", [1024, 20_000])
def test_rows_larger_than_a_message_are_cut(tmp_path: Path, max_payload: int) -> None:
    with running_nats_server(tmp_path, config=f"max_payload: {max_payload}") as server:
        store = JetStreamStore(f"{server.url}/tea")
        rows = some_rows(3, size=30_000)
        store.write(rows)
        assert store._last > 2
        store.close()
        assert read_stream(f"{server.url}/tea")[0] == rows


def test_a_payload_limit_that_leaves_no_room_is_told(tmp_path: Path) -> None:
    wrong = pytest.raises(StoreUnusable, match=r"max_payload .* at least 1024")
    with running_nats_server(tmp_path, config="max_payload: 700") as server, wrong:
        open_store(f"{server.url}/tea")


def test_of_a_write_that_was_cut_short_nothing_is_kept(url, monkeypatch) -> None:
    monkeypatch.setattr("muster.agents.nats.log_stream._MAX_MESSAGE_BYTES", 2000)
    store = JetStreamStore(url)
    store.write(some_rows(2))
    messages = store._encoder.commit(some_rows(20, first=2))
    assert len(messages) > 5
    store._append(store._opened(), messages[:-1])
    assert read_stream(url)[0] == some_rows(2)
    store.close()
    later = JetStreamStore(url)
    assert later.load() == some_rows(2)
    later.write(some_rows(1, first=50))
    assert [row.task_id for row in read_stream(url)[0].tasks] == [0, 1, 50]
    later.close()


class TestSnapshots:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jet_stream, "_SNAPSHOT_AFTER_MESSAGES", 10)
        monkeypatch.setattr("muster.agents.nats.log_stream._MAX_MESSAGE_BYTES", 2000)

    def test_a_store_that_is_written_for_long_stays_short(self, url) -> None:
        store = JetStreamStore(url)
        for number in range(200):
            forgotten = (number - 5,) if number >= 5 else ()
            rows = some_rows(1, first=number)
            store.write(rows._replace(run=b"%d" % number, forgotten=forgotten))
            if number % 50 == 0:
                assert read_stream(url)[0] == store.load()
        stream = store._opened()
        state = stream.run(store._log.open("", create=False))
        assert state is not None
        assert (state.messages < 40, state.last_sequence > 200) == (True, True)
        before = store.load()
        store.close()
        later = JetStreamStore(url)
        assert later.load() == before
        assert [row.task_id for row in before.tasks] == [195, 196, 197, 198, 199]
        later.close()

    @pytest.mark.parametrize("written", [1, 3])
    def test_a_crash_in_the_midst_of_one_leaves_all_rows(self, url, written) -> None:
        store = JetStreamStore(url)
        store.write(some_rows(8))
        parts = list(store._encoder.snapshot(store.load()))
        assert len(parts) > 3
        store._append(store._opened(), parts[:written])
        store.close()
        later = JetStreamStore(url)
        assert later.load() == some_rows(8)
        for number in range(30):
            later.write(some_rows(1, first=100 + number))
        assert read_stream(url)[0] == later.load()
        later.close()

    def test_a_crash_before_the_older_messages_are_deleted_leaves_all_rows(
        self, url, monkeypatch
    ) -> None:
        async def refuse(self: object, sequence: int) -> None:
            raise NatsUnusable("the server is gone")

        monkeypatch.setattr(jet_stream.LogStream, "purge_before", refuse)
        store = JetStreamStore(url)
        for number in range(30):
            store.write(some_rows(1, first=number))
        before = store.load()
        store.close()
        assert read_stream(url)[0] == before

    def test_it_is_read_while_it_is_written(self, url) -> None:
        store = JetStreamStore(url)
        ended = threading.Event()
        numbers: list[int] = []

        def write() -> None:
            number = 0
            while not ended.is_set():
                store.write(some_rows(1, first=number)._replace(run=b"%d" % number))
                number += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(20):
                rows = read_stream(url)[0]
                if rows.run is not None:
                    numbers.append(int(rows.run))
                    assert [row.task_id for row in rows.tasks] == list(range(numbers[-1] + 1))
        finally:
            ended.set()
            thread.join(DEADLINE_S)
            store.close()
        assert numbers == sorted(numbers)


def in_stream(url: str, act) -> None:
    """Do something to the stream of a store, past all stores."""
    address = NatsAddress.parse(url, may_name=True)

    async def go() -> None:
        client = await connect(address, "test")
        try:
            await act(client.jetstream(), f"muster-{address.name}", f"muster-store.{address.name}")
        finally:
            await client.close()

    asyncio.run(go())


def written_by_others(url: str, message: bytes) -> None:
    async def act(context, _stream: str, subject: str) -> None:
        await context.publish(subject, message)

    in_stream(url, act)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "none of a store"),
        (b"hello, this is no row at all", "none of a store"),
        (b"mu\x02" + b"\0" * 40, "layout 2, and this version of Muster reads 1"),
        (RowEncoder(b"another!", 1000).commit(Rows(b"x"))[0][:-1] + b"?", "checksum"),
        (RowEncoder(b"another!", 1000).commit(Rows(b"x"))[0], "had lost the store before"),
    ],
)
def test_messages_of_others_are_found_and_told(url, message: bytes, words: str) -> None:
    store = JetStreamStore(url)
    store.write(Rows(b"run"))
    written_by_others(url, message)
    with pytest.raises(StoreUnusable, match=words):
        read_stream(url)
    # And whoever holds it writes no more.
    with pytest.raises(StoreUnusable, match="opened it since"):
        store.write(Rows(b"more"))
    store.close()
    with pytest.raises(StoreUnusable, match=f"can't be read: .*{words}"):
        JetStreamStore(url)


def test_a_stream_that_was_emptied_is_no_empty_store(url) -> None:
    store = JetStreamStore(url)
    store.write(Rows(b"run"))
    store.close()

    async def act(context, stream: str, _subject: str) -> None:
        await context.purge_stream(stream)

    in_stream(url, act)
    for open_it in (read_stream, JetStreamStore):
        with pytest.raises(StoreUnusable, match="missing"):
            open_it(url)


@pytest.mark.parametrize(
    ("description", "words"),
    [("orders", "is not a store of Muster"), ("A store of Muster, layout 7", "layout 7")],
)
def test_a_stream_of_something_else_or_of_another_layout_is_left_alone(
    url, description: str, words: str
) -> None:
    async def act(context, stream: str, subject: str) -> None:
        await context.add_stream(name=stream, subjects=[subject], description=description)

    in_stream(url, act)
    for open_it in (read_stream, JetStreamStore):
        with pytest.raises(StoreUnusable, match=words):
            open_it(url)


def test_a_stream_that_is_deleted_during_use_is_told_at_the_next_write(url) -> None:
    store = JetStreamStore(url)

    async def act(context, stream: str, _subject: str) -> None:
        await context.delete_stream(stream)

    in_stream(url, act)
    began = time.monotonic()
    with pytest.raises(StoreUnusable, match="it was deleted"):
        store.write(Rows(b"run"))
    assert time.monotonic() - began < DEADLINE_S
    store.close()


def take_all(reader: RowReader, messages: list[bytes]) -> None:
    for number, message in enumerate(messages, 1):
        reader.take(number, message)


def test_an_incomplete_sequence_of_messages_is_not_taken_for_rows() -> None:
    encoder = RowEncoder(b"writer 1", 600)
    opening, *parts = [encoder.opening(), *encoder.commit(some_rows(1, size=2000))]
    assert len(parts) > 2
    for missing in range(len(parts)):
        left = [opening, *parts[:missing], *parts[missing + 1 :], *encoder.commit(Rows(b"x"))]
        with pytest.raises(UnreadableMessage, match="does not follow"):
            take_all(RowReader(), left)
    reader = RowReader()
    reader.take(1, opening)
    with pytest.raises(UnreadableMessage, match="2 to 3 are missing"):
        reader.take(4, encoder.commit(Rows(b"x"))[0])


def test_a_write_waits_for_its_server_and_goes_on(tmp_path: Path) -> None:
    server = NatsServer(tmp_path).start()
    store = JetStreamStore(f"{server.url}/tea")
    try:
        store.write(some_rows(1))
        server.kill()
        written: list[str] = []

        def write() -> None:
            store.write(some_rows(1, first=1))
            written.append("written")

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(0.3)
        assert written == []
        server.start()
        thread.join(DEADLINE_S)
        assert written == ["written"]
        assert read_stream(f"{server.url}/tea")[0] == some_rows(1)._replace(
            tasks=(*some_rows(1).tasks, *some_rows(1, first=1).tasks)
        )
    finally:
        store.close()
        server.kill()


def test_a_server_that_stays_away_ends_the_write(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(jet_stream, "PATIENCE_S", 0.5)
    server = NatsServer(tmp_path).start()
    store = JetStreamStore(f"{server.url}/tea")
    try:
        server.kill()
        with pytest.raises(StoreUnusable, match=r"can't be written: .*tried for 0.5 s"):
            store.write(Rows(b"run"))
        with pytest.raises(MusterError):
            store.write(Rows(b"run"))
    finally:
        store.close()


def test_what_was_written_but_not_acknowledged_is_not_written_twice(url, monkeypatch) -> None:
    store = JetStreamStore(url)
    publish = jet_stream.LogStream._publish
    lost: list[int] = []

    async def lose_the_first_answer(self, message: bytes, after: int) -> int:
        sequence = await publish(self, message, after)
        if not lost:
            lost.append(sequence)
            raise ConnectionResetError
        return sequence

    monkeypatch.setattr(jet_stream.LogStream, "_publish", lose_the_first_answer)
    store.write(Rows(b"first"))
    store.write(Rows(b"second"))
    assert store._last == lost[0] + 1
    assert read_stream(url)[0] == Rows(b"second")
    store.close()
