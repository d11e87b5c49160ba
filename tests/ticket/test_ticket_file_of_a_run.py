"""The ticket file of a running manager: no other manager replaces or deletes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from muster.agents.security.ticket import Ticket, read_ticket
from muster.agents.security.ticket_file import TicketFile
from muster.messages import InvalidInput

FIRST = Ticket("estate", "12D3KooW", "127.0.0.1", 8000)
SECOND = Ticket("estate", "12D3KooX", "127.0.0.1", 8001)


def test_the_file_is_there_while_the_manager_runs(tmp_path: Path) -> None:
    with TicketFile(tmp_path / "ticket", FIRST):
        assert read_ticket(tmp_path / "ticket") == FIRST
        assert os.listdir(tmp_path) == ["ticket"]
    assert os.listdir(tmp_path) == []


def test_a_second_manager_is_refused_and_the_first_ones_ticket_stays(tmp_path: Path) -> None:
    with TicketFile(tmp_path / "ticket", FIRST):
        second = TicketFile(tmp_path / "ticket", SECOND)
        with pytest.raises(InvalidInput, match="belongs to a manager that is running; stop that"):
            second.__enter__()
        assert os.listdir(tmp_path) == ["ticket"]
        assert read_ticket(tmp_path / "ticket") == FIRST


def test_a_manager_that_takes_over_replaces_the_ticket_of_one_that_still_runs(
    tmp_path: Path,
) -> None:
    with TicketFile(tmp_path / "ticket", FIRST):
        with TicketFile(tmp_path / "ticket", SECOND, takes_over=True):
            assert read_ticket(tmp_path / "ticket") == SECOND
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("left", ["", "older", str(SECOND)])
def test_a_file_that_a_dead_manager_left_is_replaced(left: str, tmp_path: Path) -> None:
    (tmp_path / "ticket").write_text(left)
    with TicketFile(tmp_path / "ticket", FIRST):
        assert read_ticket(tmp_path / "ticket") == FIRST
    assert os.listdir(tmp_path) == []


def test_a_file_that_somebody_else_put_there_meanwhile_is_not_deleted(tmp_path: Path) -> None:
    with TicketFile(tmp_path / "ticket", FIRST):
        (tmp_path / "other").write_text(str(SECOND))
        (tmp_path / "other").replace(tmp_path / "ticket")
    assert read_ticket(tmp_path / "ticket") == SECOND


@pytest.mark.parametrize("place", ["folder", "missing/ticket"])
def test_a_place_where_no_file_can_be_is_named_and_nothing_is_left(
    place: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    ticket_file = TicketFile(tmp_path / place, FIRST)
    with pytest.raises(InvalidInput, match=r"the ticket file '.*' can't be written"):
        ticket_file.__enter__()
    assert os.listdir(tmp_path) == ["folder"]
