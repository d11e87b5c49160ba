"""Connections to the port of the metrics that ask nothing."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, ask, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Hold them while the metrics are asked for."""
    with target() as manager:
        manager.work(2)
        port = manager.ports["metrics"]
        with Flood(LOOPBACK, port, 200 if quick else 900) as flood:
            told = try_out(manager, flood.again(), quick=quick)
            told["metrics"], told["metrics_s"] = ask(LOOPBACK, port, "/metrics")
        return told


if __name__ == "__main__":
    show(attack)
