"""What simulated storms have brought to light, each as small as it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from muster.agents import MemoryNetwork, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.kernel.model.occurrences import Occurrence, OccurrenceKind
from muster.agents.worker.shell import WorkerShell
from muster.messages import CancelTask, Task, TaskAssignment, Welcome

DEADLINE_S = 300.0


class Deafness:
    """Loses every frame from, or to, one address for a while."""

    def __init__(self, begins_at: float, ends_at: float, *, sender: str = "", to: str = "") -> None:
        self.begins_at, self.ends_at, self.sender, self.to = begins_at, ends_at, sender, to

    def fates(self, sender: str, to: str, frame: bytes, now: float) -> Sequence[float]:
        is_struck = self.sender == sender or self.to == to
        return () if is_struck and self.begins_at <= now < self.ends_at else (0.0,)


def seen_through(story: Any, faults: Deafness) -> list[Occurrence]:
    """What happened in a run that must end."""
    happened: list[Occurrence] = []

    async def go() -> None:
        manager = story.manager()
        manager.watch(happened.append)
        network = MemoryNetwork(faults=faults)
        await asyncio.wait_for(rehearse(manager, story.workers(), network), DEADLINE_S)

    run_in_virtual_time(go())
    return happened


def in_a_worker_that_has_joined(check: Callable[[WorkerShell], Any], agent: WorkerAgent) -> None:
    """Runs a check beside a worker that a made-up manager has let in."""

    async def go() -> None:
        network = MemoryNetwork()
        network.join("boss", lambda frame: None)
        serving = asyncio.ensure_future(
            agent.serve_over(network.join("Ada", agent.receive), session="7")
        )
        await asyncio.sleep(0.01)
        agent._shell._arrived("boss", welcome(admission=2))
        try:
            await check(agent._shell)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    run_in_virtual_time(go())


def welcome(admission: int) -> Welcome:
    return Welcome(
        manager="boss",
        worker="Ada",
        session="s",
        admission=admission,
        worker_session="7",
        heartbeat_s=1.0,
        lost_after_s=4.0,
    )


def assignment(difficulty: int = 1) -> TaskAssignment:
    task = Task(id=1, description="any", difficulty=difficulty)
    return TaskAssignment(task=task, attempt=1, worker="Ada")


def test_a_worker_that_was_lost_joins_again_though_it_hears_the_heartbeats_to_all(
    small_story: Callable[[], Any],
) -> None:
    happened = seen_through(small_story(), Deafness(1.0, 9.0, sender="Ada"))
    comings = [each.what for each in happened if each.worker == "Ada" and each.task_id is None]
    assert comings == [
        OccurrenceKind.WORKER_JOINED,
        OccurrenceKind.WORKER_LOST,
        OccurrenceKind.WORKER_JOINED,
    ]


def test_what_a_worker_is_given_after_it_was_lost_arrives(small_story: Callable[[], Any]) -> None:
    story = small_story()
    # Nobody else can do the last two tasks.
    workers = story.workers
    story.workers = lambda: [workers()[0], WorkerAgent("Ben", 1)]
    happened = seen_through(story, Deafness(1.0, 9.0, sender="Ada"))
    by_ada = [
        each
        for each in happened
        if each.what is OccurrenceKind.TASK_COMPLETED and each.worker == "Ada"
    ]
    assert len(by_ada) >= 4


def test_what_a_worker_is_given_while_it_asks_to_be_let_in_again_is_done() -> None:
    async def check(shell: WorkerShell) -> None:
        # Nothing of the conversation comes for longer than `lost_after_s`.
        await asyncio.sleep(6.0)
        assert not shell.is_member
        shell._arrived("boss", assignment())
        await asyncio.sleep(2.0)
        shell._arrived("boss", welcome(admission=2))
        assert [result.success for result in shell.history] == [True]

    in_a_worker_that_has_joined(check, WorkerAgent("Ada", 9))


def test_a_cancel_that_comes_with_its_assignment_is_confirmed() -> None:
    async def check(shell: WorkerShell) -> None:
        shell._from_manager(assignment())
        shell._from_manager(CancelTask(task_id=1, attempt=1, reason="timed out"))
        await asyncio.sleep(0.1)
        assert shell.running == []
        assert [result.error_message for result in shell.history] == ["timed out"]

    in_a_worker_that_has_joined(check, WorkerAgent("Ada", 9))


def test_a_welcome_that_was_long_on_its_way_is_ignored() -> None:
    async def check(shell: WorkerShell) -> None:
        assert shell._endpoint is not None
        streams = shell._endpoint._multiplexer._streams
        shell._arrived("boss", welcome(admission=1))
        assert streams["boss"].conversation == "7.1/s/2"
        shell._arrived("boss", welcome(admission=3))
        assert streams["boss"].conversation == "7.1/s/3"

    in_a_worker_that_has_joined(check, WorkerAgent("Ada", 9))


def test_a_worker_that_is_cancelled_leaves_no_work_behind() -> None:
    ended: list[str] = []

    class Careful(WorkerAgent):
        async def handle_task(self, data: TaskAssignment, *given: Any, **named: Any) -> bool:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(data.task.description)
            return True

    async def check(shell: WorkerShell) -> None:
        shell._from_manager(assignment())
        await asyncio.sleep(0.1)

    in_a_worker_that_has_joined(check, Careful("Ada", 9))
    assert ended == ["any"]
