"""A member of one lane that speaks in the names of workers of another, and has orders passed on.

It is let in on the lane of the door. From there it hands in failed results and says goodbye in the
names of all workers, and welcomes and stops them by what the manager passes on from lane to lane.
All is on loopback, in one process.
"""

from __future__ import annotations

import asyncio

from bad_member import DEADLINE_S, Member, Patient, until
from muster.agents import TaskManager
from muster.messages import Goodbye, Hello, Shutdown, Task, TaskResult, Welcome
from muster.messages.frame import ANY_MANAGER
from target import Figures, show

WORKERS = 6


def forgeries(member: Member, worker: Patient) -> list[bytes]:
    """What may be said of a worker, and to it."""
    address = worker.address
    result = TaskResult(
        task_id=1, worker=worker.name, success=False, error_message="forged", attempt=1
    )
    welcome = Welcome(
        manager="mallory",
        worker=worker.name,
        session="forged",
        # Whoever joins the worker's lane as well may read them.
        worker_session=worker._shell.session_id,
        worker_call=worker._shell._manager_session.presence.call,
        heartbeat_s=1.0,
        lost_after_s=9.0,
    )
    goodbye, order = Goodbye(reason="forged"), Shutdown(reason="forged")
    said = [
        member.said(address, ANY_MANAGER, result, goodbye),
        member.said(member.address, address, welcome, order),
    ]
    return [member.in_own_session(frame) for frame in said]


async def suffer(rounds: int) -> Figures:
    """Let it do its worst beside workers on two lanes; what became of them, and of their task."""
    task = Task(id=1, description="wait", timeout=10 * DEADLINE_S)
    manager = TaskManager([task], 1, port=0, quiet=True, lost_after_s=30, max_lanes=4)
    ticket = manager.ticket()
    member = Member(ticket)
    managing = asyncio.ensure_future(manager.start_agent())
    running = [asyncio.ensure_future(member.start_agent())]
    await until(lambda: member.seal._admission is not None)
    hello = Hello(name="mallory", skill_level=0, session="s", task_types=())
    said = member.said(member.address, ANY_MANAGER, hello)
    await member.orders.put([member.in_own_session(said)])
    await until(lambda: len(manager.board.worker_registry.present) == 1)
    workers = [Patient(f"Ada{number}", ticket) for number in range(WORKERS)]
    running += [asyncio.ensure_future(worker.start_agent()) for worker in workers]
    await until(lambda: len(manager.board.worker_registry.present) == 1 + WORKERS)
    await until(lambda: any(worker.has_task for worker in workers))
    elsewhere = sum(worker.workspace_id != member.workspace_id for worker in workers)
    for _ in range(rounds):
        await member.orders.put([each for it in workers for each in forgeries(member, it)])
        await asyncio.sleep(0.2)
    await until(lambda: manager.dropped.get("forged_sender", 0) > 0)
    await asyncio.sleep(1.0)
    present = len(manager.board.worker_registry.present) - 1
    hijacked = sum(worker._shell.manager_address == member.address for worker in workers)
    stopped = sum(worker._shell.farewell == "forged" for worker in workers)
    for worker in workers:
        worker.released.set()
    await asyncio.wait_for(managing, DEADLINE_S)
    for future in running:
        future.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await member.stop()
    (result,) = manager.task_results
    return {
        "succeeded": float(result.success),
        "workers": float(WORKERS),
        "workers_on_other_lanes": float(elsewhere),
        "workers_that_stayed": float(present),
        "workers_hijacked": float(hijacked),
        "workers_told_to_stop": float(stopped),
        "forged_dropped_by_manager": float(manager.dropped.get("forged_sender", 0)),
    }


def attack(*, quick: bool = False) -> Figures:
    """Let it do its worst for 2 seconds, or for 20."""
    return asyncio.run(suffer(rounds=10 if quick else 100))


if __name__ == "__main__":
    show(attack)
