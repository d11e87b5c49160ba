"""Requests whose bodies come a byte at a time, and those that come many at once."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Send bodies that never end."""
    with target() as manager:
        manager.work(2)
        start = (
            b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n["
        )
        flood = Flood(LOOPBACK, manager.ports["page"], 100, start, then=b" ")
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
