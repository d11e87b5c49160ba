"""What a ticket carries, and what is said of texts that are none."""

from __future__ import annotations

import base64
import contextlib
import string
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security.ticket import Ticket, read_ticket
from muster.messages import InvalidInput
from muster.messages.values import pack

from ..every_field import default_of, make, values_of

PEER = "12D3KooWAbCdEfGhJkLmNoPqRsTuVwXyZ"
TICKET = Ticket("tea estate", PEER, "192.168.1.20", 8000)

FIELDS = {"sealed": True, "secret": None}

visible = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(str.strip)
tickets = st.builds(
    Ticket,
    workspace_id=visible,
    peer_id=st.text(string.ascii_letters + string.digits, min_size=1, max_size=60),
    host=st.ip_addresses(v=4).map(str).filter(lambda host: host != "0.0.0.0"),
    port=st.integers(1, 65_535),
) | st.builds(
    Ticket,
    st.just("w"),
    st.just("p"),
    st.just("127.0.0.1"),
    st.just(8000),
    secret=st.binary(min_size=32, max_size=32).map(WorkspaceSecret),
)


def line_of(fields: object, version: str = "2") -> str:
    """Make a ticket's line of any fields at all."""
    body = pack(fields)
    data = body + crc32(body).to_bytes(4, "big")
    return f"muster:{version}:" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def said_of(text: str) -> str:
    """Tell the error that parsing this text ends in."""
    with pytest.raises(InvalidInput) as caught:
        Ticket.parse(text)
    return str(caught.value)


@given(tickets)
def test_a_ticket_is_read_back_as_it_was_written(ticket: Ticket) -> None:
    assert Ticket.parse(str(ticket)) == ticket


@given(tickets)
def test_a_ticket_is_one_line_that_a_shell_needs_no_quotes_for(ticket: Ticket) -> None:
    assert set(str(ticket)) <= set(string.ascii_letters + string.digits + "-_:")


def test_a_ticket_begins_with_its_version() -> None:
    assert str(TICKET).startswith("muster:2:")


@given(tickets, st.data())
def test_a_ticket_cut_off_anywhere_is_refused(ticket: Ticket, data: st.DataObject) -> None:
    line = str(ticket)
    kept = data.draw(st.integers(0, len(line) - 1))
    with pytest.raises(InvalidInput):
        Ticket.parse(line[:kept])


@given(tickets, st.data())
def test_a_ticket_with_another_character_anywhere_is_never_read_as_another_ticket(
    ticket: Ticket, data: st.DataObject
) -> None:
    line = str(ticket)
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.sampled_from(string.printable))
    with contextlib.suppress(InvalidInput):
        assert Ticket.parse(line[:place] + other + line[place + 1 :]) == ticket


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_invalid_input(text: str) -> None:
    for candidate in (text, "muster:2:" + text):
        with pytest.raises(InvalidInput):
            Ticket.parse(candidate)


@given(st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=5))
def test_no_content_raises_anything_but_invalid_input(fields: object) -> None:
    with pytest.raises(InvalidInput):
        Ticket.parse(line_of(fields))


def test_white_space_around_a_ticket_is_no_matter() -> None:
    assert Ticket.parse(f"\n  {TICKET}\t\r\n") == TICKET


def test_a_ticket_that_a_terminal_broke_in_two_lines_is_read() -> None:
    line = str(TICKET)
    assert Ticket.parse(f"{line[:40]}\n{line[40:]}") == TICKET


def test_a_blank_ticket_is_called_blank() -> None:
    assert said_of(" \n") == "the ticket is blank; copy the whole line that the manager printed"


@pytest.mark.parametrize("kept", [len("muster:"), len("muster:2"), len("muster:2:")])
def test_a_ticket_cut_off_before_its_content_is_called_cut_off(kept: int) -> None:
    begun = str(TICKET)[:kept]
    assert said_of(begun).startswith(f"the ticket is cut off after {begun!r}; copy the whole line")


def test_a_ticket_cut_off_in_its_content_is_called_cut_off_or_altered() -> None:
    assert said_of(str(TICKET)[:-5]).startswith("the ticket is damaged: it was cut off or altered")


def test_what_is_no_ticket_is_shown() -> None:
    assert said_of("http://127.0.0.1:8000/").startswith(
        "'http://127.0.0.1:8000/' is not a ticket, which would begin with 'muster:'"
    )


def test_a_ticket_of_another_version_names_both_versions() -> None:
    assert said_of(line_of({}, version="1")) == (
        "the ticket is of version 1, this Muster reads versions 2 and 3; "
        "use the same Muster for manager and worker"
    )


def test_a_character_that_no_ticket_has_is_told() -> None:
    assert "characters that no ticket has" in said_of(
        str(TICKET).replace("muster:2:", "muster:2:*")
    )


def test_a_ticket_without_a_host_is_refused() -> None:
    assert said_of(line_of(FIELDS | {"workspace_id": "w", "peer_id": "p", "port": 1})).startswith(
        "the ticket lacks what a worker needs to join"
    )


def test_an_endless_text_is_refused_unread() -> None:
    assert said_of("m" * 10_000).startswith("a text of 10,000 characters is not a ticket")


