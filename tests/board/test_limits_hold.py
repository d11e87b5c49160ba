"""Whatever happens, limits are never passed, and no slot is idle while an allowed task waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from muster.agents.kernel.matching.policy_names import POLICIES
from muster.agents.kernel.model.events import Event, LimitsChanged, TasksAdded
from muster.messages import Limit, Task
from muster.messages.codec import pack_task

from .test_state_machine import Muster

KEYS = (None, "a", "a", "b", "c")
WEIGHTS = {"b": 3.0, "c": 0.25}

LIMITS = (
    Limit(concurrent=3),
    Limit(rate=4, per_s=3.0),
    Limit(rate=6, per_s=10.0, burst=2),
    Limit("paint", concurrent=1),
    Limit("sing", rate=2, per_s=5.0, concurrent=2),
    Limit(each_key=True, concurrent=1),
    Limit(key="a", concurrent=2, rate=3, per_s=4.0),
    Limit("paint", key="b", rate=1, per_s=7.0),
    Limit("sing", each_key=True, rate=3, per_s=3.0, burst=1),
)


def one_per_scope(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    return tuple({limit.scope: limit for limit in limits}.values())


some_limits = st.lists(st.sampled_from(LIMITS), max_size=4).map(one_per_scope)


def scopes(limits: Sequence[Limit], task: Task) -> Iterator[tuple[Limit, str | None]]:
    """The limits of a task, by their own words and not by the product's."""
    own_key = {limit.type for limit in limits if limit.key == task.limit_key and limit.key}
    for limit in limits:
        if limit.type not in {None, task.type}:
            continue
        if limit.each_key:
            if task.limit_key is not None and limit.type not in own_key:
                yield limit, task.limit_key
        elif limit.key is None or limit.key == task.limit_key:
            yield limit, None


class LimitedMuster(Muster):
    """The same, with limits, and with tasks that have keys."""

    @initialize(
        policy=st.sampled_from(sorted(POLICIES)),
        prefetch_s=st.sampled_from([0.0, 2.5]),
        quarantine_after=st.sampled_from([None, 2]),
        limits=some_limits,
        on_late=st.sampled_from(["run", "fail"]),
    )
    def start(  # type: ignore[override]
        self,
        policy: str,
        prefetch_s: float,
        quarantine_after: int | None,
        limits: tuple[Limit, ...],
        on_late: Literal["run", "fail"],
    ) -> None:
        self.limits: tuple[Limit, ...] = ()
        super().start(
            policy=policy,
            expected=0,
            patience_s=None,
            max_losses=2,
            reassigns_failed=False,
            quarantine_after=quarantine_after,
            prefetch_s=prefetch_s,
            on_late=on_late,
        )
        self.set_limits(limits)

    @rule(limits=some_limits)
    def set_limits(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self.rules = replace(self.rules, limits=limits, weights=WEIGHTS)
        self.tell(LimitsChanged(limits, WEIGHTS))

    def tell(self, event: Event) -> None:
        if isinstance(event, TasksAdded):
            event = TasksAdded(tuple(map(self.with_key, event.tasks)))
            event = replace(event, packed=tuple(map(pack_task, event.tasks)))
        before = set(self.leased)
        grants_before = len(self.grants)
        granted_before = self.granted()
        super().tell(event)
        for task_id, _ in self.leased - before:
            task = self.board.tasks[task_id].task
            for scope in scopes(self.limits, task):
                self.check_limit(*scope)
        for each in self.grants[grants_before:]:
            key = each.task_id, each.attempt
            if each.is_given and self.waits.get(key) == "wanted" and key not in granted_before:
                for scope in scopes(self.limits, self.board.tasks[each.task_id].task):
                    self.check_limit(*scope)

    def granted(self) -> set[tuple[Any, int]]:
        """The attempts that may go on, and of which the worker has not read yet that they may."""
        return {(each.task_id, each.attempt) for each in self.grants if each.is_given}

    def with_key(self, task: Task) -> Task:
        is_new = isinstance(task.id, int) and task.id not in self.board.tasks
        return task.model_copy(update={"limit_key": KEYS[task.id % 5]}) if is_new else task

    def check_limit(self, limit: Limit, key: str | None) -> None:
        of_it = [
            attempt
            for record in self.board.tasks.values()
            if (limit, key) in set(scopes(self.limits, record.task))
            for attempt in record.attempts
        ]
        if limit.concurrent is not None:
            running = [
                attempt
                for attempt in of_it
                if attempt.outcome is None
                or (attempt.task.task_id, attempt.number) in attempt.worker.stopping
            ]
            granted = self.granted()
            keys = {(attempt.task.task_id, attempt.number) for attempt in running}
            running_on = {
                key for key in keys if self.waits.get(key, "kept") == "kept" or key in granted
            }
            assert len(running_on) <= limit.concurrent, f"{limit!r} is passed"
        if limit.rate is not None and limit.per_s is not None:
            # As the product adds, so that rounding makes no difference.
            begun = [each for each in of_it if each.started_at + limit.per_s > self.now]
            assert len(begun) <= limit.rate, f"{limit!r} is passed"
            at_once = [attempt for attempt in begun if attempt.started_at == self.now]
            assert len(at_once) <= (limit.burst or limit.rate), f"{limit!r} bursts"


@pytest.mark.hypothesis
def test_whatever_happens_limits_hold_and_each_task_comes_to_its_end() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        LimitedMuster,
        settings=settings(
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.mark.exhaustive
def test_limits_hold_at_length() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        LimitedMuster,
        settings=settings(
            max_examples=750,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
