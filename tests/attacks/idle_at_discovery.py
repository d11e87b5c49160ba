"""Connections at the port where workers learn their lane, which ask nothing."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Hold them while further workers come."""
    with target(descriptors=1_024) as manager:
        manager.work(2)
        flood = Flood(LOOPBACK, manager.ports["discovery"], 300 if quick else 1_100)
        with flood:
            manager.start_workers("newcomers", 6)
            manager.wait_for_workers(8)
            return try_out(manager, flood.again(), quick=quick)


if __name__ == "__main__":
    show(attack)
