"""A process of six workers is killed and started again, over and over."""

from __future__ import annotations

import time

from target import Figures, show, target

AGENTS = 6


def attack(*, quick: bool = False) -> Figures:
    """Kill and start again; tell the descriptors, lanes and processor time before and after."""
    rounds, every_s = (3, 3.0) if quick else (24, 4.0)
    calm_s = 25.0
    with target(rate=20.0) as manager:
        manager.start_workers("steady", 2)
        manager.wait_for_workers(2)
        time.sleep(1 if quick else 3)
        before = manager.measure(3 if quick else 6)
        lanes: list[int] = []
        for _ in range(rounds):
            manager.start_workers("churn", AGENTS)
            time.sleep(every_s)
            lanes.append(manager.last["lanes"])
            manager.end_workers("churn")
        during = manager.measure(1)
        time.sleep(2 if quick else calm_s)
        after = manager.measure(3 if quick else 6)
        return {
            "before": before,
            "during": during,
            "after": after,
            "rounds": rounds,
            "lanes_by_round": lanes,
            "lanes_after": manager.last["lanes"],
            "failed": manager.last["failed"],
        }


if __name__ == "__main__":
    show(attack)
