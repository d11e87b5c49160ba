"""What schedules make, when earlier tasks are not settled, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from muster.agents import Handlers, MemoryNetwork, MemoryStore, TaskManager, WorkerAgent
from muster.agents.kernel.model.schedules import scheduled_id
from muster.agents.schedules.cron import Cron, find_zone
from muster.messages import MusterError, Task, TaskStatus

from .conftest import Scheduler, play

NOON = 1_796_040_000.0
"""2026-11-30 12:00 UTC."""


def due(*after_s: float, name: str = "job") -> list[str]:
    """The ids of the first tasks of due times, given in seconds after noon."""
    return [scheduled_id(name, NOON + each) for each in after_s]


handlers = Handlers()


@handlers.task("work")
async def work(task: Task) -> str:
    await asyncio.sleep(task.data or 1.0)
    return "done"


@handlers.task("break")
async def break_down(task: Task) -> None:
    raise KeyError("broken")


class Service:
    """A manager and a worker over a memory network."""

    def __init__(
        self, *, stays: bool = True, handlers: Handlers = handlers, **options: Any
    ) -> None:
        self.handlers = handlers
        self.network = MemoryNetwork()
        self.manager = TaskManager(port=0, quiet=True, **options)
        if stays:
            self.manager.stay()
        self.running: list[asyncio.Future[None]] = []

    def start(self, slots: int = 4) -> asyncio.Future[None]:
        worker = WorkerAgent("Ada", 5, handlers=self.handlers, slots=slots)
        for agent in (self.manager, worker):
            link = self.network.join(agent.name, agent.receive)
            self.running.append(asyncio.ensure_future(agent.serve_over(link)))
        return self.running[0]

    async def close(self) -> None:
        for each in self.running:
            each.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

    def statuses(self) -> dict[Any, str]:
        return {each: record.status.value for each, record in self.manager.board.tasks.items()}

    def state(self, name: str = "job") -> dict[str, Any]:
        return next(dict(each) for each in self.manager.schedules() if each["name"] == name)


def test_a_type_with_data_a_task_and_functions_are_made() -> None:
    async def story() -> None:
        service = Service()
        manager = service.manager
        manager.schedule("type", every_s=10, make="work", data=0.5)
        manager.schedule("task", every_s=10, make=Task(type="work", priority=3))

        @manager.schedule("plain", every_s=10, tz="Asia/Kathmandu")
        def make_one(at: datetime) -> Task:
            assert at.utcoffset() == timedelta(hours=5, minutes=45)
            return Task(type="work", data=at.timestamp() - NOON - 9.0)

        @manager.schedule("several", every_s=10)
        async def make_several(at: datetime) -> list[Task]:
            await asyncio.sleep(0.1)
            first = Task(id=1, type="work")
            return [first, Task(id=2, type="work", depends_on=(1,), parent_id=1)]

        service.start()
        await asyncio.sleep(15.0)
        tasks = manager.board.tasks
        assert tasks[due(10, name="type")[0]].task.data == 0.5
        assert tasks[due(10, name="task")[0]].task.priority == 3
        assert tasks[due(10, name="plain")[0]].task.data == 1.0
        first, second = due(10, name="several")[0], f"{due(10, name='several')[0]}#2"
        assert (tasks[second].task.depends_on, tasks[second].task.parent_id) == ((first,), first)
        assert set(service.statuses().values()) == {"completed"}
        assert len(tasks) == 5
        assert service.state("several")["last_tasks"] == [first, second]
        await service.close()

    play(story, at=NOON)


def test_a_typed_function_is_made_with_its_arguments() -> None:
    typed = Handlers()

    @typed.task
    def clean_up(days: int = 30) -> int:
        return days

    async def story() -> None:
        service = Service(handlers=typed)
        service.manager.schedule("plain", every_s=10, make=clean_up)
        service.manager.schedule("given", every_s=10, make=clean_up.task(7))
        with pytest.raises(MusterError, match="hours"):
            service.manager.schedule("wrong", every_s=10, make=clean_up.task(hours=7))
        service.start()
        await asyncio.sleep(15.0)
        results = service.manager.board.tasks
        assert results[due(10, name="plain")[0]].result.output == 30
        assert results[due(10, name="given")[0]].result.output == 7
        await service.close()

    play(story, at=NOON)


@pytest.mark.parametrize(
    ("overlap", "made", "at_the_end", "skipped"),
    [
        # Each task takes 25 s, and one is due each 10 s, for 60 s.
        ("queue", [10, 20, 30], ["completed", "completed", "in_progress"], 0),
        ("allow", [10, 20, 30, 40, 50], ["completed"] * 3 + ["in_progress"] * 2, 0),
        ("skip", [10, 40], ["completed", "in_progress"], 3),
        ("cancel", [10, 20, 30, 40, 50], ["cancelled"] * 4 + ["in_progress"], 0),
    ],
)
def test_what_happens_while_earlier_tasks_are_not_settled(
    overlap: Any, made: list[int], at_the_end: list[str], skipped: int
) -> None:
    async def story() -> None:
        service = Service()
        service.manager.schedule("job", every_s=10, make="work", data=25.0, overlap=overlap)
        service.start()
        await asyncio.sleep(62.0 if overlap == "queue" else 59.0)
        assert list(service.statuses()) == due(*made)
        assert list(service.statuses().values()) == at_the_end
        state = service.state()
        assert (state["skipped"], state["last_outcome"]) == (skipped, "open")
        assert state["waiting"] == (3 if overlap == "queue" else 0)
        await service.close()

    play(story, at=NOON)


def test_tasks_that_depend_on_one_another_are_cancelled_together() -> None:
    def make(_: datetime) -> list[Task]:
        first = Task(id=1, type="work", data=25.0)
        return [first, Task(id=2, type="work", depends_on=(1,))]

    async def story() -> None:
        service = Service()
        service.manager.schedule("job", every_s=10, make=make, overlap="cancel")
        service.start()
        await asyncio.sleep(25.0)
        first, second = due(10, 20)
        assert service.statuses() == {
            first: "cancelled",
            f"{first}#2": "cancelled",
            second: "in_progress",
            f"{second}#2": "pending",
        }
        await service.close()

    play(story, at=NOON)


def test_a_make_that_fails_is_told_and_the_schedule_goes_on(caplog: Any) -> None:
    def make(at: datetime) -> Any:
        step = int(at.timestamp() - NOON) // 10
        answers: dict[int, Callable[[], Any]] = {
            1: lambda: Task(type="work"),
            2: lambda: {}["nothing"],
            3: lambda: None,
            4: list,
            5: lambda: [Task(type="work"), "no task"],
            6: lambda: Task(type="work", depends_on=("unknown",)),
            7: lambda: [Task(id=1), Task(id=1)],
            8: lambda: Task(type="work", data=object()),
            9: lambda: [Task() for _ in range(1_001)],
        }
        return answers.get(step, answers[1])()

    async def story() -> None:
        service = Service()
        service.manager.schedule("job", every_s=10, make=make)
        service.start()
        await asyncio.sleep(105.0)
        assert service.statuses() == dict.fromkeys(due(10, 100), "completed")
        state = service.state()
        assert (state["made"], state["failed"]) == (2, 8)
        assert "for one due time there may be 1,000" in state["failure"]
        await service.close()

    play(story, at=NOON)
    for told in ("KeyError", "make returned None", "make returned ()", "no task", "unknown"):
        assert told in caplog.text
    assert caplog.text.count("a schedule can't make its tasks") == 8


def test_a_run_goes_on_while_a_schedule_is_active_and_ends_when_the_last_is_removed() -> None:
    async def story() -> None:
        service = Service(stays=False, tasks=[Task(id=1, type="work")])
        service.manager.schedule("job", every_s=10, make="work")
        serving = service.start()
        await asyncio.sleep(35.0)
        assert not serving.done()
        service.manager.unschedule("job")
        await asyncio.wait_for(serving, 10.0)
        assert list(service.statuses()) == [1, *due(10, 20, 30)]
        assert service.manager.report().success_rate == 1.0
        await service.close()

    play(story, at=NOON)


def test_a_resumed_run_whose_tasks_are_settled_goes_on_while_a_schedule_is_active() -> None:
    async def story() -> None:
        store = MemoryStore()
        for start in range(2):
            service = Service(stays=False, store=MemoryStore(store.memory) if start else store)
            service.manager.schedule("job", every_s=10, make="work")
            serving = service.start()
            await asyncio.sleep(35.0)
            assert not serving.done()
            await service.close()
        # Both starts were at whole intervals after the first one.
        assert (
            list(service.statuses()) == due(10, 20, 30, 40, 50, 60, 70)[: len(service.statuses())]
        )
        assert len(service.statuses()) >= 6

    play(story, at=NOON)


def test_a_schedule_that_is_added_during_the_run_begins_then() -> None:
    async def story() -> None:
        service = Service()
        service.start()
        await asyncio.sleep(100.0)
        await asyncio.to_thread(lambda: service.manager.schedule("job", every_s=10, make="work"))
        await asyncio.sleep(25.0)
        assert list(service.statuses()) == due(110, 120)
        await service.close()

    play(story, at=NOON)


def test_why_names_the_schedule_and_the_due_time_and_others_have_none() -> None:
    async def story() -> None:
        service = Service(tasks=[Task(id="mine@2026-11-30T12:00:10+00:00", type="work")])
        service.manager.schedule("job", every_s=10, make="work")
        service.start()
        await asyncio.sleep(15.0)
        (task_id,) = due(10)
        told = "the schedule 'job' made it for 2026-11-30T12:00:10+00:00"
        assert told in service.manager.explain(task_id).remarks
        mine = service.manager.explain("mine@2026-11-30T12:00:10+00:00")
        assert not any("schedule" in each for each in mine.remarks)
        await service.close()

    play(story, at=NOON)


def test_the_outcome_of_the_last_tasks_is_told_even_after_they_are_forgotten() -> None:
    async def story() -> None:
        service = Service(store=MemoryStore())
        service.manager.schedule("job", every_s=100, make="break")
        service.start()
        await asyncio.sleep(105.0)
        (task_id,) = due(100)
        assert service.manager.board.tasks[task_id].status is TaskStatus.FAILED
        service.manager.forget_tasks([task_id])
        state = service.state()
        assert (state["last_outcome"], state["last_due"]) == ("failed", NOON + 100)
        assert state["next_due"] == NOON + 200
        await asyncio.sleep(150.0)
        assert list(service.statuses()) == due(200)
        await service.close()

    play(story, at=NOON)


def test_a_schedule_that_is_not_declared_any_more_is_told_as_inactive_and_makes_nothing() -> None:
    async def story() -> None:
        scheduler = Scheduler(job={"every_s": 10.0})
        scheduler.start()
        await asyncio.sleep(15.0)
        await scheduler.kill()
        service = Service(store=MemoryStore(scheduler.memory))
        service.start()
        await asyncio.sleep(35.0)
        assert service.state()["active"] is False
        assert list(service.statuses()) == due(10)
        service.manager.unschedule("job")
        assert service.manager.schedules() == []
        await service.manager.stop()
        await service.close()
        assert scheduler.memory.read().schedules == ()

    play(story, at=NOON)


@pytest.mark.parametrize(
    ("cron", "first", "expected"),
    [
        # In the night of 2026-10-25, 02:00 to 03:00 comes twice in Berlin: UTC+2, then UTC+1.
        ("30 2 * * *", "2026-10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
        ("0 * * * *", "2026-10-24T23:30", ["10-25T00:00", "10-25T01:00", "10-25T02:00"]),
        ("*/30 * * * *", "2026-10-25T00:20", ["10-25T00:30", "10-25T01:00", "10-25T01:30"]),
        # In the night of 2026-03-29 it never comes.
        ("30 2 * * *", "2026-03-28T12:00", ["03-29T01:00", "03-30T00:30"]),
        ("0 2,3 * * *", "2026-03-28T12:00", ["03-29T01:00", "03-30T00:00"]),
        ("0 * * * *", "2026-03-29T00:30", ["03-29T01:00", "03-29T02:00"]),
    ],
)
def test_fixed_times_come_once_and_wildcards_keep_running_when_clocks_are_set(
    cron: str, first: str, expected: list[str]
) -> None:
    schedule = Cron(cron, find_zone("Europe/Berlin"))
    at = datetime.fromisoformat(first).replace(tzinfo=timezone.utc).timestamp()
    for each in expected:
        at = schedule.next_due(at) or 0.0
        assert datetime.fromtimestamp(at, timezone.utc).isoformat()[5:16] == each


def test_an_alias_means_what_it_says() -> None:
    utc = find_zone("UTC")
    assert Cron("@daily", utc).next_due(NOON) == Cron("0 0 * * *", utc).next_due(NOON)
