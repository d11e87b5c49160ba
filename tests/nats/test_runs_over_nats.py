"""Runs over NATS in one process: managers, workers and clients with a ticket and nothing else."""

from __future__ import annotations

import asyncio
import pickle
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from muster.agents import Client, Handlers, TaskManager, WorkerAgent
from muster.agents.runtime.ports import claim_port
from muster.agents.security.secret_sources import fresh_secret
from muster.messages import (
    InvalidInput,
    ManagerUnavailable,
    NatsUnusable,
    RunHandedOver,
    Task,
    TaskAssignment,
    TaskResult,
    TaskStatus,
    WrongSecret,
)

from ..nats_server import NatsServer, running_nats_server

pytestmark = pytest.mark.nats

DEADLINE_S = 60.0

handlers = Handlers()


@handlers.task("double")
def double(task: Task) -> int:
    return task.data * 2


def manager_at(server: NatsServer, **options: object) -> TaskManager:
    options = {"workspace_id": secrets.token_hex(8), **options}
    return TaskManager(link=server.url, quiet=True, **options)


async def until(condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_a_ticket_is_all_that_a_worker_and_a_client_need(nats_server: NatsServer) -> None:
    async with manager_at(nats_server) as manager:
        worker = WorkerAgent("Ada", 5, handlers=handlers, ticket=str(manager.ticket()))
        await worker.start()
        async with Client(str(manager.ticket())) as client:
            assert (await client.submit(Task(type="double", data=21))).output == 42
        assert [each.name for each in await manager.get_connected_agents()] == ["Ada"]
        assert manager.dropped == {}
        await worker.stop()


async def test_a_run_starts_its_workers_with_it(nats_server: NatsServer) -> None:
    tasks = [Task(id=n, type="double", data=n) for n in range(1, 21)]
    manager = manager_at(nats_server, tasks=tasks, expected_workers=2)
    workers = [WorkerAgent(name, 5, handlers=handlers) for name in ("Ada", "Bob")]
    await asyncio.wait_for(manager.start_agent(b"", workers), DEADLINE_S)
    assert manager.report().success_rate == 1.0


async def test_a_large_payload_arrives(nats_server: NatsServer) -> None:
    async with manager_at(nats_server, blob_threshold_bytes=None) as manager:
        worker = WorkerAgent("Ada", 5, handlers=handlers, ticket=manager.ticket())
        await worker.start()
        text = secrets.token_hex(1_500_000)
        assert (await manager.submit(Task(type="double", data=text))).output == text * 2
        await worker.stop()


async def test_a_run_goes_on_when_the_server_is_back(tmp_path: Path) -> None:
    with running_nats_server(tmp_path, jetstream=False) as server:
        async with manager_at(server) as manager:
            worker = WorkerAgent("Ada", 5, handlers=handlers, ticket=manager.ticket())
            await worker.start()
            await manager.submit(Task(type="double", data=1))
            server.kill()
            await asyncio.sleep(0)
            waiting = [
                asyncio.ensure_future(manager.submit(Task(type="double", data=n)))
                for n in range(50)
            ]
            await asyncio.to_thread(server.start)
            results = await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_S)
            assert [result.output for result in results] == [2 * n for n in range(50)]
            await worker.stop()


