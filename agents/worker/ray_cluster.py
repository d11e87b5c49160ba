"""Uses a Ray cluster as the executor of a worker, so that one worker serves all its machines."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeVar

from ...messages import InvalidInput
from ..runtime.daemon_threads import DaemonThreads
from .cluster import Cluster

if TYPE_CHECKING:
    from ray import ObjectRef

LOOK_EVERY_S = 1.0
LOOK_TIMEOUT_S = 2.0
LOST_AFTER_LOOKS = 3
"""How many looks in a row must fail before the cluster counts as lost. Ray itself ends the process
after a minute without its head."""

_HOST_AND_PORT = re.compile(r"(?:ray://)?(?P<host>[^/:]+):(?P<port>\d{1,5})")
_Result = TypeVar("_Result")


class RayCluster(Cluster):
    """Connects to a Ray cluster when it is called; meant as a worker's `executor`.

    ```python
    cluster = RayCluster("10.0.0.7:6379")
    worker = WorkerAgent("Front", 8, slots=cluster.count_cpus(), executor=cluster)
    ```

    The cluster's nodes need ceylon-muster, and the modules of the handlers. Ray connects a process
    to one cluster at a time, on a machine that is a node of it; a `ray://` address is for other
    machines, and needs `ray[client]`.

    Args:
        address: the address of the cluster's head.
        connecting_may_take_s: how long to wait for the head, in seconds.

    Raises:
        ExtraMissing: Ray is not installed.
    """

    name = "Ray"
    package = "ray"
    extra = "ray"
    listener = "Ray head"
    expected_address = "that `ray start --head` prints, such as 10.0.0.7:6379"

    def __call__(self) -> RayExecutor:
        """An executor that uses the connection of this process, which is made if there is none.

        Raises:
            InvalidInput: no Ray head answers at the address, or this process is connected to
                another cluster.
        """
        return RayExecutor(self._connect(), self._lost())

    def count_cpus(self) -> int:
        """How many tasks the cluster can run at once now, at least 1.

        Raises:
            InvalidInput: no Ray head answers at the address, or this process is connected to
                another cluster.
        """
        connection = self._connect()
        try:
            return max(connection.count_cpus(), 1)
        finally:
            connection.release()

    def _connect(self) -> _Connection:
        place = _HOST_AND_PORT.fullmatch(self.address)
        if place is None:
            raise self._no_answer("it is not HOST:PORT")
        found = (place["host"], int(place["port"]))
        try:
            # Ray would look for the head for much longer.
            socket.create_connection(found, self._connecting_may_take_s).close()
            return _Connection.to(self.address, found)
        except (OSError, OverflowError, RuntimeError, ValueError, ImportError) as fault:
            raise self._no_answer(_first_line(fault)) from None


class _Connection:
    """The connection of this process to a cluster, for as long as anyone uses it."""

    _lock = threading.Lock()
    _current: _Connection | None = None

    def __init__(self, address: str, place: tuple[str, int], *, is_ours: bool) -> None:
        self.address = address
        self._place = place
        self._is_ours = is_ours
        self._users = 0
        self._watchers: list[Callable[[bool], None]] = []
        self._is_over = threading.Event()
        threading.Thread(target=self._watch, name="muster-ray", daemon=True).start()

    @classmethod
    def to(cls, address: str, place: tuple[str, int]) -> _Connection:
        """The connection to a cluster; `release` it when it is no longer used.

        Raises:
            InvalidInput: this process is connected to another cluster.
            Exception: Ray can't connect.
        """
        with cls._lock:
            current = cls._current
            if current is not None and current.address != address:
                raise InvalidInput(
                    f"this process is connected to the Ray cluster at {current.address}, and can't "
                    f"connect to {address} as well; use a process for each cluster"
                )
            if current is None:
                is_ours = not _ray().is_initialized()
                if is_ours:
                    _open(address)
                current = cls._current = cls(address, place, is_ours=is_ours)
            current._users += 1
            return current

    def release(self) -> None:
        """Close the connection if nobody uses it any more, and this has opened it."""
        with self._lock:
            self._users -= 1
            if self._users <= 0 and _Connection._current is self:
                self._close()

    def watch(self, tell: Callable[[bool], None]) -> None:
        """Call a function, in another thread, at each look, with whether the cluster is lost."""
        self._watchers.append(tell)

    def count_cpus(self) -> int:
        """How many processors the cluster has."""
        return int(_ray().cluster_resources().get("CPU", 0))

    def _close(self) -> None:
        self._is_over.set()
        _Connection._current = None
        if self._is_ours:
            _ray().shutdown()

    def _watch(self) -> None:
        failed = 0
        while not self._is_over.wait(LOOK_EVERY_S):
            try:
                socket.create_connection(self._place, LOOK_TIMEOUT_S).close()
                failed = 0
            except OSError:
                failed += 1
            is_lost = failed >= LOST_AFTER_LOOKS
            if is_lost:
                with self._lock:
                    if _Connection._current is self:
                        self._close()
            for tell in self._watchers:
                tell(is_lost)


class RayExecutor(Executor):
    """Runs functions in a Ray cluster, each on one processor.

    A function whose worker process or node is lost fails with BrokenProcessPool, and is not tried
    again by Ray. When the cluster is lost, all fail with BrokenExecutor.

    Args:
        connection: the connection, which is released by `shutdown`.
        lost: what is told when the cluster is lost.
    """

    def __init__(self, connection: _Connection, lost: str) -> None:
        self._connection: _Connection | None = connection
        self._lost = lost
        self._remote: Any = _ray().remote(num_cpus=1, max_retries=0)(_call)
        self._lock = threading.Lock()
        self._running: set[_RayFuture] = set()
        self._is_lost = self._is_shut_down = False
        connection.watch(self._look)

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Call a function in the cluster.

        Raises:
            BrokenExecutor: the cluster is lost.
            RuntimeError: the executor was shut down.
        """
        with self._lock:
            if self._is_lost:
                raise BrokenExecutor(self._lost)
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = _RayFuture(self._remote.remote(fn, args, kwargs))
            self._running.add(future)
        future.add_done_callback(self._forget)
        future.follow()
        return future

    def kill(self, future: Future[Any]) -> None:
        """Kill the process that runs a future's function; nothing happens if none does."""
        if isinstance(future, _RayFuture):
            future.cancel_in_ray(force=True)

    def kill_workers(self) -> None:
        """Kill the processes of all functions that run, and drop those that wait."""
        for future in self._unfinished():
            future.cancel_in_ray(force=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Release the connection; functions that run are dropped, unless waited for."""
        self._is_shut_down = True
        if cancel_futures or not wait:
            self.kill_workers()
        if wait:
            wait_for(self._unfinished())
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()
        for future in self._unfinished():
            future.drop()

    def _unfinished(self) -> list[_RayFuture]:
        with self._lock:
            return list(self._running)

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._running.discard(future)  # pyright: ignore[reportArgumentType]

    def _look(self, is_lost: bool) -> None:
        self._is_lost = self._is_lost or is_lost
        for future in self._unfinished():
            if is_lost:
                future.fail(BrokenExecutor(self._lost))
            else:
                future.repeat_cancel()


class _RayFuture(Future[Any]):
    """A future of a function in a Ray cluster."""

    def __init__(self, reference: ObjectRef[Any]) -> None:
        super().__init__()
        self._reference = reference
        self._looks_since_cancel: int | None = None
        self.set_running_or_notify_cancel()

    def follow(self) -> None:
        """End as the function in the cluster ends."""
        self._reference.future().add_done_callback(self._take)

    def cancel(self) -> bool:
        """Ask Ray to drop the function, or to interrupt it if it runs.

        Returns:
            False: it has ended only when Ray says so.
        """
        self._looks_since_cancel = 0
        self.cancel_in_ray(force=False)
        return False

    def repeat_cancel(self) -> None:
        """Ask again, if it was asked: Ray forgets it for a function that is about to start.

        At each look that is a power of two, so that a busy machine may take as long as it needs,
        and a function that cleans up is seldom interrupted.
        """
        if self._looks_since_cancel is not None:
            self._looks_since_cancel += 1
            if self._looks_since_cancel.bit_count() == 1:
                self.cancel_in_ray(force=False)

    def cancel_in_ray(self, *, force: bool) -> None:
        """Have Ray drop the function, interrupt it, or kill its process."""
        with contextlib.suppress(Exception):  # it has ended, or Ray is gone
            _ray().cancel(self._reference, force=force, recursive=False)

    def drop(self) -> None:
        """End without a result, unless it has ended."""
        self.fail(BrokenExecutor("the executor was shut down"))

    def fail(self, fault: BaseException) -> None:
        """End with an exception, unless it has ended."""
        with contextlib.suppress(InvalidStateError):
            self.set_exception(fault)

    def _take(self, ended: Future[Any]) -> None:
        fault = ended.exception()
        if fault is None:
            with contextlib.suppress(InvalidStateError):
                self.set_result(ended.result())
        else:
            self.fail(_as_told(fault))


def _as_told(fault: BaseException) -> BaseException:
    """What Ray raises instead of a result, as what other executors raise."""
    exceptions = _ray().exceptions
    if isinstance(fault, exceptions.TaskCancelledError):
        return CancelledError("the function was cancelled in the Ray cluster")
    if isinstance(fault, exceptions.RayTaskError):
        cause: object = getattr(fault, "cause", None)
        return cause if isinstance(cause, Exception) else fault
    return BrokenProcessPool(
        "the Ray process or node that ran the function is lost, or could not run it: "
        f"{type(fault).__name__}: {_first_line(fault)}"
    )


def _call(function: Callable[..., _Result], positional: Any, named: Any) -> _Result:
    return function(*positional, **named)


def _open(address: str) -> None:
    # In the main thread, Ray would replace the process's handler of SIGTERM; here it warns that it
    # does not.
    logger = logging.getLogger("ray._private.worker")
    logger.addFilter(_is_error)
    thread = DaemonThreads(1, "muster-ray-connect")
    try:
        thread.submit(
            _ray().init,
            address=address,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        ).result()
    finally:
        thread.shutdown(wait=False)
        logger.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _first_line(fault: object) -> str:
    return str(fault).strip().partition("\n")[0]


def _ray() -> Any:
    import ray  # noqa: PLC0415 - optional, and takes a second to import

    return ray
