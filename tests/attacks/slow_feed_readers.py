"""Open pages that do not read what they are told."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Open more feeds than there may be, and read none."""
    with target() as manager:
        manager.work(2)
        asks = b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        flood = Flood(LOOPBACK, manager.ports["page"], 100, asks, reads=False)
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
