"""Seventy requests to the live page whose headers never end."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Hold them, with a further byte now and then."""
    with target() as manager:
        manager.work(2)
        start = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Never-Ends: "
        flood = Flood(LOOPBACK, manager.ports["page"], 70, start, then=b"x")
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
