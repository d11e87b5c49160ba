"""The ends of a sealed workspace, and what passes between them."""

from __future__ import annotations

import pytest
from muster.agents.kernel.delivery.frame_seal import Outgoing
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.manager_seal import ManagerSeal
from muster.agents.kernel.security.seal import Seal
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.messages import DecodeError, Flaw

SECRET = WorkspaceSecret(bytes(range(32)))
WORKSPACE = "estate"


class Estate:
    """Makes seals of one workspace, whose sessions bear names, and passes frames between them."""

    secret = SECRET
    other_secret = WorkspaceSecret(bytes(reversed(range(32))))

    def identity(self, name: str) -> Identity:
        return Identity(name.encode().ljust(32, b"."))

    def session(self, name: str, workspace: str = WORKSPACE) -> bytes:
        return self.identity(name).session(workspace)

    def manager(
        self,
        name: str = "manager",
        secret: WorkspaceSecret = SECRET,
        workspace: str = WORKSPACE,
        max_senders: int = 100,
    ) -> ManagerSeal:
        return ManagerSeal(secret, workspace, self.identity(name), max_senders)

    def client(
        self, name: str = "ada", secret: WorkspaceSecret = SECRET, workspace: str = WORKSPACE
    ) -> ClientSeal:
        return ClientSeal(secret, workspace, self.identity(name))

    def pair(self) -> tuple[ManagerSeal, ClientSeal]:
        """A manager and a client that it has let in."""
        manager, client = self.manager(), self.client()
        self.let_in(manager, client)
        return manager, client

    def let_in(self, manager: Seal, client: Seal, now: float = 0.0) -> None:
        """Have a client knock, and the challenge reach it; what it kept is thrown away."""
        manager.unwrap(self.sent(client, now=now), now)
        for challenge in self.words(manager):
            client.unwrap(challenge, now)
        self.words(client)

    def sent(self, seal: Seal, frame: bytes = b"frame", now: float = 0.0) -> bytes:
        """What leaves when a frame is to be sent."""
        return seal.wrap(Outgoing(frame, None), now).frame

    def words(self, seal: Seal) -> list[bytes]:
        """What a seal itself wants sent."""
        words: list[bytes] = []
        while (outgoing := seal.collect()) is not None:
            words.append(outgoing.frame)
        return words

    def opened(self, seal: Seal, data: bytes, now: float = 0.0) -> bytes | None:
        """What is inside a frame that is let in; None if it is for nobody here."""
        inside = seal.unwrap(data, now)
        return None if inside is None else inside.frame

    def flaw(self, seal: Seal, data: bytes, now: float = 0.0) -> Flaw | None:
        """Why a frame is not let in; None if nothing is wrong with it."""
        try:
            seal.unwrap(data, now)
        except DecodeError as fault:
            return fault.flaw
        return None


@pytest.fixture(scope="session")
def estate() -> Estate:
    return Estate()
