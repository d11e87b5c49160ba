"""Connections that ask for much again and again, and read nothing of it."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Send requests without reading the answers."""
    with target() as manager:
        manager.work(2)
        asks = b"GET /api/tasks?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50
        port = manager.ports["page"]
        flood = Flood(LOOPBACK, port, 80, asks, then=asks, reads=False)
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
