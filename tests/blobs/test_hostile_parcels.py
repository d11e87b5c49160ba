"""What a peer may say of blobs: absurd parcels and places harm nobody, and lead nowhere."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, run_in_virtual_time
from muster.agents.blobs.directory import DirectoryBlobs
from muster.agents.blobs.offload import Blobs, BlobThreads
from muster.agents.blobs.worker_offload import WorkerOffload
from muster.agents.kernel.security.blob_seal import BlobSeal
from muster.agents.simulation.memory_network import MemoryNetwork
from muster.messages import (
    BlobPlace,
    BlobsReached,
    CancelTask,
    DecodeError,
    Flaw,
    Parcel,
    ResultRecorded,
    Task,
    TaskAssignment,
    TaskResult,
    decode_message,
    encode_message,
)
from muster.messages.frame import Datagram, Frame, Section, encode_frame, encode_letter
from muster.messages.values import pack

NAME = "0" * 64


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "",
        NAME + "\n",
        NAME + "/../x",
        "A" * 64,
        "0" * 1_000_000,
        "file:///etc/passwd",
        None,
        7,
        b"0" * 63,
    ],
)
def test_a_parcel_with_another_name_is_no_message(name: object) -> None:
    fields: dict[str, Any] = {"task_id": 1, "worker": "Ada", "skeleton": b"x"}
    with pytest.raises(DecodeError) as raised:
        decode_message(pack(["Parcel", {**fields, "cuts": [[0, name]]}]))
    assert raised.value.flaw is Flaw.INVALID
    assert len(str(raised.value)) < 2_000
    with pytest.raises(DecodeError):
        decode_message(pack(["BlobPlace", {"url": "file:///tmp", "probe": name or ""}]))


@pytest.mark.parametrize("place", [-1, "x", None, 1.5, [0]])
def test_a_parcel_with_an_absurd_place_is_no_message(place: object) -> None:
    fields: dict[str, Any] = {"task_id": 1, "worker": "Ada", "skeleton": b"x"}
    with pytest.raises(DecodeError):
        decode_message(pack(["Parcel", {**fields, "cuts": [[place, NAME]]}]))


class Desk:
    """A worker's parcels, with what they say and hand on."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.taken: list[TaskAssignment] = []
        self.results: list[TaskResult] = []
        self.queued: list[Any] = []
        self.parcels = WorkerOffload(
            post=self.said.append,
            take=self.taken.append,
            report_result=self.results.append,
            queue=lambda key, message: self.queued.append((key, decode_message(message))),
            unqueue=lambda keys: None,
        )
        self.parcels.begin("Ada", "session", None, {})
        self.parcels.welcomed(1_000)

    async def settle(self) -> None:
        while self.parcels._tasks:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc",
        "file:///etc",
        "../../..",
        "file:///proc/self",
        "file://evil.example/share",
        "moonbase://x",
        "simplecache::file:///etc",
        "local:///nowhere/to/be/found",
        "x" * 4_096,
        "file:///\0",
        "memory://estate-of-a-stranger",
    ],
)
def test_whatever_place_is_named_a_worker_reads_no_more_than_a_probe_there(url: str) -> None:
    async def play() -> Desk:
        desk = Desk()
        desk.parcels.set_place(BlobPlace(url=url, probe=NAME))
        await desk.settle()
        desk.parcels.send(
            (1, 1),
            encode_message(TaskResult(task_id=1, worker="Ada", success=True, output=b"x" * 5_000)),
        )
        await desk.settle()
        desk.parcels.close()
        return desk

    desk = run_in_virtual_time(play())
    assert [each.reached for each in desk.said if isinstance(each, BlobsReached)] in ([False], [])
    # The result goes in a frame.
    ((_, result),) = desk.queued
    assert result.output == b"x" * 5_000
    assert list(desk.parcels.keys) == []


def test_a_place_that_is_too_long_is_no_message() -> None:
    with pytest.raises(DecodeError):
        decode_message(pack(["BlobPlace", {"url": "x" * 4_097}]))


