"""Who is let in: by host, origin, token, and size; nothing else reaches the application."""

from __future__ import annotations

from typing import Any

import pytest
from muster.agents.live.guard import MAX_BODY_BYTES, Admission, Guard, RequestFacts, find_rejection
from muster.agents.security.secret_sources import fresh_secret

SECRET = fresh_secret()
TOKEN = f"Bearer {SECRET.reveal()}"
HERE = Admission(secret=SECRET)
ABROAD = Admission(
    secret=SECRET,
    needs_secret=True,
    names=frozenset({"estate.example"}),
    takes_addresses=True,
)


def asked(method: str = "GET", path: str = "/api/tasks", **headers: str) -> RequestFacts:
    kept = {"host": "localhost:8080", **headers}
    if method == "POST":
        kept.setdefault("content_type", "application/json")
    return RequestFacts(method, path, **kept)


def status(admission: Admission, request: RequestFacts) -> int | None:
    fault = find_rejection(request, admission)
    return None if fault is None else fault.status


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080"])
def test_on_loopback_its_own_names_are_let_in(host: str) -> None:
    assert status(HERE, asked(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", ""),
        *("192.168.1.7:8080", "localhost:8080, evil.example", "[::1].evil", "localhost:80:80"),
        "a@localhost",
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_not(host: str) -> None:
    assert status(HERE, asked(host=host)) == 421
    assert status(HERE, asked(path="/", host=host)) == 421


def test_elsewhere_addresses_and_given_names_are_let_in() -> None:
    for host in ("192.168.1.7:8080", "[fe80::1]:8080", "estate.example", "ESTATE.example.:443"):
        assert status(ABROAD, asked(host=host, authorization=TOKEN)) is None
    assert status(ABROAD, asked(host="evil.example", authorization=TOKEN)) == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"site": "cross-site"},
        {"site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9090"},
        {"origin": "http://localhost"},
    ],
)
def test_what_comes_from_another_site_changes_nothing_and_reads_nothing(
    headers: dict[str, str],
) -> None:
    assert status(HERE, asked("POST", **headers)) == 403
    assert status(HERE, asked("GET", **headers)) == 403
    assert status(HERE, asked("GET", path="/metrics", **headers)) == 403


def test_a_link_from_elsewhere_leads_to_the_page() -> None:
    assert status(HERE, asked(path="/", site="cross-site")) is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"site": "same-origin"}, {"site": "none"}, {"origin": "http://localhost:8080"}],
)
def test_the_page_itself_and_curl_may_change_things(headers: dict[str, str]) -> None:
    assert status(HERE, asked("POST", **headers)) is None


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_can_send_changes_nothing(kind: str) -> None:
    assert status(HERE, asked("POST", content_type=kind)) == 415


def test_json_with_a_charset_is_json() -> None:
    assert status(HERE, asked("POST", content_type="application/json; charset=utf-8")) is None


@pytest.mark.parametrize("path", ["/api/tasks", "/api/stats", "/api/events", "/api", "/metrics"])
@pytest.mark.parametrize(
    "token",
    [
        *("", "Bearer ", "Bearer wrong", f"Basic {SECRET.reveal()}", SECRET.reveal()),
        f"Bearer {fresh_secret().reveal()}",
    ],
    # Names without what is drawn anew each time, so that each process gives the same ones.
    ids=["none", "empty", "wrong", "basic", "without its kind", "another secret"],
)
def test_off_loopback_nothing_is_told_without_the_secret(path: str, token: str) -> None:
    assert status(ABROAD, asked(path=path, host="estate.example", authorization=token)) == 401
    allowed = asked(path=path, host="estate.example", authorization=TOKEN)
    assert status(ABROAD, allowed) is None


def test_the_secret_may_be_shown_in_either_of_its_two_forms() -> None:
    as_hex = asked(host="estate.example", authorization=f"bearer {SECRET.key.hex()}")
    assert status(ABROAD, as_hex) is None


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/healthz", "/readyz", "/docs"])
def test_the_empty_page_and_the_signs_of_life_need_no_secret(path: str) -> None:
    assert status(ABROAD, asked(path=path, host="estate.example")) is None


def test_the_ticket_needs_the_secret_even_on_loopback() -> None:
    assert status(HERE, asked(path="/api/ticket")) == 401
    assert status(HERE, asked(path="/api/ticket/")) == 401
    assert status(HERE, asked(path="/api/ticket", authorization=TOKEN)) is None
    assert status(Admission(), asked(path="/api/ticket", authorization=TOKEN)) == 403


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (str(MAX_BODY_BYTES), None),
        (str(MAX_BODY_BYTES + 1), 413),
        ("9" * 5000, 400),
        ("-1", 400),
        ("\u00b2", 400),
    ],
)
def test_a_body_says_how_large_it_is_and_is_believed_if_too_large(
    length: str, expected: int | None
) -> None:
    assert status(HERE, asked("POST", length=length)) == expected


def test_no_refusal_shows_the_token() -> None:
    wrong = fresh_secret().reveal()
    fault = find_rejection(asked(host="estate.example", authorization=f"Bearer {wrong}"), ABROAD)
    assert fault is not None
    assert wrong not in fault.error


async def answer(parts: list[dict[str, Any]], **scope: Any) -> tuple[list[Any], list[bytes]]:
    """What a guarded application was given, and what was answered."""
    taken: list[bytes] = []
    answered: list[Any] = []

    async def application(_: Any, receive: Any, send: Any) -> None:
        message = await receive()
        taken.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    request = {"type": "http", "method": "POST", "path": "/api/tasks", "headers": headers}
    await Guard(application, HERE)({**request, **scope}, receive, send)
    return answered, taken


async def test_a_body_without_a_length_is_measured_while_it_comes() -> None:
    part = {"type": "http.request", "body": b"x" * (MAX_BODY_BYTES // 2 + 1), "more_body": True}
    answered, taken = await answer([part, dict(part), dict(part)])
    assert answered[0]["status"] == 413
    assert taken == []


async def test_a_body_in_parts_arrives_whole() -> None:
    parts = [
        {"type": "http.request", "body": b"[1,", "more_body": True},
        {"type": "http.request", "body": b"2]", "more_body": False},
    ]
    answered, taken = await answer(parts)
    assert (answered[0]["status"], taken) == (200, [b"[1,2]"])
    headers = {name.decode(): value.decode() for name, value in answered[0]["headers"]}
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_under_a_mount_the_path_counts_from_there() -> None:
    answered, _ = await answer([], method="GET", path="/muster/api/ticket", root_path="/muster")
    assert answered[0]["status"] == 401
