"""Those who take the port where workers learn their lane for one with TLS."""

from __future__ import annotations

from target import LOOPBACK, Figures, Flood, show, target, try_out


def attack(*, quick: bool = False) -> Figures:
    """Greet it with TLS, over and over."""
    with target() as manager:
        manager.work(2)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506)
        return try_out(
            manager, Flood(LOOPBACK, manager.ports["discovery"], 200, hello), quick=quick
        )


if __name__ == "__main__":
    show(attack)
