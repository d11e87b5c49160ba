"""What clusters that run a worker's functions have in common: the extra, and how they are found."""

from __future__ import annotations

from importlib.util import find_spec
from typing import ClassVar

from ...messages import ExtraMissing, InvalidInput

CONNECT_TIMEOUT_S = 10.0


class Cluster:
    """Where a cluster is that runs functions.

    Args:
        address: its address.
        connecting_may_take_s: how long to wait for it, in seconds.

    Raises:
        ExtraMissing: the packages that it needs are not installed.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str]
    listener: ClassVar[str]
    """Who answers at the address."""
    expected_address: ClassVar[str]
    """Which address to give, with an example."""

    def __init__(self, address: str, *, connecting_may_take_s: float = CONNECT_TIMEOUT_S) -> None:
        if find_spec(self.package) is None:
            raise ExtraMissing(f"a {self.name} cluster as executor", [self.package], self.extra)
        self.address = address
        self._connecting_may_take_s = connecting_may_take_s

    def _no_answer(self, fault: object) -> InvalidInput:
        """The error for an address where nothing answers as it should."""
        return InvalidInput(
            f"no {self.listener} answers at {self.address!r}: {fault}; give the address "
            f"{self.expected_address}"
        )

    def _lost(self) -> str:
        """What is told if the connection is lost."""
        return f"the {self.listener} at {self.address} is lost"
