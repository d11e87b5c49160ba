"""Uses a Dask cluster as the executor of a worker, so that one worker serves all its machines."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from .cluster import Cluster

if TYPE_CHECKING:
    from distributed import Client

CLOSE_TIMEOUT_S = 2.0

_Result = TypeVar("_Result")


_collecting = threading.Lock()


@contextlib.contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Collect no garbage in this process while a client connects or closes.

    Dask holds a lock meanwhile that a client which is collected acquires as well: if the collector
    runs in the thread that holds the lock, the thread waits for itself for ever.
    """
    with _collecting:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_enabled:
                gc.enable()


def _close(client: Client) -> None:
    with _no_garbage_collection():
        try:
            client.close(timeout=CLOSE_TIMEOUT_S)
        finally:
            # One that could not close in time would try again when it is collected.
            client.status = "closed"


class DaskCluster(Cluster):
    """Connects to a Dask cluster whenever it is called; meant as a worker's `executor`.

    ```python
    cluster = DaskCluster("tcp://10.0.0.7:8786")
    worker = WorkerAgent("Front", 8, slots=cluster.count_threads(), executor=cluster)
    ```

    The cluster's workers need ceylon-muster, and the modules of the handlers.

    Args:
        address: the address of the cluster's scheduler.
        connecting_may_take_s: how long to wait for the scheduler, in seconds.

    Raises:
        ExtraMissing: Dask is not installed.
    """

    name = "Dask"
    package = "distributed"
    extra = "dask"
    listener = "Dask scheduler"
    expected_address = "that `dask scheduler` prints, such as tcp://10.0.0.7:8786"

    def __call__(self) -> DaskExecutor:
        """An executor with its own connection.

        Raises:
            InvalidInput: no scheduler answers at the address.
        """
        return DaskExecutor(self._connect(), self._lost())

    def count_threads(self) -> int:
        """How many tasks the cluster can run at once now, at least 1.

        Raises:
            InvalidInput: no scheduler answers at the address.
        """
        client = self._connect()
        try:
            return max(sum(client.nthreads().values()), 1)
        finally:
            _close(client)

    def _connect(self) -> Client:
        from distributed import Client  # noqa: PLC0415 - optional, and takes a second to import

        with _no_garbage_collection():
            try:
                return Client(
                    self.address, timeout=self._connecting_may_take_s, set_as_default=False
                )
            except (OSError, TimeoutError, ValueError, TypeError) as fault:
                refused = self._no_answer(fault)
            # A client that did not connect closes itself when it is collected: now, where nobody in
            # this thread holds Dask's lock, and not while others, as a program of the user, do.
            gc.collect()
        raise refused


class DaskExecutor(Executor):
    """Runs functions on a cluster, and notices when the connection is lost.

    Args:
        client: the connection; closed with the executor.
        lost: what is told when the connection is lost.
    """

    def __init__(self, client: Client, lost: str) -> None:
        self._client = client
        self._lost = lost
        self._executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Call a function in the cluster.

        Raises:
            BrokenExecutor: the connection to the scheduler is lost.
        """
        # While its client closes, Dask's executor accepts functions and never completes them.
        if self._client.status in {"closing", "closed"}:
            raise BrokenExecutor(self._lost)
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect from the cluster; functions that run there are dropped, unless waited for."""
        if wait and not cancel_futures:
            self._executor.shutdown(wait=True)
        _close(self._client)
