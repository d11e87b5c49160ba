"""Opens, and reads, the store at a path or URL."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from ..kernel.board.rows import Rows
from ..nats.address import NatsAddress, is_nats_url
from .file_lock import Holder, find_holder
from .manager_files import ManagerFiles
from .managers import ManagerList
from .protocol import Store
from .sqlite import SqliteStore, read_store

StorePlace: TypeAlias = str | Path
"""Where a store is: a SQLite file, or a URL such as `nats://host:4222/NAME`."""

# Only those who use a URL need the extra.
# ruff: noqa: PLC0415


def read_place(text: str) -> StorePlace:
    """The place that a text names: a URL as it is, or a path."""
    return text if is_nats_url(text) else Path(text)


def name_of_place(place: StorePlace) -> str:
    """A place as a text that shows no password."""
    return str(NatsAddress.parse(str(place), may_name=True)) if is_nats_url(place) else str(place)


def open_store(place: StorePlace, *, name: str = "task_manager") -> Store:
    """Open the store at a place; it is created if it does not exist.

    Args:
        place: the place.
        name: the manager's name, which others are told while it holds a store at a URL.

    Raises:
        InvalidInput: the URL is not that of a store.
        StoreBusy: another manager holds it.
        StoreUnusable: it can't be opened.
    """
    if is_nats_url(place):
        from .jet_stream import JetStreamStore

        return JetStreamStore(str(place), name=name)
    return SqliteStore(place)


def managers_at(place: StorePlace) -> ManagerList:
    """The managers that share the store at a place.

    Raises:
        InvalidInput: the URL is not that of a store.
    """
    if is_nats_url(place):
        from .jet_stream import managers_of_stream

        return managers_of_stream(str(place))
    return ManagerFiles(Path(place))


def read_held(place: StorePlace) -> tuple[Rows, Holder]:
    """Read a store, also while a manager writes to it.

    Args:
        place: the place.

    Returns:
        The rows, and whether a manager holds the store.

    Raises:
        InvalidInput: the URL is not that of a store.
        StoreUnusable: there is none, or it can't be read.
    """
    if is_nats_url(place):
        from .jet_stream import read_stream

        rows, holder = read_stream(str(place))
        if holder is None:
            return rows, Holder(held=False)
        return rows, Holder(held=True, pid=holder.pid, host=holder.host)
    # Before the rows: a manager that ends in between has then written all of them.
    held = find_holder(Path(place))
    return read_store(place), held
