"""Where secrets come from, and which of them an agent takes."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.client.client import Client
from muster.agents.kernel.security.unsealed import Unsealed
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.security import sealing
from muster.agents.security.sealing import choose_manager_sealing, find_client_secret, seal_client
from muster.agents.security.secret_sources import (
    SECRET_VARIABLE,
    fresh_secret,
    read_secret_file,
    write_secret_file,
)
from muster.agents.security.shared_secrets import find_sharing, share
from muster.agents.security.ticket import Ticket
from muster.messages import InvalidInput


@pytest.fixture(autouse=True)
def no_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def test_two_fresh_secrets_differ() -> None:
    assert fresh_secret() != fresh_secret()


def test_a_secret_file_is_for_its_owner_alone_and_read_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = fresh_secret()
    write_secret_file(tmp_path / "secret", secret)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert read_secret_file(tmp_path / "secret") == secret
    assert caplog.records == []


def test_a_secret_file_that_others_may_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = fresh_secret()
    write_secret_file(tmp_path / "secret", secret)
    (tmp_path / "secret").chmod(0o640)
    with caplog.at_level(logging.WARNING, "muster"):
        assert read_secret_file(tmp_path / "secret") == secret
    assert (
        "other users can read the secret file; restrict it to its owner: chmod 600" in caplog.text
    )
    assert secret.reveal() not in caplog.text


def test_a_secret_replaces_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("older")
    with pytest.raises(InvalidInput, match="already exists and is not overwritten"):
        write_secret_file(tmp_path / "secret", fresh_secret())
    assert (tmp_path / "secret").read_text() == "older"


@pytest.mark.parametrize(
    ("content", "said"), [("short", "a text of 5 characters"), (None, "No such file")]
)
def test_a_file_that_gives_no_secret_is_named(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_text(content)
    with pytest.raises(InvalidInput, match=rf"the secret file '.*secret'.*{said}"):
        read_secret_file(tmp_path / "secret")


def test_a_variable_that_holds_no_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "letmein")
    with pytest.raises(InvalidInput, match="MUSTER_SECRET: the secret is a text of 7 characters"):
        TaskManager()


# ------------------------------------------------------------------------------------- managers


def test_a_manager_makes_a_secret_of_its_own_which_its_ticket_carries() -> None:
    one, other = (TaskManager(port=0).ticket() for _ in range(2))
    assert one.sealed
    assert one.secret is not None
    assert one.secret != other.secret


def test_a_secret_that_was_given_stays_out_of_the_ticket_unless_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = fresh_secret()
    given = TaskManager(port=0, secret=secret.reveal())
    monkeypatch.setenv(SECRET_VARIABLE, secret.reveal())
    from_environment = TaskManager(port=0)
    for manager in (given, from_environment):
        assert manager.ticket().secret is None
        assert manager.ticket(with_secret=True).secret == secret


def test_an_insecure_managers_ticket_says_so(caplog: pytest.LogCaptureFixture) -> None:
    ticket = TaskManager(port=0, insecure=True).ticket(with_secret=True)
    assert (ticket.sealed, ticket.secret) == (False, None)


def test_a_secret_and_insecure_exclude_each_other() -> None:
    with pytest.raises(InvalidInput, match="a secret was given, and insecure as well"):
        TaskManager(secret=fresh_secret(), insecure=True)


def test_managers_that_are_guests_of_one_workspace_share_a_secret() -> None:
    first = choose_manager_sealing(None, insecure=False, admin_peer="hub-1")
    second = choose_manager_sealing(None, insecure=False, admin_peer="hub-1")
    elsewhere = choose_manager_sealing(None, insecure=False, admin_peer="hub-2")
    assert first.secret == second.secret != elsewhere.secret


# -------------------------------------------------------------------------------------- clients


def opened_with(seal: Any, secret: WorkspaceSecret, estate: Any) -> bool:
    """Whether what a client sends is opened by a manager with this secret."""
    return estate.flaw(estate.manager(secret=secret), estate.sent(seal)) is None


def test_a_client_takes_the_secret_that_stands_nearest(
    estate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, in_ticket, shared, in_environment = (fresh_secret() for _ in range(4))
    monkeypatch.setenv(SECRET_VARIABLE, in_environment.reveal())
    share("peer-1", shared)
    same = Ticket("estate", "peer-2", "127.0.0.1", 1, secret=in_environment)
    ticket = Ticket("estate", "peer-1", "127.0.0.1", 1, secret=in_ticket)
    blank = Ticket("estate", "peer-1", "127.0.0.1", 1)

    def taken(admin_peer: str, **how: Any) -> Any:
        return seal_client("Ada", "estate", admin_peer, **how)

    for seal, secret in (
        (taken("peer-1", secret=given, ticket=ticket), given),
        (taken("peer-1", ticket=ticket), in_ticket),
        (taken("peer-1", ticket=blank), shared),
        (taken("peer-2", ticket=same), in_environment),
        (taken("peer-2", ticket=blank), in_environment),
    ):
        assert opened_with(seal, secret, estate)


def test_a_client_without_any_secret_is_told_where_to_get_one() -> None:
    with pytest.raises(InvalidInput, match="agent 'Ada' has no secret for its workspace"):
        seal_client("Ada", "estate", "peer-without-secret")


def test_a_client_does_not_seal_if_its_manager_here_or_its_ticket_says_so() -> None:
    share("peer-insecure", None)
    ticket = Ticket("estate", "p", "127.0.0.1", 1, sealed=False)
    assert isinstance(seal_client("Ada", "estate", "peer-insecure"), Unsealed)
    assert isinstance(seal_client("Ada", "estate", "p", ticket=ticket), Unsealed)
    assert isinstance(seal_client("Ada", "estate", "p", insecure=True), Unsealed)


def test_that_nothing_is_sealed_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    sealing._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "muster"):
        for _ in range(3):
            seal_client("Ada", "estate", "p", insecure=True)
            choose_manager_sealing(None, insecure=True, admin_peer="").seal("estate")
    assert [record.getMessage() for record in caplog.records] == [
        (
            "frames are not sealed: anyone who reaches the manager's UDP port, or its NATS server, "
            "can read and forge them"
        )
    ]


async def ask_as_a_worker(ticket: Ticket, secret: WorkspaceSecret | None) -> None:
    await WorkerAgent("Ada", 5, ticket=ticket, secret=secret).serve()


async def look_for_the_manager(ticket: Ticket, secret: WorkspaceSecret | None) -> None:
    await WorkerAgent("Ada", 5, ticket=ticket, secret=secret).start_agent()


async def ask_as_a_client(ticket: Ticket, secret: WorkspaceSecret | None) -> None:
    await Client(ticket, secret=secret, connect_timeout_s=None).start()


async def find_it(ticket: Ticket, secret: WorkspaceSecret | None) -> None:
    find_client_secret("Ada", ticket.peer_id, secret=secret, ticket=ticket)


@pytest.mark.parametrize("source", ["argument", "environment", "own_process"])
@pytest.mark.parametrize("ask", [ask_as_a_worker, look_for_the_manager, ask_as_a_client, find_it])
def test_whoever_has_a_secret_refuses_a_ticket_that_says_not_sealed(
    monkeypatch: pytest.MonkeyPatch, source: str, ask: Any
) -> None:
    ticket = Ticket("estate", f"p-{source}", "127.0.0.1", 1, sealed=False)
    secret = fresh_secret()
    if source == "environment":
        monkeypatch.setenv(SECRET_VARIABLE, secret.reveal())
    elif source == "own_process":
        share(ticket.peer_id, secret)
    with pytest.raises(InvalidInput, match="its ticket says that the workspace is not sealed"):
        asyncio.run(ask(ticket, secret if source == "argument" else None))


def test_who_says_insecure_joins_what_is_not_sealed_whatever_the_environment_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, fresh_secret().reveal())
    ticket = Ticket("estate", "p", "127.0.0.1", 1, sealed=False)
    assert isinstance(seal_client("Ada", "estate", "p", insecure=True, ticket=ticket), Unsealed)


def test_a_ticket_with_another_secret_than_the_environments_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, fresh_secret().reveal())
    ticket = Ticket("estate", "p", "127.0.0.1", 1, secret=fresh_secret())
    with pytest.raises(InvalidInput, match="its ticket carries another one"):
        seal_client("Ada", "estate", "p", ticket=ticket)


def test_a_ticket_file_that_turns_insecure_ends_a_worker_that_dials_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ticket"
    file.write_text(str(Ticket("estate", "p", "127.0.0.1", 1)))
    monkeypatch.setenv(SECRET_VARIABLE, fresh_secret().reveal())
    worker = WorkerAgent("Ada", 5, ticket=file)
    file.write_text(str(Ticket("estate", "q", "127.0.0.1", 1, sealed=False)))
    worker._ways._tickets.reread()
    worker._ways.ceylon.use_ticket()
    with pytest.raises(InvalidInput, match="its ticket says that the workspace is not sealed"):
        asyncio.run(worker._ways.ceylon.find_manager())


def test_a_manager_whose_id_was_asked_for_is_found_by_it() -> None:
    manager = TaskManager(port=0)
    sharing = find_sharing(manager.details().id)
    assert sharing is not None
    assert sharing.secret == manager.ticket().secret


def test_nothing_that_an_agent_shows_of_itself_shows_the_secret() -> None:
    secret = fresh_secret()
    manager = TaskManager(port=0, secret=secret)
    worker = WorkerAgent("Ada", 5, secret=secret)
    shown = f"{manager!r} {vars(manager)!r} {vars(worker)!r} {manager.ticket(with_secret=True)!r}"
    shown += manager.report().model_dump_json()
    assert secret.reveal() not in shown
    assert repr(secret.key) not in shown
