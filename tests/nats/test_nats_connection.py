"""A connection to a NATS server, and what is said if there can be none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from muster.agents.nats.address import NatsAddress
from muster.agents.nats.connection import connect
from muster.agents.runtime.ports import claim_port
from muster.messages import NatsUnusable

from ..nats_server import NatsServer, running_nats_server
from .certificates import NatsKey, credentials_text, make_certificate, make_operator

pytestmark = pytest.mark.nats

SHORT_S = 0.3
DEADLINE_S = 60.0


async def exchange(address: NatsAddress) -> bytes:
    """Send a message to oneself."""
    client = await connect(address, "test", timeout_s=DEADLINE_S)
    try:
        heard = await client.subscribe("here")
        await client.publish("here", b"hello")
        return (await heard.next_msg(timeout=DEADLINE_S)).data
    finally:
        await client.close()


async def complaint(address: NatsAddress, timeout_s: float = DEADLINE_S) -> str:
    with pytest.raises(NatsUnusable) as told:
        await connect(address, "test", timeout_s=timeout_s)
    text = str(told.value)
    assert "hidden" not in text
    return text


@contextlib.asynccontextmanager
async def answering(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[NatsAddress]:
    """A server of another kind."""

    serving: set[asyncio.Future[object]] = set()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await answer(writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield NatsAddress.parse(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


async def test_a_message_comes_back(nats_server: NatsServer) -> None:
    assert await exchange(NatsAddress.parse(nats_server.url)) == b"hello"


async def test_a_server_that_is_away_among_others_does_not_matter(nats_server: NatsServer) -> None:
    url = f"nats://127.0.0.1:{claim_port()},127.0.0.1:{nats_server.port}"
    assert await exchange(NatsAddress.parse(url)) == b"hello"


async def test_no_server_is_told_in_time() -> None:
    text = await complaint(
        NatsAddress.parse(f"nats://ann:hidden@127.0.0.1:{claim_port()}"), SHORT_S
    )
    assert "can't be reached" in text
    assert "check that it runs" in text


async def test_a_server_that_starts_a_little_later_is_reached(tmp_path: Path) -> None:
    with running_nats_server(tmp_path) as server:
        server.kill()
        connecting = asyncio.ensure_future(exchange(NatsAddress.parse(server.url)))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.start)
        assert await connecting == b"hello"


async def test_an_unknown_host_is_told() -> None:
    text = await complaint(NatsAddress.parse("nats://no-such-host.invalid"), SHORT_S)
    assert "can't be reached" in text


async def _say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(DEADLINE_S)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Nothing: who returns closes."""


async def _talk_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def _send_no_json(writer: asyncio.StreamWriter) -> None:
    writer.write(b"INFO nonsense\r\n")
    await writer.drain()


async def _send_no_line(writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(1_000_000))
    await writer.drain()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_say_nothing, "no answer in time"),
        (_close, "is no NATS server"),
        (_talk_http, "is no NATS server"),
        (_send_no_json, "is no NATS server"),
        (_send_no_line, "is no NATS server"),
    ],
)
async def test_another_kind_of_server_is_told(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], why: str
) -> None:
    # It is asked until then.
    timeout_s = SHORT_S if answer is _say_nothing else 1.0
    async with answering(answer) as address:
        text = await complaint(address, timeout_s)
    assert why in text
    assert "host and port" in text


@pytest.mark.parametrize(
    ("credentials", "who"),
    [("ann:hidden@", "user 'ann'"), ("hidden@", "this token"), ("", "without credentials")],
)
async def test_wrong_credentials_are_told(tmp_path: Path, credentials: str, who: str) -> None:
    with running_nats_server(
        tmp_path, config='authorization { user: "ann", password: "right" }'
    ) as server:
        address = NatsAddress.parse(f"nats://{credentials}127.0.0.1:{server.port}")
        text = await complaint(address)
        assert await exchange(NatsAddress.parse(f"nats://ann:right@127.0.0.1:{server.port}"))
    assert f"refuses {who if who.startswith(('user', 'this')) else 'a connection ' + who}" in text
    assert "--nats-creds" in text