async def test_messages_are_broadcast_and_what_only_ceylon_carries_is_refused(
    nats_server: NatsServer,
) -> None:
    class Worker(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> None:
            told = {"task_id": data.task.id, "worker": "Ada", "success": True}
            await self.broadcast(pickle.dumps(TaskResult(**told, output="by broadcast")))

    async with manager_at(nats_server) as manager:
        worker = Worker("Ada", 5, ticket=manager.ticket())
        await worker.start()
        task = Task(id=1, description="any")
        await manager.broadcast(pickle.dumps(TaskAssignment(task=task, worker="Ada", attempt=1)))
        await until(lambda: manager.board.counts[TaskStatus.COMPLETED] == 1)
        assert [each.output for each in manager.board.results] == ["by broadcast"]
        for agent in (manager, worker):
            for sending in (
                agent.broadcast(b"plain"),
                agent.broadcast_message({"plain": 1}),
                agent.send_direct("anyone", b"plain"),
                agent.send_message("anyone", "plain"),
            ):
                with pytest.raises(InvalidInput, match="takes part over NATS"):
                    await sending
        await worker.stop()


async def test_a_wrong_secret_is_refused(nats_server: NatsServer) -> None:
    run = secrets.token_hex(8)
    async with manager_at(nats_server, workspace_id=run, secret=fresh_secret()) as manager:
        ticket = manager.ticket()
        assert ticket.secret is None
        stranger = WorkerAgent("Mallory", 5, ticket=ticket, secret=fresh_secret())
        with pytest.raises(WrongSecret):
            await asyncio.wait_for(stranger.start(), DEADLINE_S)
        with pytest.raises(WrongSecret):
            await Client(ticket, secret=fresh_secret()).start()
        assert not manager.board.workers


@pytest.mark.slow
async def test_workers_and_clients_find_a_manager_that_takes_over(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    run, secret = secrets.token_hex(8), fresh_secret()

    def make() -> TaskManager:
        return manager_at(
            nats_server,
            workspace_id=run,
            secret=secret,
            store=tmp_path / "run.db",
            lost_after_s=2.0,
        )

    first = make()
    await first.start()
    worker = WorkerAgent("Ada", 5, handlers=handlers, ticket=first.ticket(), secret=secret)
    await worker.start()
    client = Client(first.ticket(), secret=secret)
    await client.start()
    assert (await client.submit(Task(type="double", data=1))).output == 2
    first._shell.hand_over()
    with pytest.raises(RunHandedOver):
        await first._service.wait()
    async with make() as second:
        await until(lambda: second.board.counts[TaskStatus.COMPLETED] == 1)
        result = await asyncio.wait_for(client.submit(Task(type="double", data=2)), DEADLINE_S)
        assert result.output == 4
        await client.stop()
        await worker.stop()


@pytest.mark.slow
async def test_no_server_is_told_to_a_manager_and_to_a_client() -> None:
    url = f"nats://127.0.0.1:{claim_port()}"
    manager = TaskManager(link=url, quiet=True)
    with pytest.raises(NatsUnusable, match="can't be reached"):
        await manager.start()
    with pytest.raises(ManagerUnavailable, match=r"no manager at nats://.*can't be reached"):
        await Client(manager.ticket(), connect_timeout_s=7).start()


async def test_a_worker_waits_for_a_server(tmp_path: Path) -> None:
    with running_nats_server(tmp_path, jetstream=False) as server:
        manager = manager_at(server)
        server.kill()
        worker = WorkerAgent("Ada", 5, handlers=handlers, ticket=manager.ticket())
        starting = asyncio.ensure_future(worker.start())
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.start)
        async with manager:
            await asyncio.wait_for(starting, DEADLINE_S)
            await worker.stop()


@pytest.mark.parametrize("given", [{}, {"with_secret": True}])
async def test_a_ticket_holds_the_password_only_with_the_secret(given: dict[str, bool]) -> None:
    manager = TaskManager(
        link="nats://ann:hidden@127.0.0.1:4222", secret=fresh_secret(), quiet=True
    )
    assert ("hidden" in manager.ticket(**given).nats) is bool(given)


async def test_wrong_credentials_are_told(tmp_path: Path) -> None:
    config = 'authorization { user: "ann", password: "right" }'
    with running_nats_server(tmp_path, jetstream=False, config=config) as server:
        url = f"nats://ann:{{}}@127.0.0.1:{server.port}"
        with pytest.raises(NatsUnusable, match="refuses user 'ann'"):
            await TaskManager(link=url.format("wrong"), quiet=True).start()
        async with TaskManager(link=url.format("right"), quiet=True) as manager:
            worker = WorkerAgent("Ada", 5, ticket=manager.ticket())
            await worker.start()
            await worker.stop()
            with pytest.raises(NatsUnusable, match="refuses a connection without credentials"):
                await WorkerAgent(
                    "Bob", 5, ticket=manager.ticket(with_secret=False), secret=manager.secret
                ).start()


def test_a_manager_without_nats_has_no_ticket_for_it() -> None:
    with pytest.raises(InvalidInput, match="link='nats://HOST:PORT'"):
        TaskManager(quiet=True).nats_ticket()


@pytest.mark.ceylon
async def test_a_manager_serves_a_ceylon_workspace_and_nats_at_once(
    nats_server: NatsServer,
) -> None:
    run = secrets.token_hex(8)
    manager = TaskManager(link=["ceylon", nats_server.url], workspace_id=run, port=0, quiet=True)
    async with manager:
        here = WorkerAgent("Here", 5, handlers=handlers, ticket=manager.ticket())
        beyond = WorkerAgent("Beyond", 5, handlers=handlers, ticket=manager.nats_ticket())
        await asyncio.wait_for(asyncio.gather(here.start(), beyond.start()), DEADLINE_S)
        tasks = [Task(type="double", data=n) for n in range(200)]
        outputs = [result.output async for result in manager.submit_many(tasks)]
        assert sorted(outputs) == [2 * n for n in range(200)]
        assert {task.worker for task in manager.board.tasks.values()} == {"Here", "Beyond"}
        await asyncio.gather(here.stop(), beyond.stop())
