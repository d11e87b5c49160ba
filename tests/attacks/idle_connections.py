"""Eleven hundred connections that say nothing, to a manager that may open 1,024 files."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Hold them at the live page, over and over."""
    with target(descriptors=1_024) as manager:
        manager.work(2)
        flood = Flood(LOOPBACK, manager.ports["page"], 300 if quick else 1_100)
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