async def test_a_credentials_file_is_used(tmp_path: Path) -> None:
    operator, stranger = make_operator(), make_operator()
    right, wrong = tmp_path / "right.creds", tmp_path / "wrong.creds"
    right.write_text(operator.credentials, encoding="ascii")
    wrong.write_text(stranger.credentials, encoding="ascii")
    with running_nats_server(
        tmp_path / "server", jetstream=False, config=operator.config
    ) as server:
        assert await exchange(NatsAddress.parse(server.url, right)) == b"hello"
        assert f"refuses the credentials of {str(wrong)!r}" in await complaint(
            NatsAddress.parse(server.url, wrong)
        )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't be read"),
        ("", "lacks a user's JWT or seed"),
        ("-----BEGIN NATS USER JWT-----\n", "lacks a user's JWT or seed"),
        (credentials_text("a.b.c", "SUhidden"), "seed can't be read"),
        (credentials_text("a.b.c", NatsKey("U").seed[:-1]), "seed can't be read"),
        (credentials_text("a.b.c", NatsKey("A").seed), "not that of a user"),
        (credentials_text("a.b.c", NatsKey("U").public), "seed"),
    ],
)
async def test_a_wrong_credentials_file_is_told(
    tmp_path: Path, content: str | None, why: str
) -> None:
    file = tmp_path / "user.creds"
    if content is not None:
        file.write_text(content, encoding="ascii")
    text = await complaint(NatsAddress.parse("nats://127.0.0.1:1", file))
    assert why in text
    assert str(file) in text


async def test_tls_is_checked_against_the_named_authority(tmp_path: Path) -> None:
    ours, other = make_certificate(tmp_path / "ours"), make_certificate(tmp_path / "other")
    config = f'tls {{ cert_file: "{ours.certificate}", key_file: "{ours.key}" }}'
    with running_nats_server(tmp_path / "server", jetstream=False, config=config) as server:
        where = f"127.0.0.1:{server.port}"
        assert (
            await exchange(NatsAddress.parse(f"tls://{where}", tls_ca=ours.certificate)) == b"hello"
        )
        for address in (
            NatsAddress.parse(f"tls://{where}"),
            NatsAddress.parse(f"nats://{where}"),
            NatsAddress.parse(f"tls://{where}", tls_ca=other.certificate),
        ):
            text = await complaint(address)
            assert "can't be trusted" in text
            assert "--tls-ca" in text


async def test_no_password_is_sent_unencrypted_if_the_url_asks_for_tls(
    nats_server: NatsServer,
) -> None:
    text = await complaint(NatsAddress.parse(f"tls://ann:hidden@127.0.0.1:{nats_server.port}"))
    assert "offers no TLS" in text
    assert "write nats://" in text


@pytest.mark.parametrize("content", [None, "no certificate", ""])
async def test_a_wrong_file_of_certificates_is_told(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content, encoding="ascii")
    text = await complaint(NatsAddress.parse("tls://127.0.0.1:1", tls_ca=file))
    assert str(file) in text
    assert "--tls-ca" in text


async def test_the_client_connects_again_when_the_server_is_back(tmp_path: Path) -> None:
    gone, back = asyncio.Event(), asyncio.Event()

    async def disconnected() -> None:
        gone.set()

    async def reconnected() -> None:
        back.set()

    with running_nats_server(tmp_path) as server:
        address = NatsAddress.parse(server.url)
        client = await connect(address, "test", disconnected=disconnected, reconnected=reconnected)
        heard = await client.subscribe("here")
        server.kill()
        await asyncio.wait_for(gone.wait(), DEADLINE_S)
        await asyncio.to_thread(server.start)
        await asyncio.wait_for(back.wait(), DEADLINE_S)
        await client.publish("here", b"again")
        assert (await heard.next_msg(timeout=DEADLINE_S)).data == b"again"
        await client.close()
