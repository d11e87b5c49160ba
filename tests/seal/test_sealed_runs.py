"""Whole runs over a sealed memory link, with losses, with strangers, and with those who repeat."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.kernel.security.seal import Seal
from muster.agents.kernel.security.unsealed import Unsealed
from muster.agents.simulation.memory_network import MemoryNetwork, SeededFaults
from muster.agents.simulation.virtual_time import run_in_virtual_time
from muster.messages import Flaw, Hello, Shutdown, Task, TaskResult, WrongSecret, encode_message
from muster.messages.frame import (
    ANY_MANAGER,
    EVERYONE,
    Datagram,
    Frame,
    Section,
    encode_frame,
    encode_letter,
)
from muster.scenarios.all_well import AllWell
from muster.scenarios.more_tasks_than_workers import MoreTasksThanWorkers
from muster.scenarios.some_failures import SomeFailures
from muster.scenarios.specialists import Specialists
from muster.scenarios.timeout import Timeout

STORIES = [AllWell, MoreTasksThanWorkers, SomeFailures, Specialists, Timeout]


@dataclass
class RecordingManager:
    """What became of a run."""

    manager: TaskManager
    happened: list[Occurrence] = field(default_factory=list)
    recorded: list[bytes] = field(default_factory=list)

    def counts(self) -> Counter[tuple[OccurrenceKind, object]]:
        return Counter((each.what, each.task_id) for each in self.happened)


class Recorder:
    """A stranger on the link that writes down every frame and knows no secret."""

    def __init__(self, network: MemoryNetwork, heard: list[bytes]) -> None:
        self.link = network.join("stranger", heard.append)


async def run_sealed(
    estate: Any,
    manager: TaskManager,
    workers: list[WorkerAgent],
    network: MemoryNetwork,
    *,
    run: str = "1",
    meddle: Any = None,
) -> RecordingManager:
    """Run manager and workers, all sealed, with somebody else on the link."""
    told = RecordingManager(manager)
    manager.watch(told.happened.append)
    recorder = Recorder(network, told.recorded)
    manager_link = network.join(manager.name, manager.receive)
    serving = [
        asyncio.ensure_future(
            worker.serve_over(
                network.join(worker.name, worker.receive),
                seal=estate.client(f"{worker.name}{run}"),
            )
        )
        for worker in workers
    ]
    meddling = asyncio.ensure_future(meddle(recorder, told.recorded)) if meddle else None
    try:
        await manager.serve_over(manager_link, seal=estate.manager(f"manager{run}"))
        await asyncio.wait(serving, timeout=5.0)
    finally:
        for future in (*serving, *([meddling] if meddling else [])):
            future.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    return told


def play(estate: Any, story: Any, network: MemoryNetwork, **how: Any) -> Any:
    return run_sealed(estate, story.manager(), story.workers(), network, **how)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name())
@pytest.mark.parametrize("loss", [0.0, 0.1], ids=["fair", "lossy"])
def test_a_story_ends_sealed_as_it_does_unsealed(estate: Any, story: Any, loss: float) -> None:
    plain = run_in_virtual_time(story().rehearse())
    faults = SeededFaults(7, loss=loss, duplicate=loss, delay_s=loss / 10)
    told = run_in_virtual_time(play(estate, story(), MemoryNetwork(faults=faults)))
    outcomes = {task.id: (task.status, task.success) for task in plain.tasks}
    sealed = told.manager.report()
    assert {task.id: (task.status, task.success) for task in sealed.tasks} == outcomes
    assert set(told.manager.dropped) <= {Flaw.REPLAYED.value, Flaw.STALE_SESSION.value}
    assert all(frame.startswith(b"N.\x03") for frame in told.recorded)


def test_sealing_costs_a_join_no_more_than_one_round_trip(estate: Any) -> None:
    def joined_at(sealed: bool) -> float:
        story = AllWell()
        manager, joined = story.manager(), []

        def watch(occurrence: Occurrence) -> None:
            if occurrence.what is OccurrenceKind.WORKER_JOINED:
                joined.append(asyncio.get_running_loop().time())

        manager.watch(watch)
        network = MemoryNetwork(latency_s=0.01)

        async def go() -> None:
            if sealed:
                await run_sealed(estate, manager, story.workers(), network)
            else:
                from muster.agents.simulation.rehearsal import rehearse

                await rehearse(manager, story.workers(), network)

        run_in_virtual_time(go())
        return joined[0]

    assert joined_at(sealed=True) - joined_at(sealed=False) == pytest.approx(2 * 0.01, abs=1e-6)


def test_whoever_replays_a_whole_run_into_it_changes_nothing(estate: Any) -> None:
    async def replay(recorder: Recorder, recorded: list[bytes]) -> None:
        chance = random.Random(3)
        while True:
            await asyncio.sleep(0.05)
            for frame in chance.choices(recorded, k=min(len(recorded), 20)):
                await recorder.link.send(frame)

    quiet = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork()))
    meddled = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork(), meddle=replay))
    assert meddled.counts() == quiet.counts()
    assert meddled.manager.dropped["replayed"] > 50
    assert set(meddled.manager.dropped) <= {"replayed", "stale_session"}


def test_whoever_replays_an_earlier_run_to_a_new_manager_changes_nothing(estate: Any) -> None:
    first = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork()))

    async def replay(recorder: Recorder, recorded: list[bytes]) -> None:
        del recorded
        frames = first.recorded * 3
        random.Random(5).shuffle(frames)
        for frame in frames:
            await recorder.link.send(frame)
            await asyncio.sleep(0.005)

    quiet = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork(), run="2"))
    meddled = run_in_virtual_time(
        play(estate, SomeFailures(), MemoryNetwork(), run="2", meddle=replay)
    )
    assert meddled.counts() == quiet.counts()
    assert meddled.manager.dropped["stale_session"] > 10
    assert set(meddled.manager.dropped) <= {"replayed", "stale_session"}


def forgeries(estate: Any) -> list[bytes]:
    """What a stranger would say who knows everything but the secret."""
    hello = Hello(name="Mallory", skill_level=10, session="s")
    result = TaskResult(task_id=1, worker="Senior", success=True, attempt=1)
    farewell = Shutdown(reason="go home")
    frames: list[bytes] = []
    for sender in ("stranger", "Senior", "TaskManager", "task_manager"):
        for to, message in ((ANY_MANAGER, hello), (ANY_MANAGER, result), (EVERYONE, farewell)):
            letter = encode_letter(Datagram((encode_message(message),)))
            plain = encode_frame(Frame(sender, (Section(to, letter),)))
            wrong_manager, wrong_client = (
                estate.manager("manager1", estate.other_secret),
                estate.client("Senior1", estate.other_secret),
            )
            probe = estate.sent(wrong_client, plain)
            wrong_manager.unwrap(probe, 0.0)
            challenges = estate.words(wrong_manager)
            wrong_client.unwrap(challenges[0], 0.0)
            frames += [plain, probe, *challenges, *estate.words(wrong_client)]
            frames.append(estate.sent(wrong_manager, plain))
    return [
        *frames,
        b"garbage",
        *(b"N." + bytes((v, k)) + bytes(200) for v in (2, 3) for k in (0, 1)),
    ]


def test_a_stranger_without_the_secret_neither_registers_nor_changes_anything(
    estate: Any,
) -> None:
    async def meddle(recorder: Recorder, recorded: list[bytes]) -> None:
        del recorded
        for _ in range(50):
            for frame in forgeries(estate):
                await recorder.link.send(frame)
            await asyncio.sleep(0.05)

    quiet = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork()))
    meddled = run_in_virtual_time(play(estate, SomeFailures(), MemoryNetwork(), meddle=meddle))
    assert meddled.counts() == quiet.counts()
    assert "Mallory" not in meddled.manager.board.workers
    assert meddled.manager.dropped["unsealed"] >= 50
    assert meddled.manager.dropped["wrong_secret"] >= 50


def join_alone(manager_seal: Seal, worker_seal: Seal) -> WorkerAgent:
    """Have one worker ask one manager to be let in, until it gives up or the time is over."""
    worker = WorkerAgent("Ada", 5)

    async def go() -> None:
        manager = TaskManager([Task(id=1, description="x")], 1, quiet=True)
        network = MemoryNetwork()
        managing = asyncio.ensure_future(
            manager.serve_over(network.join("manager", manager.receive), seal=manager_seal)
        )
        try:
            working = worker.serve_over(network.join("Ada", worker.receive), seal=worker_seal)
            await asyncio.wait_for(working, 20)
        finally:
            managing.cancel()
            await asyncio.gather(managing, return_exceptions=True)

    run_in_virtual_time(go())
    return worker


def test_a_worker_with_the_wrong_secret_ends_and_says_what_to_do(estate: Any) -> None:
    with pytest.raises(WrongSecret, match=r"worker .Ada.: wrong secret: .*--secret-file"):
        join_alone(estate.manager(), estate.client(secret=estate.other_secret))


def test_an_insecure_worker_is_told_that_the_workspace_is_sealed(estate: Any) -> None:
    with pytest.raises(WrongSecret, match="this workspace is sealed"):
        join_alone(estate.manager(), Unsealed(manages=False))


def test_a_sealed_worker_is_told_that_the_workspace_is_not(estate: Any) -> None:
    with pytest.raises(WrongSecret, match="this workspace is not sealed"):
        join_alone(Unsealed(manages=True), estate.client())


def test_a_worker_with_the_right_secret_works(estate: Any) -> None:
    assert len(join_alone(estate.manager(), estate.client()).task_history) == 1


def test_members_that_do_not_seal_work_together() -> None:
    worker = join_alone(Unsealed(manages=True), Unsealed(manages=False))
    assert len(worker.task_history) == 1
