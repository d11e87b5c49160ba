"""Connections that were answered once and never ask again, to a live page on ::1."""

from __future__ import annotations

from target import Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Hold them, kept alive."""
    with target(descriptors=256, page_host="::1") as manager:
        manager.work(2)
        asks = b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n"
        flood = Flood("::1", manager.ports["page"], 300, asks)
        return try_out(manager, flood, quick=quick)


if __name__ == "__main__":
    show(attack)
