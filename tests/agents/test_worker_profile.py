"""What a worker says of itself reaches whoever asks, whatever fields it has."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from muster.agents import TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.agents.kernel.model.instructions import SendAssignment
from muster.agents.kernel.model.records import WorkerRecord
from muster.agents.manager.own_matching import WorkerDetail
from muster.agents.worker_pool.processes import LocalProcesses
from muster.agents.worker_pool.worker_spec import WorkerSpec
from muster.messages import Hello, InvalidInput, Task, TaskAssignment, WorkerProfile
from muster.messages.worker_profile import FOLLOW_FROM_HANDLERS

from ..every_field import make, names_of, values_of

GIVEN = [name for name in names_of(WorkerProfile) if name not in FOLLOW_FROM_HANDLERS]
"""What a worker is told; the types that it runs and reviews are those of its handlers."""


def a_worker() -> WorkerAgent:
    """A worker of which everything differs from the defaults."""
    told = values_of(make(WorkerProfile))
    worker = WorkerAgent(**{name: told[name] for name in GIVEN})
    worker.task("task_types")(lambda task: task.id)
    worker.review("review_types")(lambda task, result: True)
    return worker


def test_a_worker_takes_every_attribute_as_an_argument_and_has_it() -> None:
    assert set(GIVEN) <= set(inspect.signature(WorkerAgent).parameters)
    worker = a_worker()
    follows = {name: (name,) for name in FOLLOW_FROM_HANDLERS}
    assert WorkerProfile.of(worker, **follows) == make(WorkerProfile)


def test_every_attribute_reaches_the_manager_and_its_matching() -> None:
    async def story() -> list[WorkerRecord]:
        tasks = [Task(id=1, description="d", type="task_types")]
        manager = TaskManager(tasks, 1, quiet=True)
        await rehearse(manager, [a_worker()])
        return list(manager.board.workers.values())

    (record,) = run_in_virtual_time(story())
    # Handlers of one's own name no types that run at most once; MCP's do.
    assert values_of(record.profile) == {**values_of(make(WorkerProfile)), "at_most_once_types": ()}
    assert WorkerDetail(record).profile == record.profile


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cost_per_s": "1"}, "cost_per_s is '1'; it must be a number"),
        ({"cost_per_task": -1}, "cost_per_task is -1; it must be 0 or more"),
        ({"slots": "2"}, "slots is '2'; it must be a number"),
        ({"skills": {"vision": "high"}}, "skill 'vision' is 'high'; it must be a number"),
        ({"skills": {"vision": float("nan")}}, "skill 'vision' has the level nan; give a name"),
        ({"specialties": "sums"}, "specialties is the text 'sums'; give a list of task types"),
        ({"handlers": "sums"}, "handlers is 'sums'; give a Handlers, such as Handlers.of("),
        ({"host": "localhost"}, "host is 'localhost'; it must be an IPv4 address"),
        ({"secret": "sesame"}, "the secret is a text of 6 characters; it must be"),
        ({"secret": "sesame", "insecure": True}, "a secret was given, and insecure as well"),
        ({"nats_creds": "no.creds"}, "nats_creds is 'no.creds', but there is no such file"),
        ({"ticket": "no ticket"}, "'no ticket' is neither a ticket, which would begin with"),
    ],
)
def test_a_worker_refuses_at_once_what_it_can_not_use(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        WorkerAgent("Ada", 5, **given)


def test_every_attribute_stands_in_a_hello() -> None:
    profile = make(WorkerProfile)
    hello = Hello.of(profile, session="1", call=2, holding=((3, 4),))
    assert WorkerProfile.of(hello) == profile
    assert (hello.session, hello.call, hello.holding) == ("1", 2, ((3, 4),))


def test_every_attribute_reaches_a_worker_process() -> None:
    assert set(GIVEN) - {"name"} <= set(inspect.signature(LocalProcesses).parameters)
    order = WorkerSpec(make(WorkerProfile), ("module:handlers",), 0.5)
    assert WorkerSpec.parse(order.line()) == order
    assert set(order.worker_arguments()) == set(GIVEN)


def test_what_the_board_asks_for_all_the_time_follows_the_profile() -> None:
    record = WorkerRecord(WorkerProfile("Ada"), "at Ada", "1", 0, 0.0, 0.0)
    profile = make(WorkerProfile)
    record.introduce(profile)
    for name, value in values_of(profile).items():
        known: Any = getattr(record, name, value)
        assert known == (frozenset(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("name", sorted({*names_of(TaskAssignment)} - {"traceparent"}))
def test_an_instruction_to_assign_makes_the_whole_message(name: str) -> None:
    # The trace that it belongs to is the shell's to tell.
    order = make(SendAssignment)
    assert getattr(order.assignment, name) == getattr(order, name)
