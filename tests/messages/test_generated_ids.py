"""Tasks without an id or a description get both."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from muster.messages import (
    DecodeError,
    PriorityTask,
    Task,
    TaskAssignment,
    TaskId,
    decode_message,
    encode_message,
    task_ids,
)
from muster.messages.codec import decode_task, encode_task
from muster.messages.values import pack
from muster.messages.wording import find_known_id, short_id
from pydantic import Field


class Crawl(Task):
    """A task class with a type of its own."""

    type: str = "crawl"


class Named(Task):
    """A task class with a description of its own."""

    description: str = Field(default="a page", kw_only=False)


class Numbered(Task):
    """A task class with ids of its own."""

    id: TaskId = Field(default_factory=lambda: 7, kw_only=False)


@pytest.mark.parametrize(
    ("create", "description"),
    [
        (lambda: Task(type="slow", data=1), "slow"),
        (lambda: Task(1, type="slow"), "slow"),
        (lambda: Task(task_id=1, task_data=2, type="slow"), "slow"),
        (lambda: Task(1), "task 1"),
        (lambda: Task(id="page 7", difficulty=3), "task page 7"),
        (lambda: Task(1, type=" "), "task 1"),
        (lambda: Task(1, "told", type="slow"), "told"),
        (lambda: Task.model_validate({"id": 1, "type": "slow"}), "slow"),
        (lambda: PriorityTask(1, priority=3, type="slow"), "slow"),
        (Crawl, "crawl"),
        (lambda: Crawl(type="other"), "other"),
        (lambda: Named(type="slow"), "a page"),
        (Numbered, "task"),
        (lambda: Numbered(type="slow"), "slow"),
    ],
)
def test_a_task_without_description_is_described_by_its_type_or_else_its_id(
    create: Callable[[], Task], description: str
) -> None:
    assert create().description == description


def test_a_task_with_neither_id_nor_type_is_described_by_the_end_of_its_id() -> None:
    task = Task()
    assert task.description == f"task …{str(task.id)[-8:]}"


def test_a_generated_id_is_a_uuid_of_version_7() -> None:
    read = uuid.UUID(str(Task().id))
    assert (read.version, read.variant) == (7, uuid.RFC_4122)


def test_generated_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [str(Task(type="slow").id) for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_clock_that_is_set_back_does_not_break_the_order(monkeypatch: Any) -> None:
    before = task_ids.new_task_id()
    monkeypatch.setattr(task_ids.time, "time_ns", lambda: 0)
    assert task_ids.new_task_id() > before


def test_threads_never_make_the_same_id() -> None:
    made: list[str] = []

    def make() -> None:
        made.extend([task_ids.new_task_id() for _ in range(2_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_not_go_on_with_its_parents_ids() -> None:
    begun = task_ids.new_task_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, task_ids.new_task_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    of_child = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert begun[:-4] not in of_child


@pytest.mark.parametrize(
    "task",
    [
        Task(type="slow"),
        Task(1, "task", type="slow"),
        Task(1),
        PriorityTask(priority=2),
        Crawl(),
        Named(),
        Numbered(),
    ],
)
def test_what_was_filled_in_travels_and_is_stored(task: Task) -> None:
    assert decode_message(encode_message(TaskAssignment(task=task))) == TaskAssignment(task=task)
    assert decode_task(encode_task(task)) == task


@pytest.mark.parametrize("kind", ["Task", "PriorityTask", "Crawl"])
def test_a_task_that_lost_its_id_on_the_way_gets_no_other(kind: str) -> None:
    fields = {"description": "lost", "priority": 1}
    with pytest.raises(DecodeError, match="id: missing"):
        decode_task(pack([kind, fields]))
    with pytest.raises(DecodeError, match="id: missing"):
        decode_message(pack(["TaskAssignment", {"task": [kind, fields]}]))


def test_an_id_stays_when_other_fields_are_set() -> None:
    task = Task(type="slow")
    before = task.id
    task.priority = 3
    assert (task.id, task.description) == (before, "slow")


@pytest.mark.parametrize(
    ("task_id", "shown"),
    [
        (7, "7"),
        ("page 7", "page 7"),
        ("019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6e", "…1a2b4d6e"),
        ("019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6", "019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6"),
    ],
)
def test_of_a_uuid_the_end_is_shown_where_room_is_short(task_id: TaskId, shown: str) -> None:
    assert short_id(task_id) == shown


UUIDS = ["019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6e", "019acb52-7c1e-7d3a-9b0e-5f3c1a2b4d6f"]


@pytest.mark.parametrize(
    ("short", "known", "found"),
    [
        ("…1a2b4d6e", UUIDS, UUIDS[0]),
        ("1a2b4d6f", UUIDS, UUIDS[1]),
        ("1a2b4d6e", ["page 1a2b4d6e", 7], None),
        ("4d6e", UUIDS, None),
        ("1a2b4d6e", [UUIDS[0], "01" + UUIDS[0][2:-1] + "e", UUIDS[0].replace("019", "020")], None),
        (
            12345678,
            ["019acb52-7c1e-7d3a-9b0e-5f3c12345678"],
            "019acb52-7c1e-7d3a-9b0e-5f3c12345678",
        ),
    ],
)
def test_the_short_form_finds_the_only_task_that_has_it(
    short: object, known: list[TaskId], found: TaskId | None
) -> None:
    assert find_known_id([short], known) == found
