"""TaskManager and WorkerAgent over a memory link, in virtual time."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from muster.agents import (
    Handlers,
    MemoryNetwork,
    SpecializedWorker,
    TaskContext,
    TaskManager,
    WorkerAgent,
    on,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.simulation.memory_network import SeededFaults
from muster.messages import (
    CancelTask,
    EncodeError,
    InvalidInput,
    JoinRefused,
    ReturnTasks,
    Task,
    TaskAssignment,
    TaskResult,
    TaskStatus,
    UnknownName,
)
from pydantic import BaseModel


def tasks(count: int, **fields: Any) -> list[Task]:
    return [Task(id=number, description=f"t{number}", **fields) for number in range(1, count + 1)]


def in_virtual_time(story: Callable[[], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        return await story()

    return run_in_virtual_time(go())


def test_a_handlers_return_value_becomes_the_output() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("double")
        async def double(task: Task) -> int:
            return task.data * 2

        manager = TaskManager(tasks(3, type="double", data=21), 1, quiet=True)
        return await rehearse(manager, [worker])

    report = in_virtual_time(story)
    assert [task.output for task in report.tasks] == [42, 42, 42]


def test_a_handlers_exception_becomes_the_error_with_type_and_text() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("fail")
        async def fail(task: Task) -> None:
            raise KeyError("no such column")

        return await rehearse(TaskManager(tasks(1, type="fail"), 1, quiet=True), [worker])

    report = in_virtual_time(story)
    assert report.tasks[0].error_message == "KeyError: 'no such column'"
    assert report.tasks[0].status is TaskStatus.FAILED


def test_a_handler_that_calls_exit_fails_its_task_and_the_worker_lives() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("exit")
        async def leave(task: Task) -> None:
            raise SystemExit(3)

        @worker.task("stay")
        async def stay(task: Task) -> str:
            return "here"

        both = [
            Task(id=1, description="a", type="exit", priority=1),
            Task(id=2, description="b", type="stay"),
        ]
        return await rehearse(TaskManager(both, 1, quiet=True), [worker])

    report = in_virtual_time(story)
    assert report.tasks[0].error_message == "SystemExit: 3"
    assert report.tasks[1].output == "here"


def test_what_has_no_plain_form_fails_the_task_with_the_place() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("set")
        async def make_set(task: Task) -> Any:
            return {"found": range(2)}

        return await rehearse(TaskManager(tasks(2, type="set"), 1, quiet=True), [worker])

    report = in_virtual_time(story)
    for task in report.tasks:
        assert task.error_message.startswith("EncodeError: ")
        assert "output.found: " in task.error_message


def test_task_data_without_a_plain_form_are_refused_when_added() -> None:
    with pytest.raises(EncodeError, match="task 1 can't be sent"):
        TaskManager(tasks(1, data=object()))


def test_plain_functions_run_in_threads_and_may_tell_progress() -> None:
    handlers = Handlers()

    @handlers.task("slow")
    def slow(task: Task, context: TaskContext) -> str:
        context.progress(50, "half")
        return f"attempt {context.attempt}"

    async def story() -> Any:
        manager = TaskManager(tasks(1, type="slow"), 1, quiet=True)
        seen: list[str] = []
        manager.watch(lambda occurrence: seen.append(occurrence.what.value))
        report = await rehearse(manager, [WorkerAgent("Ada", 5, handlers=handlers)])
        return report, seen

    report, seen = in_virtual_time(story)
    assert report.tasks[0].output == "attempt 1"
    assert "task_progressed" in seen


def test_progress_out_of_range_is_refused_at_the_call() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)

        @worker.task("eager")
        async def eager(task: Task, context: TaskContext) -> None:
            context.progress(101)

        return await rehearse(TaskManager(tasks(1, type="eager"), 1, quiet=True), [worker])

    report = in_virtual_time(story)
    assert report.tasks[0].error_message == "InvalidInput: progress is 101; it goes from 0 to 100"


def test_slots_run_at_once_and_no_more() -> None:
    async def story() -> Any:
        running, most = 0, 0
        worker = WorkerAgent("Ada", 5, slots=3)

        @worker.task("count")
        async def count(task: Task) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(1)
            running -= 1

        report = await rehearse(TaskManager(tasks(9, type="count"), 1, quiet=True), [worker])
        return most, report.duration

    most, duration = in_virtual_time(story)
    assert most == 3
    assert 3.0 <= duration < 3.5


def test_a_running_task_is_cancelled_while_it_runs() -> None:
    async def story() -> Any:
        worker = WorkerAgent("Ada", 5)
        cancelled_at: list[float] = []

        @worker.task("long")
        async def long(task: Task) -> None:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled_at.append(asyncio.get_running_loop().time())
                raise

        manager = TaskManager(tasks(1, type="long"), 1, quiet=True)
        asyncio.get_running_loop().call_later(3, manager.cancel_task, 1)
        report = await rehearse(manager, [worker])
        return report, cancelled_at

    report, cancelled_at = in_virtual_time(story)
    assert report.tasks[0].status is TaskStatus.CANCELLED
    assert cancelled_at[0] == pytest.approx(3.0, abs=0.1)


def test_a_plain_function_learns_of_its_cancel_and_keeps_its_slot_until_it_ends() -> None:
    handlers = Handlers()

    @handlers.task("patient")
    def patient(task: Task, context: TaskContext) -> None:
        while not context.is_cancelled:
            time.sleep(0.001)

    @handlers.task("next")
    def follow(task: Task) -> str:
        return "after"

    async def story() -> Any:
        both = [
            Task(id=1, description="a", type="patient", priority=1, timeout=0.2),
            Task(id=2, description="b", type="next"),
        ]
        manager = TaskManager(both, 1, port=0, quiet=True)
        await rehearse(manager, [WorkerAgent("Ada", 5, handlers=handlers)])
        return manager.report()

    report = asyncio.run(story())
    assert report.tasks[0].error_message == "timed out: after 0.2 s"
    assert report.tasks[1].output == "after"


def test_an_override_of_handle_task_may_take_only_the_assignment() -> None:
    class Own(SpecializedWorker):
        async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
            bonus = 2 if data.task.type in self.specialties else 0
            return self.skill_level + bonus >= data.task.difficulty

    async def story() -> Any:
        manager = TaskManager(
            [
                Task(id=1, description="a", difficulty=7, type="vision"),
                Task(id=2, description="b", difficulty=7, type="audio"),
            ],
            1,
            policy="in_order",
            quiet=True,
        )
        return await rehearse(manager, [Own("Vera", 5, ["vision"])])

    report = in_virtual_time(story)
    assert [task.success for task in report.tasks] == [True, False]


def test_the_tutorials_own_way_to_broadcast_a_pickled_result_is_understood() -> None:
    class Own(WorkerAgent):
        async def handle_task(self, data, time, agent):  # type: ignore[no-untyped-def,override]
            result = TaskResult(task_id=data.task.id, worker=self.name, success=False)
            await self.broadcast(pickle.dumps(result))

    async def story() -> Any:
        return await rehearse(TaskManager(tasks(2), 1, quiet=True), [Own("Ada", 5)])

    report = in_virtual_time(story)
    assert [task.success for task in report.tasks] == [False, False]


def test_an_override_that_reports_nothing_fails_its_task_and_says_what_to_do() -> None:
    class Own(WorkerAgent):
        async def handle_task(self, data: TaskAssignment) -> None:  # type: ignore[override]
            pass

    async def story() -> Any:
        return await rehearse(TaskManager(tasks(1), 1, quiet=True), [Own("Ada", 5)])

    report = in_virtual_time(story)
    assert "must return a TaskResult or a bool" in report.tasks[0].error_message


def test_an_override_of_handle_result_sees_each_recorded_result_once() -> None:
    class Own(TaskManager):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.seen: list[tuple[int, str]] = []

        async def handle_result(self, data: TaskResult, time: int, agent: Any) -> None:  # type: ignore[override]
            self.seen.append((data.task_id, agent.name))

    async def story() -> Any:
        manager = Own(tasks(3), 1, quiet=True)
        await rehearse(manager, [WorkerAgent("Ada", 5)])
        return manager.seen

    assert sorted(in_virtual_time(story)) == [(1, "Ada"), (2, "Ada"), (3, "Ada")]


class Remark(BaseModel):
    text: str


class Listener(WorkerAgent):
    heard = ""

    @on(Remark)
    async def listen(self, data: Remark, time: int, agent: Any) -> None:
        self.heard = f"{data.text} from {agent.id}"


class Talker(TaskManager):
    async def assign_tasks(self) -> None:
        await self.broadcast_message(Remark(text="good morning"))
        await super().assign_tasks()


def test_a_users_own_message_reaches_the_handler_declared_for_it() -> None:
    async def story() -> Any:
        listener = Listener("Ada", 5)
        await rehearse(Talker(tasks(1), 1, quiet=True), [listener])
        return listener.heard

    assert in_virtual_time(story) == "good morning from task_manager"


class Greeter(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        await self.broadcast_message(Remark(text=f"{data.task.id} is begun"))
        return True


class Hearer(TaskManager):
    heard = ""

    @on(Remark)
    async def listen(self, data: Remark, time: int, agent: Any) -> None:
        self.heard = f"{data.text} by {agent.id}"


def test_a_workers_own_message_reaches_the_managers_handler_for_it() -> None:
    async def story() -> Any:
        manager = Hearer(tasks(1), 1, quiet=True)
        await rehearse(manager, [Greeter("Ada", 5)])
        return manager.heard

    assert in_virtual_time(story) == "1 is begun by Ada"


def test_garbage_old_versions_and_pickles_are_counted_and_dropped() -> None:
    async def story() -> Any:
        network = MemoryNetwork()
        manager = TaskManager(tasks(1), 1, quiet=True)
        worker = WorkerAgent("Ada", 5)

        def noise(_: bytes) -> None: ...

        stranger = network.join("stranger", noise)

        async def disturb() -> None:
            for _ in range(5):
                for frame in (b"\x00garbage", b"N.\x63\x00old", pickle.dumps({"a": 1}), b""):
                    await stranger.send(frame)

        disturbing = asyncio.ensure_future(disturb())
        report = await rehearse(manager, [worker], network)
        await disturbing
        return report, worker.dropped

    report, worker_dropped = in_virtual_time(story)
    assert report.success_rate == 1.0
    assert report.dropped == worker_dropped == {"garbage": 10, "version": 5, "pickle": 5}


def test_a_second_worker_of_one_name_is_refused_with_the_reason() -> None:
    async def story() -> Any:
        network = MemoryNetwork()
        manager = TaskManager(tasks(3), 1, quiet=True)

        async def come_second() -> BaseException | None:
            await asyncio.sleep(0.5)
            second = WorkerAgent("Ada", 5)
            try:
                await second.serve_over(network.join("elsewhere", second.receive))
            except JoinRefused as refusal:
                return refusal

        second = asyncio.ensure_future(come_second())
        report = await rehearse(manager, [WorkerAgent("Ada", 5)], network)
        return report, await second

    report, refused = in_virtual_time(story)
    assert report.success_rate == 1.0
    assert isinstance(refused, JoinRefused)
    assert "a worker named 'Ada' is already connected; choose another name" in str(refused)


@pytest.mark.parametrize("seed", range(10))
def test_over_a_link_that_loses_doubles_and_delays_every_task_is_done_once(seed: int) -> None:
    async def story() -> Any:
        network = MemoryNetwork(faults=SeededFaults(seed, loss=0.2, duplicate=0.1))
        manager = TaskManager(tasks(40, timeout=600), 3, quiet=True)
        done: list[tuple[Any, int]] = []

        class Counting(WorkerAgent):
            async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
                done.append((data.task.id, data.attempt))
                await asyncio.sleep(0.5)
                return True

        workers = [Counting(name, 5, slots=2) for name in ("Ada", "Ben", "Cleo")]
        report = await rehearse(manager, workers, network)
        return report, done

    report, done = in_virtual_time(story)
    assert report.success_rate == 1.0
    assert len(done) == len(set(done))


def test_an_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"'best'.*best_fit, in_order, score"):
        TaskManager([], 1, policy="best")


def test_a_worker_of_no_slots_is_refused() -> None:
    with pytest.raises(InvalidInput, match="slots is 0; it must be 1 or more"):
        WorkerAgent("Ada", 5, slots=0)


def test_the_final_lines_are_those_of_the_tutorial(capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> Any:
        three = [
            Task(id=1, description="Simple calculation", difficulty=2),
            Task(id=2, description="Data analysis", difficulty=5),
            Task(id=3, description="ML model training", difficulty=8),
        ]
        workers = [
            WorkerAgent("Junior", 3),
            WorkerAgent("Intermediate", 6),
            WorkerAgent("Senior", 9),
        ]
        await rehearse(TaskManager(three, expected_workers=3), workers)

    in_virtual_time(story)
    assert capsys.readouterr().out.splitlines() == [
        "All tasks completed",
        "Task 1 assigned to Junior - Success",
        "Task 2 assigned to Intermediate - Success",
        "Task 3 assigned to Senior - Success",
        "Success rate: 100.00%",
    ]


def test_what_a_stopped_run_leaves_unfinished_has_not_failed() -> None:
    async def story() -> Any:
        manager = TaskManager(tasks(3, difficulty=9), 1, quiet=True)

        async def stop_soon() -> None:
            await asyncio.sleep(4)
            await manager.stop()

        stopping = asyncio.ensure_future(stop_soon())
        report = await rehearse(manager, [WorkerAgent("Ada", 9)])
        await stopping
        return report

    report = in_virtual_time(story)
    assert {task.status for task in report.tasks} <= {TaskStatus.PENDING, TaskStatus.IN_PROGRESS}
    assert report.error_counts == {}
    assert report.exit_code == 1
    assert not report.workers["Ada"].lost
    assert report.duration == pytest.approx(4.0, abs=0.1)


def test_a_worker_says_what_it_was_to_stop_and_does_not_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posted: list[BaseModel] = []

    async def story() -> None:
        worker = WorkerAgent("Ada", 5, time_scale=1.0)
        manager = TaskManager(tasks(1, difficulty=5), 1, quiet=True)
        running = asyncio.ensure_future(rehearse(manager, [worker]))
        await asyncio.sleep(2)
        shell = worker._shell
        monkeypatch.setattr(shell, "_post", posted.append)
        shell._from_manager(CancelTask(task_id=99, attempt=3))
        # A result that is under way tells its end by itself.
        shell._outbox.add((98, 1), b"a result")
        shell._from_manager(CancelTask(task_id=98, attempt=1))
        shell._outbox.discard({(98, 1)})
        # So does what is being done.
        shell._from_manager(CancelTask(task_id=1, attempt=1, reason="enough"))
        assert posted == [ReturnTasks(attempts=((99, 3),))]
        monkeypatch.undo()
        await running

    in_virtual_time(story)
    assert posted


def test_a_worker_whose_manager_forgot_the_end_of_an_attempt_gets_more_work() -> None:
    """A manager that dies after it was told of a stopped attempt has not kept that it was."""

    async def story() -> Any:
        worker = WorkerAgent("Ada", 5, time_scale=0.01)
        manager = TaskManager((), 1, quiet=True)
        manager._shell.driver.stay(reassigns_failed=False)
        running = asyncio.ensure_future(rehearse(manager, [worker]))
        await asyncio.sleep(1)
        record = manager.board.workers["Ada"]
        record.stopping[99, 1] = None
        manager._shell._router.post(record.worker_id, CancelTask(task_id=99, attempt=1))  # type: ignore[union-attr]
        manager.add_task(tasks(1)[0])
        await asyncio.sleep(1)
        assert record.stopping == {}
        manager._shell.end("enough")
        return await running

    report = in_virtual_time(story)
    assert report.success_rate == 1.0
