"""Tickets in files: written whole and private, and read by path."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from muster.agents.security.ticket import Ticket, read_ticket, write_ticket_file
from muster.messages import InvalidInput

TICKET = Ticket("estate", "12D3KooW", "127.0.0.1", 8000)


def test_a_written_ticket_is_read_back_by_its_path(tmp_path: Path) -> None:
    write_ticket_file(tmp_path / "ticket", TICKET)
    assert read_ticket(tmp_path / "ticket") == TICKET


def test_a_path_may_be_given_as_text(tmp_path: Path) -> None:
    write_ticket_file(str(tmp_path / "ticket"), TICKET)
    assert read_ticket(str(tmp_path / "ticket")) == TICKET


def test_a_ticket_itself_is_read_without_a_file() -> None:
    assert read_ticket(f" {TICKET}\n") == TICKET


def test_a_ticket_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_ticket_file(tmp_path / "ticket", TICKET)
    assert stat.S_IMODE((tmp_path / "ticket").stat().st_mode) == 0o600


def test_an_older_ticket_is_replaced_and_no_draft_is_left(tmp_path: Path) -> None:
    (tmp_path / "ticket").write_text("older")
    write_ticket_file(tmp_path / "ticket", TICKET)
    assert os.listdir(tmp_path) == ["ticket"]
    assert read_ticket(tmp_path / "ticket") == TICKET


def test_where_no_file_can_be_written_the_path_is_named_and_no_draft_is_left(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        InvalidInput, match=r"the ticket file '.*folder' can't be written: Is a dir"
    ):
        write_ticket_file(tmp_path / "folder", TICKET)
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be written: No such file or directory"):
        write_ticket_file(tmp_path / "missing" / "ticket", TICKET)


def test_what_is_neither_a_ticket_nor_a_file_is_told_so() -> None:
    with pytest.raises(InvalidInput, match=r"'no-such' is neither a ticket, .* nor a file that"):
        read_ticket("no-such")


def test_blank_text_is_a_blank_ticket_and_no_path() -> None:
    with pytest.raises(InvalidInput, match="the ticket is blank"):
        read_ticket("  ")


def test_a_file_that_holds_no_ticket_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    with pytest.raises(InvalidInput, match=r"the ticket file '.*notes': 'hello' is not a ticket"):
        read_ticket(tmp_path / "notes")


def test_a_file_that_holds_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"'.*picture' does not hold text"):
        read_ticket(tmp_path / "picture")


def test_a_folder_in_place_of_a_ticket_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be read: Is a directory"):
        read_ticket(tmp_path)


def test_a_path_that_no_system_has_is_told() -> None:
    with pytest.raises(InvalidInput, match="can't be read: embedded null"):
        read_ticket("a\0b")
