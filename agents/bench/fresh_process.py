"""The script that `measure_cold_start` starts; its only argument is the plan."""

from __future__ import annotations

import json
import sys

from ..worker_pool.fork_server import ForkServer


def main() -> None:
    """Get the first result as fast as a program can, and stay until stdin is closed."""
    with ForkServer() as fork_server:
        # This takes long; the fork server loads at the same time.
        import asyncio  # noqa: PLC0415

        from .first_result import run_to_first_result  # noqa: PLC0415
        from .workers import BenchPlan  # noqa: PLC0415

        plan = BenchPlan(**json.loads(sys.argv[1]))
        asyncio.run(run_to_first_result(plan, fork_server))


if __name__ == "__main__":
    main()