@pytest.mark.parametrize("host", ["localhost", "::1", "", "1.2.3", "256.1.1.1", 2130706433, None])
def test_a_host_that_is_no_ipv4_address_is_refused(host: object) -> None:
    line = line_of(FIELDS | {"workspace_id": "w", "peer_id": "p", "host": host, "port": 1})
    assert said_of(line) == (
        f"a ticket's host is {host!r}; it must be an IPv4 address in numbers, such as 192.168.1.20"
    )


def test_the_address_that_means_any_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"host is '0\.0\.0\.0', which nobody can dial"):
        Ticket("w", "p", "0.0.0.0", 1)


@pytest.mark.parametrize("port", [0, -1, 65_536, "8000", True, None, 1.5])
def test_a_port_out_of_range_is_refused(port: object) -> None:
    line = line_of(
        FIELDS | {"workspace_id": "w", "peer_id": "p", "host": "127.0.0.1", "port": port}
    )
    assert said_of(line) == f"a ticket's port is {port!r}; it must be 1 to 65535"


@pytest.mark.parametrize("peer", ["", "  ", "a b", None, 7, "x" * 201])
def test_a_peer_id_that_none_can_have_is_refused(peer: object) -> None:
    line = line_of(FIELDS | {"workspace_id": "w", "peer_id": peer, "host": "127.0.0.1", "port": 1})
    assert said_of(line).startswith(f"a ticket's peer_id is {peer!r}")


def test_a_workspace_that_is_no_valid_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="which is not valid text"):
        Ticket("\ud800", "p", "127.0.0.1", 1)


def test_a_ticket_tells_whether_the_workspace_is_sealed() -> None:
    for sealed in (True, False):
        assert Ticket.parse(str(Ticket("w", "p", "127.0.0.1", 1, sealed=sealed))).sealed is sealed


def test_a_ticket_shows_its_secret_only_in_its_line() -> None:
    secret = WorkspaceSecret(b"s" * 32)
    ticket = Ticket("w", "p", "127.0.0.1", 1, secret=secret)
    assert Ticket.parse(str(ticket)).secret == secret
    assert repr(ticket) == (
        "Ticket(workspace_id='w', peer_id='p', host='127.0.0.1', port=1, sealed=True)"
    )


def test_a_ticket_of_an_unsealed_workspace_carries_no_secret() -> None:
    with pytest.raises(InvalidInput, match="carries a secret and says that nothing is sealed"):
        Ticket("w", "p", "127.0.0.1", 1, sealed=False, secret=WorkspaceSecret(bytes(32)))


@pytest.mark.parametrize("secret", [b"short", "text", 7])
def test_a_ticket_with_what_is_no_secret_is_refused(secret: object) -> None:
    fields = {"workspace_id": "w", "peer_id": "p", "host": "127.0.0.1", "port": 1}
    line = line_of(fields | {"sealed": True, "secret": secret})
    assert said_of(line).startswith("the ticket lacks what a worker needs to join")


@pytest.mark.parametrize("cut", range(0, 110, 7))
def test_a_piece_of_a_ticket_is_not_shown_in_the_error(cut: int) -> None:
    secret = WorkspaceSecret(bytes(range(100, 132)))
    piece = str(Ticket("w", "p", "127.0.0.1", 1, secret=secret))[cut + 1 :]
    for read in (Ticket.parse, read_ticket):
        with pytest.raises(InvalidInput) as caught:
            read(piece)
        shown = [piece[at : at + 16] in str(caught.value) for at in range(len(piece) - 16)]
        assert not any(shown)


@pytest.mark.parametrize("secret", [None, WorkspaceSecret(bytes(range(32)))], ids=["none", "one"])
def test_no_field_of_a_ticket_is_lost(secret: WorkspaceSecret | None) -> None:
    fields = {"host": "192.168.1.20", "port": 7446, "nats": ""}
    ticket = make(Ticket, **fields, sealed=secret is not None, secret=secret)
    assert values_of(Ticket.parse(str(ticket))) == values_of(ticket)
    if secret is None:
        assert ticket.sealed is not default_of(Ticket, "sealed")


@pytest.mark.parametrize("secret", [None, WorkspaceSecret(bytes(range(32)))], ids=["none", "one"])
def test_a_ticket_over_nats_is_read_back_and_shows_no_password(
    secret: WorkspaceSecret | None,
) -> None:
    url = "nats://ann:hidden@one:4222,two:4223"
    ticket = Ticket("nightly", "", "", 0, secret=secret, nats=url)
    assert str(ticket).startswith("muster:3:")
    assert Ticket.parse(str(ticket)) == ticket
    assert ticket.place == "nats://one:4222,two:4223, run 'nightly'"
    assert "hidden" not in repr(ticket)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"nats": "http://host"}, "no URL of NATS servers"),
        ({"nats": "nats://" + "a" * 5_000}, "no URL of NATS servers"),
        ({"nats": "nats://host", "port": 1}, "names no peer_id, host or port"),
    ],
)
def test_a_ticket_over_nats_names_servers_alone(fields: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Ticket(**{"workspace_id": "w", "peer_id": "", "host": "", "port": 0, **fields})
