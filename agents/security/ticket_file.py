"""The file in which a running manager keeps its ticket."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ...messages import InvalidInput
from ..runtime.lock_file import FileId, find_file_id, try_to_lock
from .ticket import Ticket, ticket_file_fault, write_ticket_file


class TicketFile:
    """A context manager that keeps a ticket in a file while its manager runs.

    The file is locked, so that a second manager does not replace the ticket of a running one. It is
    deleted at the end, unless another file has its name by then.

    Args:
        path: the file; one that is left of a manager that died is replaced.
        ticket: the ticket.
        takes_over: whether it also replaces the ticket of a manager that is still running, since
            that one does not lead any more.
    """

    def __init__(self, path: Path, ticket: Ticket, *, takes_over: bool = False) -> None:
        self._path = path
        self._takes_over = takes_over
        self._ticket = ticket
        self._descriptor = -1

    def __enter__(self) -> None:
        """Write the file.

        Raises:
            InvalidInput: it can't be written, or belongs to a manager that is running.
        """
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        write_ticket_file(draft, self._ticket)
        try:
            self._descriptor = os.open(draft, os.O_RDONLY)
            # Locked before it has its name: nobody sees a ticket of a running manager unlocked.
            try_to_lock(self._descriptor)
            while not self._take_name(draft):
                pass
        except BaseException as fault:
            with contextlib.suppress(OSError):
                draft.unlink()
            if self._descriptor >= 0:
                os.close(self._descriptor)
            if isinstance(fault, OSError):
                raise ticket_file_fault(self._path, fault) from None
            raise

    def __exit__(self, *exception: object) -> None:
        """Delete the file."""
        with contextlib.suppress(OSError):
            if find_file_id(self._path) == _file_id_of(self._descriptor):
                self._path.unlink()
        os.close(self._descriptor)

    def _take_name(self, draft: Path) -> bool:
        """Give the draft its name; False if the file of that name changes at this moment."""
        try:
            former = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            try:
                os.link(draft, self._path)
            except FileExistsError:
                return False
            draft.unlink()
            return True
        try:
            if not (try_to_lock(former) or self._takes_over):
                raise InvalidInput(
                    f"the ticket file {str(self._path)!r} belongs to a manager that is running; "
                    "stop that one, or name another file"
                )
            if find_file_id(self._path) != _file_id_of(former):
                return False
            os.replace(draft, self._path)
            return True
        finally:
            os.close(former)


def _file_id_of(descriptor: int) -> FileId:
    found = os.fstat(descriptor)
    return FileId(found.st_dev, found.st_ino)
