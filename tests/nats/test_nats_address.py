"""The URL of NATS servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.agents.nats.address import NatsAddress, is_nats_url
from muster.messages import InvalidInput


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSTER_NATS_CREDS", raising=False)
    monkeypatch.delenv("MUSTER_NATS_TLS_CA", raising=False)


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://host:4333", ("host:4333",)),
        ("nats://host", ("host:4222",)),
        ("nats://[::1]:4333", ("[::1]:4333",)),
        ("nats://a:1,b:2", ("a:1", "b:2")),
        ("nats://a:1,nats://b:2", ("a:1", "b:2")),
        ("nats://user:pass@a:1,b:2", ("a:1", "b:2")),
        ("tls://user:pass@a,user:pass@b", ("a:4222", "b:4222")),
    ],
)
def test_servers_are_read(url: str, servers: tuple[str, ...]) -> None:
    assert NatsAddress.parse(url).servers == servers


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("nats://ann:secret@host", "ann", "secret"),
        ("nats://ann:p%40ss%3A@host", "ann", "p@ss:"),
        ("nats://token@host", "", "token"),
        ("nats://host", "", ""),
    ],
)
def test_credentials_are_read_and_written(url: str, user: str, password: str) -> None:
    address = NatsAddress.parse(url)
    assert (address.user, address.password) == (user, password)
    assert NatsAddress.parse(address.url) == address
    assert NatsAddress.parse(address.without_password().url).password == ""


def test_no_text_shows_a_password() -> None:
    address = NatsAddress.parse("tls://ann:hidden@host:4333")
    assert str(address) == "tls://host:4333"
    assert "hidden" not in repr(address)
    assert "hidden" not in "".join(address.urls)


def test_a_stream_may_be_named_where_it_is_asked_for() -> None:
    address = NatsAddress.parse("nats://a:1,b:2/RUN?replicas=3", may_name=True)
    assert (address.servers, address.name, dict(address.options)) == (
        ("a:1", "b:2"),
        "RUN",
        {"replicas": "3"},
    )
    assert str(address) == "nats://a:1,b:2/RUN"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "scheme"),
        ("host:4222", "scheme"),
        ("http://host", "scheme"),
        ("ws://host", "scheme"),
        ("nats:host", "scheme"),
        ("nats://", "host is missing"),
        ("nats://:4222", "host is missing"),
        ("nats://a,,b", "host is missing"),
        ("nats://ann:hidden@", "host is missing"),
        ("nats://ann:hidden@ho st:1", "host is missing"),
        ("nats://host:0", "port 0"),
        ("nats://host:65536", "(?i)port"),
        ("nats://ann:hidden@host:none", "(?i)port"),
        ("nats://[::1", "(?i)ipv6"),
        ("nats://ann:hidden@host/NAME", "path"),
        ("nats://host?replicas=3", "path"),
        ("nats://host#here", "fragment"),
        ("nats://ann:hidden@a,bob:hidden@b", "same user"),
        ("nats://" + "a" * 5000, "4,096"),
    ],
)
def test_a_wrong_url_is_refused_and_says_what_to_write(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        NatsAddress.parse(url)
    assert "nats://HOST:PORT" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_files_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_NATS_CREDS", "user.creds")
    monkeypatch.setenv("MUSTER_NATS_TLS_CA", "ca.pem")
    address = NatsAddress.parse("nats://host")
    assert (address.creds_file, address.tls_ca) == (Path("user.creds"), Path("ca.pem"))
    assert NatsAddress.parse("nats://host", "other.creds").creds_file == Path("other.creds")


def test_what_is_meant_as_a_url_is_told() -> None:
    assert is_nats_url("nats://host")
    assert is_nats_url("tls://host")
    assert not is_nats_url("ceylon")
    assert not is_nats_url(Path("nats://host"))
