"""What `measure_cold_start` starts: a manager and workers up to the first result, as a script.

Its order is its only argument.
"""

from __future__ import annotations

import json
import sys

from ..worker_pool.fork_server import ForkServer


def main() -> None:
    """Come to the first result as fast as a program can, and stay until stdin ends."""
    with ForkServer() as nursery:
        # All this takes long, and the nursery loads beside it.
        import asyncio  # noqa: PLC0415

        from .crew import BenchPlan  # noqa: PLC0415
        from .first_result import come_to_first_result  # noqa: PLC0415

        order = BenchPlan(**json.loads(sys.argv[1]))
        asyncio.run(come_to_first_result(order, nursery))


if __name__ == "__main__":
    main()
