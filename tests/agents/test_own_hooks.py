"""Overrides of a manager's hooks: each is called at its moment, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from muster.agents import (
    MemoryStore,
    PeerMode,
    TaskManager,
    WorkerAgent,
    on,
    rehearse,
    run_in_virtual_time,
)
from muster.agents.store.memory import SharedRows
from muster.messages import (
    AssigningFailed,
    DifferentTask,
    InvalidInput,
    InvalidTask,
    Task,
    TaskAssignment,
    TaskResult,
)

CREW = (("Junior", 3), ("Intermediate", 6), ("Senior", 9))


def tasks(count: int, **fields: Any) -> list[Task]:
    return [Task(id=number, description=f"t{number}", **fields) for number in range(1, count + 1)]


def play(make: Callable[[], TaskManager], crew: Any = CREW, worker: Any = WorkerAgent) -> Any:
    async def go() -> TaskManager:
        manager = make()
        await rehearse(manager, [worker(name, skill) for name, skill in crew])
        return manager

    return run_in_virtual_time(go())


class Collecting(TaskManager):
    """Notes what each call of `handle_result` sees."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.seen: list[tuple[int, int]] = []
        self.task_results = []

    def note(self, data: TaskResult) -> None:
        self.task_results.append(data)
        self.seen.append((data.task_id, len(self.task_results)))


# ---------------------------------------------------------------------------- handle_result


class TakesAll(Collecting):
    async def handle_result(self, data: TaskResult, time: int, agent: Any) -> None:  # type: ignore[override]
        assert agent.name == data.worker
        assert time > 0
        self.note(data)


class TakesResult(Collecting):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        self.note(data)


class TakesTime(Collecting):
    async def handle_result(self, data: TaskResult, time: int) -> None:  # type: ignore[override]
        assert time > 0
        self.note(data)


class TakesOtherNames(Collecting):
    async def handle_result(  # type: ignore[override]
        self, result: TaskResult, at: int, sender: Any
    ) -> None:
        assert sender.name == result.worker
        assert at > 0
        self.note(result)


class TakesAnything(Collecting):
    async def handle_result(self, *given: Any, **named: Any) -> None:
        assert set(named) == {"time", "agent"}
        self.note(given[0])


class IsPlain(Collecting):
    def handle_result(self, data: TaskResult, time: int, agent: Any) -> None:  # type: ignore[override]
        self.note(data)


class CallsSuper(Collecting):
    async def handle_result(self, data: TaskResult, time: int, agent: Any) -> None:  # type: ignore[override]
        await super().handle_result(data, time, agent)
        self.note(data)


class IsDeclared(Collecting):
    @on(TaskResult)
    async def collect(self, data: TaskResult, time: int, agent: Any) -> None:
        assert agent.name == data.worker
        self.note(data)


class IsDeclaredHere(Collecting):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)

        @self.on(TaskResult)
        async def collect(data: TaskResult, agent: Any, time: int) -> None:
            assert agent.name == data.worker
            self.note(data)


class Slow(Collecting):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await asyncio.sleep(3)
        self.note(data)


@pytest.mark.parametrize(
    "kind",
    [
        TakesAll,
        TakesResult,
        TakesTime,
        TakesOtherNames,
        TakesAnything,
        IsPlain,
        CallsSuper,
        Slow,
        IsDeclared,
        IsDeclaredHere,
    ],
)
def test_handle_result_sees_the_results_up_to_its_own(kind: type[Collecting]) -> None:
    # All end in the same moment, so that the board has all when the first is told.
    manager = play(
        lambda: kind(tasks(6), 1, quiet=True),
        [("Ada", 9)],
        lambda name, skill: WorkerAgent(name, skill, slots=6),
    )
    assert sorted(task_id for task_id, _ in manager.seen) == [1, 2, 3, 4, 5, 6]
    assert [count for _, count in manager.seen] == [1, 2, 3, 4, 5, 6]
    assert len(manager.task_results) == 6