async def _place_with(folder: Path, *contents: bytes) -> tuple[BlobPlace, list[str]]:
    seal, store = BlobSeal(None), DirectoryBlobs(folder, create=True)
    names = [seal.name(content) for content in contents]
    for name, content in zip(names, contents, strict=True):
        store.write(name, content)
    probe, _ = await Blobs(store, seal, BlobThreads()).leave_probe()
    return BlobPlace(url=store.url, probe=probe), names


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no msgpack at all", "DecodeError"),
        (encode_message(TaskAssignment(task=Task(id=2, description="d"), worker="Ada")), "another"),
        (encode_message(TaskAssignment(task=Task(id=1, description="d"), worker="Ben")), "another"),
        (encode_message(TaskResult(task_id=1, worker="Ada", success=True)), "another"),
        (pack(["TaskAssignment", {"task": ["Task", {"id": -1}]}]), "DecodeError"),
        (b"\x91" * 5_000, "DecodeError"),
    ],
)
def test_a_parcel_with_something_else_in_it_fails_its_attempt_alone(
    tmp_path: Path, content: bytes, told: str
) -> None:
    async def play() -> Desk:
        desk = Desk()
        place, (name,) = await _place_with(tmp_path, content)
        desk.parcels.set_place(place)
        desk.parcels.receive(
            Parcel(task_id=1, attempt=1, worker="Ada", skeleton=b"", cuts=((0, name),))
        )
        await desk.settle()
        desk.parcels.close()
        return desk

    desk = run_in_virtual_time(play())
    assert desk.taken == []
    (result,) = desk.results
    assert not result.success
    assert (result.task_id, result.attempt) == (1, 1)
    assert told == "another" or told in str(result.error_message)


def test_a_cancel_finds_an_attempt_that_is_not_opened_yet(tmp_path: Path) -> None:
    async def play() -> Desk:
        desk = Desk()
        desk.parcels.receive(
            Parcel(task_id=1, attempt=2, worker="Ada", skeleton=b"", cuts=((0, NAME),))
        )
        assert not desk.parcels.cancel(CancelTask(task_id=1, attempt=1))
        assert desk.parcels.cancel(CancelTask(task_id=1, attempt=2, reason="by the user"))
        assert not desk.parcels.cancel(CancelTask(task_id=1, attempt=2))
        await desk.settle()
        desk.parcels.close()
        return desk

    desk = run_in_virtual_time(play())
    assert desk.taken == []
    assert [(each.attempt, each.error_message) for each in desk.results] == [(2, "by the user")]


def test_what_is_not_opened_yet_can_be_given_back() -> None:
    async def play() -> Desk:
        desk = Desk()
        desk.parcels.receive(
            Parcel(task_id=1, attempt=2, worker="Ada", skeleton=b"", cuts=((0, NAME),))
        )
        assert desk.parcels.give_back([(1, 1), (1, 2), (2, 2)]) == [(1, 2)]
        await desk.settle()
        desk.parcels.close()
        return desk

    desk = run_in_virtual_time(play())
    assert (desk.taken, desk.results) == ([], [])


def test_a_manager_that_never_tells_of_a_place_gets_results_in_frames() -> None:
    async def play() -> Desk:
        desk = Desk()
        result = TaskResult(task_id=1, worker="Ada", success=True, output=b"x" * 5_000)
        desk.parcels.send((1, 1), encode_message(result))
        assert list(desk.parcels.keys) == [(1, 1)]
        await desk.settle()
        desk.parcels.recorded(ResultRecorded(task_id=1, attempt=1))
        desk.parcels.close()
        return desk

    desk = run_in_virtual_time(play())
    ((_, result),) = desk.queued
    assert result.output == b"x" * 5_000


def test_a_stranger_with_parcels_for_the_manager_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    manager = TaskManager(
        [Task(id=1, description="one", difficulty=9, timeout=100)],
        expected_workers=1,
        port=0,
        quiet=True,
        blobs=tmp_path / "blobs",
    )
    (tmp_path / "blobs").mkdir()
    victim = BlobSeal(None).name(b"victim")
    (tmp_path / "blobs" / victim).write_bytes(b"victim")
    os.utime(tmp_path / "blobs" / victim)
    worker = WorkerAgent("Ada", 9)

    async def play() -> None:
        network = MemoryNetwork()
        link = network.join(manager.name, manager.receive)
        managing = asyncio.ensure_future(manager.serve_over(link))
        working = asyncio.ensure_future(worker.serve_over(network.join("Ada", worker.receive)))
        stranger = network.join("stranger", lambda frame: None)
        await asyncio.sleep(1.0)
        for task_id in (1, 2, "x"):
            parcel = Parcel(task_id=task_id, worker="Ada", skeleton=b"", cuts=((0, victim),))
            letter = encode_letter(Datagram((encode_message(parcel),)))
            frame = encode_frame(Frame("stranger", (Section(manager.name, letter),)))
            await stranger.send(frame)
        await managing
        await working

    run_in_virtual_time(play())
    assert manager.report().success_rate == 1.0
    assert (tmp_path / "blobs" / victim).read_bytes() == b"victim"
