"""dask.distributed: a LocalCluster of two worker processes with a thread each, over TCP."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dask.distributed import Client, LocalCluster
from peer import play
from work import echo, nothing


class DaskPeer:
    async def start(self) -> None:
        self._cluster = LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            protocol="tcp://",
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
        self._client = Client(self._cluster)

    async def run_many(self, arguments: Sequence[dict[str, int]]) -> list[int]:
        return self._client.gather(self._client.map(nothing, list(arguments), pure=False))

    async def run_one(self, argument: dict[str, int]) -> int:
        return self._client.submit(nothing, argument, pure=False).result()

    async def echo_many(self, payloads: Sequence[bytes]) -> list[bytes]:
        # What is large is to be scattered, says dask; in the graph it would be slower.
        there = self._client.scatter(list(payloads), hash=False)
        return self._client.gather(self._client.map(echo, there, pure=False))

    async def stop(self) -> None:
        self._client.close()
        self._cluster.close()


if __name__ == "__main__":
    play(DaskPeer())
