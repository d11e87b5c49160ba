"""Connections that are opened and reset as fast as they can be, at the page and the door."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Open and reset."""
    with target() as manager:
        manager.work(2)
        page = Flood(LOOPBACK, manager.ports["page"], 1, resets=True)
        with Flood(LOOPBACK, manager.ports["discovery"], 1, resets=True):
            return try_out(manager, page, quick=quick)


if __name__ == "__main__":
    show(attack)
