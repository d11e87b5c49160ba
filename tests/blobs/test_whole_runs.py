"""Whole runs with large data, in virtual time: handlers and reports see nothing of the blobs."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from muster.agents import Handlers, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.blobs import place_finder
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.blobs.store import BlobStore
from muster.agents.kernel.model.occurrences import OccurrenceKind
from muster.agents.kernel.security.blob_seal import BlobSeal
from muster.agents.kernel.security.client_seal import ClientSeal
from muster.agents.kernel.security.identity import Identity
from muster.agents.kernel.security.manager_seal import ManagerSeal
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.agents.simulation.memory_network import MemoryNetwork, SeededFaults
from muster.agents.store.memory import MemoryStore, SharedRows
from muster.agents.store.sqlite import SqliteStore
from muster.messages import BlobUnusable, Task, TaskAssignment, TaskResult, TaskStatus
from muster.messages.frame import decode_frame

SECRET = WorkspaceSecret(bytes(range(32)))
BIG = random.Random(5).randbytes(204_800)
TREE = {"rows": [[number, str(number)] for number in range(20_000)]}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class Watched:
    """A blob store that counts what is done with it, and may fail."""

    def __init__(self, inner: BlobStore) -> None:
        self.inner = inner
        self.did: Counter[str] = Counter()
        self.now_there: set[str] = set()
        self.fails: set[str] = set()
        self.url = inner.url

    def _do(self, what: str) -> None:
        self.did[what] += 1
        if what in self.fails:
            raise BlobUnusable(f"{what}: the disk is full")

    def write(self, name: str, content: bytes) -> None:
        self._do("write")
        self.inner.write(name, content)
        self.now_there.add(name)

    def read(self, name: str) -> bytes:
        self._do("read")
        return self.inner.read(name)

    def delete(self, name: str) -> None:
        self._do("delete")
        self.inner.delete(name)

    def sweep(self, older_than_s: float, spared: Collection[str] = ()) -> int:
        self._do("sweep")
        return self.inner.sweep(older_than_s, spared)

    def close(self) -> None:
        self.did["close"] += 1


@pytest.fixture
def place(tmp_path: Path) -> Watched:
    return Watched(DirectoryBlobs(tmp_path / "blobs", create=True))


def there(place: Watched) -> set[str]:
    return {path.name for path in Path(place.url.removeprefix("file://")).iterdir()}


def task(number: int, task_type: str = "echo", data: Any = BIG, **fields: Any) -> Task:
    return Task(id=number, description=f"{task_type} {number}", type=task_type, data=data, **fields)


def worker(name: str = "Ada", **options: Any) -> WorkerAgent:
    handlers = Handlers()

    @handlers.task("echo")
    async def echo(task: Task) -> Any:
        return task.data

    @handlers.task("reverse")
    def reverse(task: Task) -> Any:
        return task.data[::-1]

    @handlers.task("grow")
    async def grow(task: Task) -> Any:
        return BIG * task.data

    @handlers.task("measure")
    async def measure(task: Task, context: Any) -> Any:
        await asyncio.sleep(1.0)
        return {str(key): len(value) for key, value in context.inputs.items()}

    @handlers.task("slow")
    async def slow(task: Task) -> Any:
        await asyncio.sleep(10.0)
        return len(task.data)

    return WorkerAgent(name, 5, handlers=handlers, **options)


class RecordingManager(TaskManager):
    """A manager that remembers which results it was told of."""

    def __init__(self, tasks: Any = (), **options: Any) -> None:
        options = {"expected_workers": 1, "port": 0, "quiet": True, **options}
        self.told: list[TaskResult] = []
        super().__init__(tasks, **options)

    async def handle_result(self, data: TaskResult, *given: Any, **named: Any) -> None:
        self.told.append(data)

    @property
    def outputs(self) -> dict[Any, Any]:
        return {result.task_id: result.output for result in self.task_results}


class Eavesdropper(MemoryNetwork):
    """A network that counts what it carries."""

    carried_bytes = 0
    largest_bytes = 0

    def carry(self, sender: Any, frame: bytes, to: str | None) -> None:
        self.carried_bytes += len(frame)
        self.largest_bytes = max(self.largest_bytes, len(frame))
        super().carry(sender, frame, to)


async def run_sealed(manager: TaskManager, workers: list[WorkerAgent]) -> None:
    network = MemoryNetwork()
    link = network.join(manager.name, manager.receive)
    serving = [
        asyncio.ensure_future(
            each.serve_over(
                network.join(each.name, each.receive),
                seal=ClientSeal(SECRET, "estate", Identity(each.name.encode().ljust(32))),
            )
        )
        for each in workers
    ]
    await manager.serve_over(
        link, seal=ManagerSeal(SECRET, "estate", Identity(b"manager".ljust(32)))
    )
    await asyncio.gather(*serving)


# ------------------------------------------------------------------------------ transparency


def test_large_data_outputs_and_inputs_arrive_as_they_were(temporary: Path) -> None:
    tasks = [
        task(1),
        task(2, "reverse"),
        task(3, "grow", 3),
        task(4, data=TREE),
        task(5, "measure", None, depends_on=(1, 2, 3)),
        task(6, data="small"),
    ]
    manager, network = RecordingManager(tasks, expected_workers=2), Eavesdropper()
    report = run_in_virtual_time(rehearse(manager, [worker("Ada"), worker("Ben")], network))
    assert report.success_rate == 1.0
    assert manager.outputs == {
        1: BIG,
        2: BIG[::-1],
        3: BIG * 3,
        4: TREE,
        5: {"1": len(BIG), "2": len(BIG), "3": 3 * len(BIG)},
        6: "small",
    }
    assert {result.task_id: result.output for result in manager.told} == manager.outputs
    assert network.carried_bytes < 20_000
    # The directory was made for it, and went with the run.
    assert list(temporary.iterdir()) == []


def test_where_nothing_is_large_no_directory_is_ever_made(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **named: made.append(named))
    manager = RecordingManager([task(1, data="small")])
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {1: "small"}
    assert made == []


def test_in_a_sealed_workspace_blobs_are_sealed(place: Watched) -> None:
    contents: list[bytes] = []
    write = place.inner.write

    def spy(name: str, content: bytes) -> None:
        contents.append(content)
        write(name, content)

    place.inner.write = spy  # type: ignore[method-assign]
    manager = RecordingManager([task(1)], blobs=place, secret=SECRET)
    run_in_virtual_time(run_sealed(manager, [worker()]))
    assert manager.outputs == {1: BIG}
    assert len(contents) == 2  # the data and the probe; the worker opens the place by itself
    assert all(BIG[:1000] not in content for content in contents)
    assert BlobSeal(None).name(BIG) not in place.now_there


def test_blobs_in_an_fsspec_place_arrive_as_well() -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    manager, network = (
        RecordingManager([task(1, "reverse")], blobs="memory://estate"),
        Eavesdropper(),
    )
    run_in_virtual_time(rehearse(manager, [worker()], network))
    assert manager.outputs == {1: BIG[::-1]}
    assert network.largest_bytes < 4_000
    assert MemoryFileSystem().ls("/estate", detail=False) == []


@pytest.mark.parametrize("threshold", [None, 10**9])
def test_without_blobs_all_goes_in_frames(place: Watched, threshold: int | None) -> None:
    manager, network = (
        RecordingManager([task(1)], blobs=place, blob_threshold_bytes=threshold),
        Eavesdropper(),
    )
    run_in_virtual_time(rehearse(manager, [worker()], network))
    assert manager.outputs == {1: BIG}
    assert network.largest_bytes > 1_000
    assert place.did == Counter()


def test_a_task_of_the_users_own_class_arrives_whole() -> None:
    class PhotoTask(Task):
        photo: bytes

    photo = PhotoTask(id=1, description="p", type="echo", data=[1], photo=BIG)
    seen: list[Any] = []

    class Looker(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> Any:
            seen.append(data.task)
            return True

    network = Eavesdropper()
    run_in_virtual_time(rehearse(RecordingManager([photo]), [Looker("Ada", 5)], network))
    assert seen == [photo]
    assert type(seen[0]) is PhotoTask
    assert network.largest_bytes < 4_000


@pytest.mark.parametrize("seed", range(6))
def test_over_a_bad_network_nothing_is_lost_or_done_twice(seed: int, tmp_path: Path) -> None:
    tasks = [task(number, "reverse", BIG + bytes([number])) for number in range(1, 13)]
    network = MemoryNetwork(faults=SeededFaults(seed, loss=0.2, duplicate=0.2, delay_s=0.3))
    manager = RecordingManager(tasks, expected_workers=2, blobs=tmp_path / "blobs")
    workers = [worker("Ada", slots=2), worker("Ben", slots=2)]
    run_in_virtual_time(rehearse(manager, workers, network))
    assert manager.outputs == {each.id: each.data[::-1] for each in tasks}
    assert Counter(result.task_id for result in manager.told) == Counter(range(1, 13))
    # A worker that never hears of the end may leave a result that it put there a second time.
    left = [path.name for path in (tmp_path / "blobs").iterdir()]
    assert [name for name in left if "-" not in name] == []


# ------------------------------------------------------------------------------ who needs what


def test_equal_data_shares_a_blob_which_goes_with_the_last_that_needs_it(place: Watched) -> None:
    tasks = [task(number, "slow") for number in range(1, 5)]
    manager = RecordingManager(tasks, blobs=place)
    seen: list[set[str]] = []
    manager.watch(
        lambda each: (
            seen.append(there(place)) if each.what is OccurrenceKind.TASK_COMPLETED else None
        )
    )
    run_in_virtual_time(rehearse(manager, [worker(slots=2)]))
    # One for the data of all, and the probe.
    assert [len(names) for names in seen] == [2, 2, 2, 2]
    assert there(place) == set()
    assert len(place.now_there) == 2


def test_what_a_task_returns_goes_when_it_is_recorded(place: Watched) -> None:
    manager = RecordingManager([task(1, "grow", 2), task(2, "slow", b"")], blobs=place)
    during: list[int] = []

    async def play() -> None:
        running = asyncio.ensure_future(rehearse(manager, [worker()]))
        await asyncio.sleep(5.0)
        during.append(len(there(place)))
        await running

    run_in_virtual_time(play())
    assert manager.outputs[1] == BIG * 2
    assert during == [1]  # the probe
    assert there(place) == set()


def test_a_task_that_is_tried_again_finds_its_data_still_there(place: Watched) -> None:
    class Clumsy(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> Any:
            assert data.task.data == BIG
            return data.attempt == 3

    manager = RecordingManager([task(1, max_attempts=3)], blobs=place)
    run_in_virtual_time(rehearse(manager, [Clumsy("Ada", 5)]))
    assert manager.get_task_status(1) == TaskStatus.COMPLETED.label
    assert there(place) == set()


def test_a_cancelled_tasks_blobs_go_too(place: Watched) -> None:
    manager = RecordingManager([task(1, "slow"), task(2, "slow", b"small")], blobs=place)

    async def play() -> None:
        running = asyncio.ensure_future(rehearse(manager, [worker(slots=2)]))
        await asyncio.sleep(3.0)
        manager.cancel_task(1)
        await asyncio.sleep(1.0)
        assert len(there(place)) == 1
        await running

    run_in_virtual_time(play())
    assert manager.get_task_status(1) == TaskStatus.CANCELLED.label
    assert there(place) == set()


@pytest.mark.parametrize(("is_kept", "stay"), [(False, 0), (True, 3)], ids=["not kept", "kept"])
def test_what_a_stopped_run_has_not_done_stays_only_where_the_run_may_go_on(
    place: Watched, is_kept: bool, stay: int
) -> None:
    tasks = [task(number, "slow", BIG + bytes([number])) for number in (1, 2)]
    store = MemoryStore(SharedRows()) if is_kept else None
    manager = RecordingManager(tasks, blobs=place, store=store)

    async def play() -> None:
        running = asyncio.ensure_future(rehearse(manager, [worker(slots=2)]))
        await asyncio.sleep(3.0)
        await manager.stop()
        await running

    run_in_virtual_time(play())
    # With the probe, by which workers find out whether they reach the place.
    assert len(there(place)) == stay


def test_a_cancel_right_behind_a_parcel_comes_after_it(place: Watched) -> None:
    manager = RecordingManager([task(1, "slow"), task(2, "slow"), task(3, data="x")], blobs=place)

    def cancel(occurrence: Any) -> None:
        if occurrence.what is OccurrenceKind.TASK_ASSIGNED and occurrence.task_id == 1:
            asyncio.get_running_loop().call_soon(manager.cancel_task, 1)

    manager.watch(cancel)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {2: len(BIG), 3: "x"}
    assert manager.get_task_status(1) == TaskStatus.CANCELLED.label
    # The slot was free at once: the cancel found what it was to stop.
    board = manager.board
    assert board.ended_at is not None
    assert board.began_at is not None
    assert 10 <= board.ended_at - board.began_at < 11


# ------------------------------------------------------------------------------ what goes wrong


def failures(manager: TaskManager) -> dict[Any, str | None]:
    return {result.task_id: result.error_message for result in manager.task_results}


def test_a_place_that_can_not_be_written_fails_the_large_tasks_alone(place: Watched) -> None:
    place.fails = {"write"}
    manager = RecordingManager(
        [task(1), task(2, data="small"), task(3, "grow", 2), task(4)], blobs=place
    )
    run_in_virtual_time(rehearse(manager, [worker()]))
    errors = failures(manager)
    assert manager.outputs[2] == "small"
    for number in (1, 3, 4):
        assert errors[number] == "BlobUnusable: write: the disk is full"


def test_a_place_that_can_not_be_opened_fails_the_large_tasks_alone(tmp_path: Path) -> None:
    manager = RecordingManager(
        [task(1), task(2, data="small"), task(3, "grow", 2)], blobs=tmp_path / "file"
    )
    (tmp_path / "file").write_text("in the way")
    run_in_virtual_time(rehearse(manager, [worker()]))
    errors = failures(manager)
    assert manager.outputs[2] == "small"
    for number in (1, 3):
        assert "directory" in str(errors[number])
        assert str(tmp_path / "file") in str(errors[number])


def test_a_place_that_works_again_is_used_again(tmp_path: Path) -> None:
    manager = RecordingManager(
        [task(1, max_attempts=3)], blobs=tmp_path / "file", unmatched_after_s=None
    )
    (tmp_path / "file").write_text("in the way")

    def mend(occurrence: Any) -> None:
        if occurrence.what is OccurrenceKind.ATTEMPT_FAILED:
            (tmp_path / "file").unlink(missing_ok=True)

    manager.watch(mend)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {1: BIG}


def test_a_result_that_can_not_be_read_fails_with_that_reason(place: Watched) -> None:
    place.fails = {"read"}
    manager = RecordingManager([task(1, "grow", 2), task(2, data="small")], blobs=place)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert failures(manager)[1] == "BlobUnusable: read: the disk is full"
    assert manager.outputs[2] == "small"
    assert there(place) == set()


@pytest.mark.parametrize("harm", ["alter", "delete", "shorten", "replace by a pipe"])
def test_data_that_was_harmed_is_never_given_to_a_handler(place: Watched, harm: str) -> None:
    write = place.inner.write

    def write_badly(name: str, content: bytes) -> None:
        write(name, content)
        path = Path(place.url.removeprefix("file://"), name)
        if len(content) < 1000:
            return
        if harm == "alter":
            path.write_bytes(b"x" + content[1:])
        elif harm == "shorten":
            path.write_bytes(content[:-1])
        else:
            path.unlink()
            if harm != "delete":
                os.mkfifo(path)

    place.inner.write = write_badly  # type: ignore[method-assign]
    manager = RecordingManager([task(1), task(2, data="small")], blobs=place)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert str(failures(manager)[1]).startswith("Blob")
    assert manager.outputs[2] == "small"


def test_a_worker_that_does_not_reach_the_place_is_served_in_frames(
    place: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    place.url = "file:///nowhere/on/this/machine"
    manager, network = RecordingManager([task(1), task(2, "grow", 2)], blobs=place), Eavesdropper()
    run_in_virtual_time(rehearse(manager, [worker()], network))
    assert manager.outputs == {1: BIG, 2: BIG * 2}
    assert network.largest_bytes > 1_000
    assert caplog.text.count("a member can't reach the blob store") == 1


def test_a_worker_that_reaches_another_place_by_the_same_name_is_found_out(
    place: Watched, tmp_path: Path
) -> None:
    (tmp_path / "same").mkdir()
    place.url = (tmp_path / "same").as_uri()
    manager = RecordingManager([task(1), task(2, "grow", 2)], blobs=place)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {1: BIG, 2: BIG * 2}
    assert list((tmp_path / "same").iterdir()) == []


def test_a_worker_that_may_read_there_and_not_write_is_served_in_frames(
    place: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadOnly(DirectoryBlobs):
        def write(self, name: str, content: bytes) -> None:
            raise BlobUnusable("this is read-only here")

    folder = Path(place.url.removeprefix("file://"))
    monkeypatch.setattr(place_finder, "open_place", lambda url: ReadOnly(folder))
    manager = RecordingManager([task(1), task(2, "grow", 2)], blobs=place)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {1: BIG, 2: BIG * 2}


def test_a_place_that_others_can_not_open_is_used_by_nobody(place: Watched) -> None:
    place.url = ""
    manager = RecordingManager([task(1), task(2, "grow", 2)], blobs=place)
    run_in_virtual_time(rehearse(manager, [worker()]))
    assert manager.outputs == {1: BIG, 2: BIG * 2}


# ------------------------------------------------------------------------------ a store


async def kill(serving: asyncio.Future[None], memory: SharedRows, link: Any) -> None:
    link.leave()
    memory.release()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("same_place", [True, False])
def test_managers_killed_with_parcels_under_way_lose_and_double_nothing(
    tmp_path: Path, seed: int, same_place: bool
) -> None:
    memory = SharedRows()
    performed: list[Any] = []
    tasks = [task(number, "reverse", BIG + bytes([number]), timeout=600) for number in range(1, 15)]

    class Slow(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> Any:
            performed.append(data.task.id)
            await asyncio.sleep(0.7)
            output = data.task.data[::-1]
            return TaskResult(task_id=1, worker="", success=True, output=output)

    told: Counter[Any] = Counter()

    async def play() -> RecordingManager:
        faults = SeededFaults(seed, loss=0.1, duplicate=0.1, delay_s=0.05)
        network = MemoryNetwork(faults=faults)
        workers = [Slow(name, 5, slots=2) for name in ("Ada", "Ben")]
        working = [
            asyncio.ensure_future(each.serve_over(network.join(each.name, each.receive)))
            for each in workers
        ]
        for number in range(1, 4):
            blobs = tmp_path / ("blobs" if same_place else f"blobs{number}")
            manager = RecordingManager(
                tasks, store=MemoryStore(memory), blobs=blobs, lost_after_s=2.0, expected_workers=2
            )
            link = network.join(f"boss {number}", manager.receive)
            manager.watch(
                lambda each: (
                    told.update([each.task_id])
                    if each.what is OccurrenceKind.TASK_COMPLETED
                    else None
                )
            )
            managing = asyncio.ensure_future(manager.serve_over(link))
            if number < 3:
                await asyncio.sleep(1.9 + seed / 10)
                await kill(managing, memory, link)
        await managing
        await asyncio.wait(working, timeout=5.0)
        for future in working:
            future.cancel()
        return manager

    manager = run_in_virtual_time(play())
    assert manager.outputs == {each.id: each.data[::-1] for each in tasks}
    assert told == Counter(range(1, 15))
    # A result that its manager could not record was kept, and nothing was done again for it.
    assert Counter(performed).most_common(1)[0][1] <= 2


def test_a_result_is_kept_until_it_is_written_though_its_parcel_has_arrived(
    tmp_path: Path,
) -> None:
    memory = SharedRows()
    performed: list[Any] = []
    blobs = tmp_path / "blobs"

    class Once(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> Any:
            performed.append(data.attempt)
            return TaskResult(task_id=1, worker="", success=True, output=BIG)

    async def play() -> RecordingManager:
        network = MemoryNetwork()
        working = Once("Ada", 5)
        serving = asyncio.ensure_future(
            working.serve_over(network.join("Ada", working.receive), session="a")
        )
        options: dict[str, Any] = {"lost_after_s": 2.0}
        first = RecordingManager(
            [task(1, data=None)], store=MemoryStore(memory), blobs=blobs, **options
        )
        link = network.join("boss 1", first.receive)
        # The read of the result's blob never comes to an end.
        parcels = first._shell._outgoing.offload
        parcels._unpack = lambda parcel: asyncio.Future()  # type: ignore[method-assign,assignment]
        managing = asyncio.ensure_future(first.serve_over(link))
        await until(lambda: bool(parcels._reads))
        await asyncio.sleep(0.5)
        endpoint = working._shell._manager_session
        assert endpoint is not None
        assert not endpoint.endpoint._multiplexer.has_unsettled()
        await kill(managing, memory, link)
        second = RecordingManager([], store=MemoryStore(memory), blobs=blobs, **options)
        await second.serve_over(network.join("boss 2", second.receive))
        await serving
        return second

    manager = run_in_virtual_time(play())
    assert manager.outputs == {1: BIG}
    assert performed == [1]


def test_beside_a_stores_file_blobs_outlive_a_manager_that_stops_and_go_with_the_run(
    tmp_path: Path,
) -> None:
    tasks = [task(1, "slow", timeout=600), task(2, "grow", 2)]
    beside = tmp_path / "run.db.blobs"

    async def play() -> RecordingManager:
        network = MemoryNetwork()
        first = RecordingManager(tasks, store=tmp_path / "run.db", lost_after_s=2.0)
        managing = asyncio.ensure_future(first.serve_over(network.join("boss 1", first.receive)))
        ada = worker(slots=2)
        working = asyncio.ensure_future(ada.serve_over(network.join("Ada", ada.receive)))
        await until(lambda: 2 in first.outputs)
        await asyncio.sleep(1.0)
        await first.stop()
        await managing
        await working
        assert {BlobSeal(None).name(b"\xc6\x00\x03\x20\x00" + BIG)} <= {
            path.name for path in beside.iterdir()
        }
        second = RecordingManager([], store=SqliteStore(tmp_path / "run.db"), lost_after_s=2.0)
        managing = asyncio.ensure_future(second.serve_over(network.join("boss 2", second.receive)))
        ben = worker("Ben")
        await asyncio.gather(managing, ben.serve_over(network.join("Ben", ben.receive)))
        return second

    manager = run_in_virtual_time(play())
    assert manager.outputs == {1: len(BIG), 2: BIG * 2}
    assert not beside.exists()


def test_what_a_crashed_run_left_is_swept_by_its_age(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs", create=True)
    old, young = (BlobSeal(None).name(content) for content in (b"old", b"young"))
    for name in (old, young):
        blobs.write(name, b"left over")
    os.utime(tmp_path / "blobs" / old, (1, 1))
    run_in_virtual_time(rehearse(RecordingManager([task(1)], blobs=tmp_path / "blobs"), [worker()]))
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == {young}


def test_frames_hold_no_large_value_even_compressed() -> None:
    frames: list[bytes] = []

    class Tap(MemoryNetwork):
        def carry(self, sender: Any, frame: bytes, to: str | None) -> None:
            frames.append(frame)
            super().carry(sender, frame, to)

    run_in_virtual_time(rehearse(RecordingManager([task(1)]), [worker()], Tap()))
    assert all(
        BIG[:300] not in section.letter
        for frame in frames
        for section in decode_frame(frame).sections
    )