def test_results_that_are_appended_are_not_doubled_and_strange_ones_not_set() -> None:
    manager = play(lambda: TaskManager(tasks(2), 3, quiet=True))
    results = manager.task_results
    results.append(results[0])
    results.extend(results)
    results.insert(0, results[1])
    results += results
    assert len(manager.task_results) == 2
    manager.task_results = []
    assert len(manager.task_results) == 2
    with pytest.raises(InvalidInput, match="a result of task 7, which is not recorded"):
        manager.task_results = [TaskResult(task_id=7, worker="Ada", success=True)]


class Printing(TaskManager):
    """Tells of the run itself when the last result is there, and ends it."""

    last = 3

    async def handle_result(self, data: TaskResult, time: int, agent: Any) -> None:  # type: ignore[override]
        self.task_results.append(data)
        if len(self.task_results) == self.last:
            print("All tasks completed")
            for each in self.task_results:
                print(f"Task {each.task_id} assigned to {each.worker}")
            await self.end_task_management()


class EndingManager(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        if len(self.task_results) == len(self.tasks):
            await self._generate_final_report()
            await self.end_task_management()


class Silent(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        pass


class OwnEnd(TaskManager):
    async def end_task_management(self) -> None:
        print("All tasks completed")
        print("Task 1 assigned to somebody")
        print("Success rate: mine")


class OwnEndOfOurs(TaskManager):
    async def end_task_management(self) -> None:
        await super().end_task_management()


class PlainEnd(TaskManager):
    def end_task_management(self) -> None:  # type: ignore[override]
        print("All tasks completed")
        print("Task 1 assigned to somebody")
        print("Success rate: mine")


class OwnReport(TaskManager):
    async def _generate_final_report(self) -> None:
        print("All tasks completed")
        print("Task 1 assigned to somebody")
        print("Success rate: mine")


class OwnReportOfOurs(OwnReport):
    async def _generate_final_report(self) -> None:
        await TaskManager._generate_final_report(self)


class OwnReportAndEnd(OwnReport):
    async def end_task_management(self) -> None:
        pass


class OwnReportAndEarlyEnd(OwnReport):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        if len(self.task_results) == len(self.tasks):
            await self.end_task_management()


class PlainReport(TaskManager):
    def _generate_final_report(self) -> None:  # type: ignore[override]
        print("All tasks completed")
        print("Task 1 assigned to somebody")
        print("Success rate: mine")


@pytest.mark.parametrize(
    "kind",
    [
        TaskManager,
        Printing,
        EndingManager,
        Silent,
        OwnEnd,
        OwnEndOfOurs,
        PlainEnd,
        OwnReport,
        OwnReportOfOurs,
        OwnReportAndEnd,
        OwnReportAndEarlyEnd,
        PlainReport,
    ],
)
def test_the_summary_is_printed_once(
    kind: type[TaskManager], capsys: pytest.CaptureFixture[str]
) -> None:
    play(lambda: kind(tasks(3), 3))
    told = capsys.readouterr().out
    assert told.count("All tasks completed") == 1
    assert told.count("Task 1 assigned to") == 1
    assert told.count("Success rate:") == 1


def test_end_task_management_called_early_ends_the_run() -> None:
    class Early(Printing):
        last = 2

    manager = play(lambda: Early(tasks(5, difficulty=3), 1, quiet=True), [("Ada", 9)])
    assert len(manager.task_results) == 2
    assert list(manager.get_all_task_status().values()).count("Completed") == 2


def test_end_task_management_called_from_outside_ends_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def go() -> TaskManager:
        manager = TaskManager(tasks(2, difficulty=5), 1)
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 9)]))
        await asyncio.sleep(7)
        await manager.end_task_management()
        await running
        return manager

    manager = run_in_virtual_time(go())
    assert len(manager.task_results) == 1
    assert capsys.readouterr().out.count("1 of 2 tasks settled") == 1


# ---------------------------------------------------------------------------- the run's end


class Recovering(TaskManager):
    """Has a failed task tried once more, after some thought."""

    thinks_s = 0.0

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await asyncio.sleep(self.thinks_s)
        if not data.success and "recovery" not in str(data.task_id):
            task = next(each for each in self.tasks if each.id == data.task_id)
            assert await self.recover_failed_task(task, data)


