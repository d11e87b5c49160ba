"""Passes what a link delivers to the present one of the sessions that a member has in turn."""

from __future__ import annotations

from .manager_session import ManagerSession


class SessionHolder:
    """Has the newest session of a worker or client, once there is one."""

    def __init__(self) -> None:
        self._manager_session: ManagerSession | None = None

    @property
    def has_joined_by_this_connection(self) -> bool:
        """Whether a manager has accepted this member over the newest connection."""
        return self._manager_session is not None and self._manager_session.has_joined

    @property
    def manager_address(self) -> str:
        """The manager's address, or "" while none has accepted this worker."""
        session = self._manager_session
        return "" if session is None or session.manager is None else session.manager

    @property
    def manager_name(self) -> str:
        """The name of the manager that accepted this worker last, or ""."""
        return "" if self._manager_session is None else self._manager_session.presence.manager_name

    @property
    def dropped(self) -> dict[str, int]:
        """How many frames and messages could not be read, by what was wrong with them."""
        session = self._manager_session
        return {} if session is None else dict(session.endpoint.dropped)

    def receive(self, frame: bytes) -> None:
        """Take a frame from the link."""
        if self._manager_session is not None:
            self._manager_session.endpoint.receive(frame)

    def address_changed(self) -> None:
        """Use the link's new address; nothing has arrived at the old one yet."""
        if self._manager_session is not None:
            self._manager_session.endpoint.take_address()

    def greet(self) -> None:
        """Ask to join at once; see `ManagerSession.greet`."""
        if self._manager_session is not None:
            self._manager_session.greet()

    def _post_part(self, message: bytes) -> bool:
        session = self._manager_session
        return session is not None and session.post_encoded(message)
