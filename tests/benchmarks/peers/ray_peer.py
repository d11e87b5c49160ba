"""Ray on one node: two worker processes, the object store for what is large.

Its tasks are what others call tasks. Calls of two actors in turn are faster, but there the caller
chooses who does what: nothing is balanced, and nothing is done by the other when one dies.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
import work
from peer import play, this_folder

USES_ACTORS = os.environ.get("MUSTER_COMPARE_RAY") == "actors"


class Actor:
    """Does what the tasks do."""

    def nothing(self, argument: dict[str, int]) -> int:
        return work.nothing(argument)

    def echo(self, payload: bytes) -> bytes:
        return work.echo(payload)


class RayPeer:
    async def start(self) -> None:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(this_folder())}},
        )
        if USES_ACTORS:
            actors = [ray.remote(num_cpus=1)(Actor).remote() for _ in range(2)]
            self._nothing = itertools.cycle([actor.nothing.remote for actor in actors])
            self._echo = itertools.cycle([actor.echo.remote for actor in actors])
        else:
            self._nothing = itertools.repeat(ray.remote(work.nothing).remote)
            self._echo = itertools.repeat(ray.remote(work.echo).remote)

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        return _results(self._nothing, arguments)

    async def run_one(self, argument: dict[str, int]) -> int:
        return ray.get(next(self._nothing)(argument))

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        return _results(self._echo, payloads)

    async def stop(self) -> None:
        ray.shutdown()


def _results(calls: Iterator[Callable[..., Any]], arguments: Sequence[Any]) -> list[Any]:
    return ray.get([next(calls)(argument) for argument in arguments])


if __name__ == "__main__":
    play(RayPeer())