class Adding(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await asyncio.sleep(1)
        if data.task_id < 4:
            self.add_task(Task(id=data.task_id + 1, description="one more"))


class Appending(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        if data.task_id < 4:
            self.tasks.append(Task(id=data.task_id + 1, description="one more"))


@pytest.mark.parametrize("thinks_s", [0.0, 5.0])
def test_the_last_failure_can_be_recovered_in_handle_result(thinks_s: float) -> None:
    kind = type("Recovering", (Recovering,), {"thinks_s": thinks_s})
    hard = [Task(id=1, description="too hard for one of them", difficulty=8)]
    manager = play(
        lambda: kind(hard, 2, policy="in_order", quiet=True), [("Junior", 3), ("Senior", 9)]
    )
    assert manager.get_all_task_status() == {1: "Failed", "1-recovery-1": "Completed"}
    assert manager.get_task_result("1-recovery-1").worker == "Senior"


@pytest.mark.parametrize("kind", [Adding, Appending])
def test_handle_result_of_the_last_may_add_another(kind: type[TaskManager]) -> None:
    manager = play(lambda: kind(tasks(1), 1, quiet=True), [("Ada", 9)])
    assert manager.get_all_task_status() == dict.fromkeys((1, 2, 3, 4), "Completed")


class Unending(TaskManager):
    cancelled = False

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Failing(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        raise LookupError("no such column")


class Giving(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        raise asyncio.CancelledError


@pytest.mark.parametrize("kind", [Unending, Failing, Giving])
def test_a_handle_result_that_goes_wrong_is_logged_and_the_run_ends(
    kind: type[TaskManager], caplog: pytest.LogCaptureFixture
) -> None:
    async def go() -> float:
        began_at = asyncio.get_running_loop().time()
        await rehearse(kind(tasks(2), 1, quiet=True), [WorkerAgent("Ada", 9)])
        return asyncio.get_running_loop().time() - began_at

    assert run_in_virtual_time(go()) < 200
    assert caplog.text.count("a handler failed") == 2
    assert "handle_result" in caplog.text


def test_a_run_that_is_stopped_waits_for_the_handle_result_that_is_called() -> None:
    async def go() -> Slow:
        manager = Slow(tasks(2), 1, quiet=True)
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 9)]))
        while not manager.task_results:
            await asyncio.sleep(0.1)
        await manager.stop()
        await running
        return manager

    assert len(run_in_virtual_time(go()).seen) >= 1


class Stopping(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await self.stop()


class StoppingAtTheEnd(TaskManager):
    async def end_task_management(self) -> None:
        await self.stop()


class ServiceManager(TaskManager):
    """A service over a memory link."""

    async def start_agent(self, *_: Any) -> None:
        await rehearse(self, [WorkerAgent("Ada", 9)])


class StoppingService(ServiceManager, Stopping):
    pass


@pytest.mark.parametrize("kind", [Stopping, StoppingAtTheEnd, StoppingService])
def test_a_hook_that_stops_the_manager_does_not_wait_for_itself(kind: type[TaskManager]) -> None:
    async def go() -> float:
        began_at = asyncio.get_running_loop().time()
        manager = kind(tasks(1), 1, quiet=True)
        if isinstance(manager, ServiceManager):
            await manager.start()
            await manager.finished()
            await manager.stop()
        else:
            await rehearse(manager, [WorkerAgent("Ada", 9)])
        return asyncio.get_running_loop().time() - began_at

    assert run_in_virtual_time(go()) < 10


# ---------------------------------------------------------------------------- statistics


class OwnStats(TaskManager):
    """Counts in a way of its own, and beside it as we do."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.worker_stats = {}
        self.counted: list[int] = []

    def _update_worker_stats(self, result: TaskResult) -> None:
        self.counted.append(result.task_id)
        super()._update_worker_stats(result)
        self.worker_stats[result.worker]["longest"] = max(  # type: ignore[typeddict-unknown-key]
            self.worker_stats[result.worker].get("longest", 0.0), result.execution_time
        )


class OwnStatsByHand(OwnStats):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        self._update_worker_stats(data)
        self._update_worker_stats(data)


class OwnStatsAwaited(TaskManager):
    counted: tuple[int, ...] = ()

    async def _update_worker_stats(self, result: TaskResult) -> None:  # type: ignore[override]
        self.counted += (result.task_id,)

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        await self._update_worker_stats(data)


@pytest.mark.parametrize("kind", [OwnStats, OwnStatsByHand, OwnStatsAwaited])
def test_each_result_is_counted_once_by_a_subclass(kind: type[Any]) -> None:
    manager = play(lambda: kind(tasks(5, difficulty=2), 3, quiet=True))
    assert sorted(manager.counted) == [1, 2, 3, 4, 5]
    if kind is not OwnStatsAwaited:
        stats = manager.worker_stats
        assert sum(each["completed_tasks"] for each in stats.values()) == 5
        assert {each["longest"] for each in stats.values()} == {2.0}
        assert {each["success_rate"] for each in stats.values()} == {1.0}


class ByHandOnly(TaskManager):
    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        self._update_worker_stats(data)


def test_to_count_what_the_manager_counts_itself_changes_nothing() -> None:
    manager = play(lambda: ByHandOnly(tasks(4), 1, quiet=True), [("Ada", 9)])
    assert manager.worker_stats["Ada"]["completed_tasks"] == 4
    manager.worker_stats = {}
    assert manager.worker_stats["Ada"]["completed_tasks"] == 4
    with pytest.raises(InvalidInput, match="override _update_worker_stats"):
        manager.worker_stats = {"Ada": manager.worker_stats["Ada"]}


# ---------------------------------------------------------------------------- matching and scores


class Matching(TaskManager):
    """Gives the first tasks to the last workers."""

    asked_with: list[tuple[list[int], list[str]]] = []  # noqa: RUF012 - set anew by the test

    def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
        self.asked_with.append(([task.id for task in tasks], [each.name for each in workers]))
        last_first = sorted(workers, key=lambda each: each.skill_level, reverse=True)
        return list(zip(last_first, sorted(tasks, key=lambda each: each.id), strict=False))


def test_an_overridden_matching_decides_who_gets_which_task() -> None:
    Matching.asked_with.clear()
    manager = play(lambda: Matching(tasks(5, difficulty=3), 3, quiet=True))
    did = {each.task_id: each.worker for each in manager.task_results}
    assert [did[each] for each in (1, 2, 3)] == ["Senior", "Intermediate", "Junior"]
    assert set(did) == {1, 2, 3, 4, 5}
    assert Matching.asked_with[0] == ([1, 2, 3, 4, 5], ["Junior", "Intermediate", "Senior"])


class MatchingByHand(Matching):
    """Calls its matching itself, as well, and hands out what that says."""

    async def assign_tasks(self) -> None:
        pairs = self._match_tasks_to_workers(self.tasks, await self.get_connected_agents())
        for _, task in pairs:
            await self.broadcast_message(TaskAssignment(task=task))


def test_a_matching_that_assign_tasks_asks_decides_too() -> None:
    manager = play(lambda: MatchingByHand(tasks(5, difficulty=3), 3, quiet=True))
    did = {each.task_id: each.worker for each in manager.task_results}
    assert [did[each] for each in (1, 2, 3)] == ["Senior", "Intermediate", "Junior"]
    assert set(did) == {1, 2, 3, 4, 5}


class Scoring(TaskManager):
    def _get_worker_score(self, worker: Any) -> float:
        return {"Junior": 3.0, "Intermediate": 2, "Senior": 1}[worker.name]


class ScoringByHand(Scoring):
    async def assign_tasks(self) -> None:
        workers = await self.get_connected_agents()
        for _, task in self._match_tasks_to_workers(self.tasks, workers):
            await self.broadcast_message(TaskAssignment(task=task))


@pytest.mark.parametrize("kind", [Scoring, ScoringByHand])
def test_an_overridden_score_decides_the_workers_rank(kind: type[TaskManager]) -> None:
    hard = [Task(id=number, description="t", difficulty=number) for number in (1, 2, 3)]
    manager = play(lambda: kind(hard, 3, quiet=True))
    did = {each.task_id: each.worker for each in manager.task_results}
    assert did == {3: "Junior", 2: "Intermediate", 1: "Senior"}


class ScoredByOwnStats(OwnStats):
    """What it makes of the statistics is what the policy goes by."""

    def _update_worker_stats(self, result: TaskResult) -> None:
        self.worker_stats["Junior"] = {"success_rate": 1.0, "completed_tasks": 50}  # type: ignore[typeddict-item]


def test_the_policy_score_goes_by_the_statistics_of_a_subclass() -> None:
    manager = play(
        lambda: ScoredByOwnStats(
            [*tasks(1), *(Task(id=n, description="t", depends_on=(1,)) for n in (2, 3))],
            3,
            policy="score",
            quiet=True,
        )
    )
    assert manager.get_task_result(2).worker == "Junior"


def test_our_own_matching_pairs_every_task_the_hardest_first_with_the_best() -> None:
    manager = TaskManager()
    workers = [WorkerAgent(name, 5) for name in ("Ada", "Ben")]
    details: Any = workers
    pairs = manager._match_tasks_to_workers(
        [Task(id=number, description="t", difficulty=number) for number in (1, 2, 3)], details
    )
    assert [(worker.name, task.id) for worker, task in pairs] == [
        ("Ada", 3),
        ("Ben", 2),
        ("Ada", 1),
    ]
    assert manager._get_worker_score(details[0]) == pytest.approx(0.35)
    assert manager._match_tasks_to_workers(tasks(2), []) == []


class MatchingRaises(TaskManager):
    def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
        raise LookupError("nobody")


class MatchingIsNone(TaskManager):
    def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
        return None


class MatchingIsOfOthers(TaskManager):
    def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
        return [(1, 2)]


class MatchingIsAwaited(TaskManager):
    async def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:  # type: ignore[override]
        return []


class ScoreRaises(TaskManager):
    def _get_worker_score(self, worker: Any) -> float:
        raise LookupError("nobody")


class ScoreIsText(TaskManager):
    def _get_worker_score(self, worker: Any) -> Any:
        return "much"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (MatchingRaises, "MatchingRaises._match_tasks_to_workers raised LookupError: nobody"),
        (MatchingIsNone, "it returned None, which is not a list of pairs"),
        (MatchingIsOfOthers, r"it returned the pair \(1, 2\)"),
        (MatchingIsAwaited, "it must be a plain method"),
        (ScoreRaises, "ScoreRaises._get_worker_score raised LookupError: nobody"),
        (ScoreIsText, "it returned 'much', which is not a number"),
    ],
)
def test_a_matching_that_goes_wrong_ends_the_run_with_an_error(
    kind: type[TaskManager], told: str
) -> None:
    with pytest.raises(AssigningFailed, match=told):
        play(lambda: kind(tasks(2), 3, quiet=True))


def test_a_matching_that_gives_nobody_anything_fails_the_tasks() -> None:
    class NoMatch(TaskManager):
        def _match_tasks_to_workers(self, tasks: Any, workers: Any) -> Any:
            return []

    manager = play(lambda: NoMatch(tasks(2), 3, quiet=True))
    assert set(manager.get_all_task_status().values()) == {"Failed"}
    assert "_match_tasks_to_workers assigns it to no worker" in manager.explain(1).headline


# ---------------------------------------------------------------------------- timeouts


class Stuck(WorkerAgent):
    async def handle_task(self, data: TaskAssignment) -> bool:  # type: ignore[override]
        await asyncio.sleep(3_600 if data.task.difficulty > 2 else 1)
        return True


class Timing(TaskManager):
    """Does what the document leaves to be filled in."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.task_timeouts = {}
        self.timed_out: list[tuple[int, float]] = []

    async def _handle_timeout(self, task_id: Any, timeout: float) -> None:
        await asyncio.sleep(timeout)
        if task_id not in self.completed_tasks:
            self.timed_out.append((task_id, timeout))


class TimingByHand(Timing):
    """Starts its timers itself, as the document does."""

    async def assign_tasks(self) -> None:
        for task in self.tasks:
            timeout = task.difficulty * 2
            await self.broadcast_message(TaskAssignment(task=task, timeout=timeout))
            timer: Any = asyncio.create_task(self._handle_timeout(task.id, timeout))
            self.task_timeouts[task.id] = timer

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        timer: Any = self.task_timeouts[data.task_id]
        timer.cancel()


@pytest.mark.parametrize("kind", [Timing, TimingByHand])
def test_an_overridden_timeout_is_called_once_for_what_takes_too_long(kind: type[Timing]) -> None:
    slow = [
        Task(id=n, description="t", difficulty=difficulty) for n, difficulty in ((1, 2), (2, 5))
    ]
    manager = play(lambda: kind(slow, 2, quiet=True), [("Ada", 9), ("Ben", 9)], Stuck)
    assert manager.get_all_task_status() == {1: "Completed", 2: "Failed"}
    assert manager.timed_out == [(2, 10.0)]


def test_each_attempt_that_times_out_is_handled() -> None:
    slow = [Task(id=1, description="t", difficulty=5, max_attempts=3)]
    manager = play(lambda: Timing(slow, 2, quiet=True), [("Ada", 9), ("Ben", 9)], Stuck)
    assert manager.timed_out == [(1, 10.0)] * 3


def test_our_own_timeout_logs_what_is_not_settled(caplog: pytest.LogCaptureFixture) -> None:
    class ByHand(TaskManager):
        async def assign_tasks(self) -> None:
            await super().assign_tasks()
            for task in self.tasks:
                timer: Any = asyncio.create_task(self._handle_timeout(task.id, 3))
                self.task_timeouts[task.id] = timer
            assert set(self.task_timeouts) == {1, 2}

    lasting = [Task(id=n, description="t", difficulty=d) for n, d in ((1, 2), (2, 5))]
    play(lambda: ByHand(lasting, 2, quiet=True))
    assert caplog.text.count("a task has timed out") == 1
    assert "task=2" in caplog.text


# ---------------------------------------------------------------------------- what can be set


class AsDocumented(TaskManager):
    """Says nothing to ours but what Ceylon's agents are told, and sets the rest itself."""

    def __init__(self, tasks: list[Task], expected_workers: int) -> None:
        super().__init__(name="task_manager", port=0, mode=PeerMode.ADMIN, role="task_manager")
        self.tasks = tasks
        self.expected_workers = expected_workers
        self.task_results = []
        self.tasks_assigned = False
        self.worker_stats = {}
        self.task_timeouts = {}
        self._quiet = True


def test_what_the_documents_set_can_be_set() -> None:
    manager = play(lambda: AsDocumented(tasks(5), 3))
    assert manager.expected_workers == 3
    assert set(manager.get_all_task_status().values()) == {"Completed"}
    assert manager.tasks == tasks(5)
    joined = [worker.joined_at for worker in manager.board.workers.values()]
    assert manager.board.began_at >= max(joined)


def test_expected_workers_may_be_set_to_names() -> None:
    manager = TaskManager(tasks(3), policy="in_order", quiet=True)
    manager.expected_workers = ["Senior", "Junior", "Intermediate"]  # type: ignore[assignment]
    played = play(lambda: manager)
    did = {each.task_id: each.worker for each in played.task_results}
    assert did == {1: "Senior", 2: "Junior", 3: "Intermediate"}


def test_tasks_are_added_by_setting_and_by_appending() -> None:
    manager = TaskManager(tasks(2))
    manager.tasks = tasks(3)
    manager.tasks += [Task(id=4, description="t4")]
    manager.tasks.append(Task(id=5, description="t5"))
    manager.tasks.extend([Task(id=6, description="t6")])
    manager.tasks.insert(0, Task(id=7, description="t7"))
    assert [task.id for task in manager.tasks] == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(InvalidInput, match="remove tasks with cancel_task"):
        manager.tasks = tasks(2)
    with pytest.raises(DifferentTask, match="another task under the id 1"):
        manager.tasks = [Task(id=1, description="another"), *manager.tasks[1:]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"mode": PeerMode.CLIENT}, "it opens the workspace, so mode must be PeerMode.ADMIN"),
        (
            {"mode": PeerMode.ADMIN, "admin_peer": "x"},
            "it is a guest, so mode must be PeerMode.CLIENT",
        ),
        ({"role": "boss"}, "role is 'boss'"),
    ],
)
def test_a_mode_or_role_that_cannot_be_is_refused(options: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        TaskManager(**options)
    assert TaskManager(mode=PeerMode.ADMIN, role="task_manager").mode is PeerMode.ADMIN
    guest = TaskManager(mode=PeerMode.CLIENT, admin_peer="x")
    assert guest.mode is PeerMode.CLIENT


# ---------------------------------------------------------------------------- runs that are kept


class Kept(TaskManager):
    """Sets its tasks as the documents do, and goes on with a run."""

    def __init__(self, todo: list[Task], store: Any) -> None:
        super().__init__(expected_workers=1, quiet=True, store=store)
        self.tasks = todo
        self.tasks_assigned = False

    async def assign_tasks(self) -> None:
        if self.tasks_assigned:
            return
        self.tasks_assigned = True
        for task in self.tasks:
            await self.broadcast_message(TaskAssignment(task=task, timeout=7))

    async def handle_result(self, data: TaskResult) -> None:  # type: ignore[override]
        if not data.success:
            task = next(each for each in self.tasks if each.id == data.task_id)
            await self.recover_failed_task(task, data)


def test_a_run_that_is_kept_goes_on_with_what_was_set_and_handed_out() -> None:
    memory = SharedRows()
    # The second can't be done in its 7 s, and so is recovered once.
    todo = [Task(id=n, description="t", difficulty=d) for n, d in ((1, 6), (2, 9), (3, 6))]

    async def first() -> None:
        manager = Kept(todo, MemoryStore(memory))
        running = asyncio.ensure_future(rehearse(manager, [WorkerAgent("Ada", 10, slots=4)]))
        await asyncio.sleep(10)
        await manager.stop()
        await running
        assert manager.get_task_status(2) == "Failed"
        assert "2-recovery-1" in manager.get_all_task_status()

    async def second() -> TaskManager:
        manager = Kept(todo, MemoryStore(memory))
        timeouts = {each.id: each.timeout for each in manager.tasks}
        assert timeouts[2] == 7
        await rehearse(manager, [WorkerAgent("Ada", 10, slots=4)])
        return manager

    run_in_virtual_time(first())
    manager = run_in_virtual_time(second())
    status = manager.get_all_task_status()
    assert (status[1], status[2], status[3]) == ("Completed", "Failed", "Completed")
    assert all(each != "Pending" for each in status.values())


# ---------------------------------------------------------------------------- what is no task


@dataclass
class OwnKindOfTask:
    """What a reader has who types the documents' data models without deriving them from ours."""

    id: int
    description: str
    difficulty: int


WAYS_TO_ADD = [
    lambda strange: TaskManager([strange], 1),
    lambda strange: TaskManager([], 1).add_task(strange),
    lambda strange: TaskManager([], 1).tasks.extend([strange]),
    lambda strange: setattr(TaskManager([], 1), "tasks", [strange]),
]


@pytest.mark.parametrize("add", WAYS_TO_ADD)
@pytest.mark.parametrize("strange", [OwnKindOfTask(1, "a", 2), {"id": 1}, "a task", None, Task])
def test_what_is_no_task_is_refused_with_what_to_write(add: Any, strange: Any) -> None:
    with pytest.raises(InvalidTask, match=r"is not a task: .*derive your class from it"):
        add(strange)
