"""A task's id and data under the names that the specification has for them."""

from __future__ import annotations

import pytest
from muster.messages import PriorityTask, Task, TaskAssignment, decode_message, encode_message
from pydantic import ValidationError


def test_task_id_and_task_data_are_other_names_of_id_and_data() -> None:
    task = Task(task_id="a", task_data={"page": 1})
    assert task == Task(id="a", data={"page": 1}, description="task a")
    assert (task.task_id, task.task_data) == ("a", {"page": 1})
    assert Task(id=1, description="one").task_id == 1


def test_a_description_and_all_else_can_be_given_beside_them() -> None:
    task = PriorityTask(task_id=7, description="seven", priority=2)
    assert (task.id, task.description, task.priority) == (7, "seven", 2)


def test_such_a_task_travels_like_any_other() -> None:
    assignment = TaskAssignment(task=Task(task_id="a", task_data=[1, 2]))
    assert decode_message(encode_message(assignment)) == assignment


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"task_id": 1, "id": 1}, "task_id is another name of id; give one of them"),
        ({"task_id": 1, "task_data": 1, "data": 1}, "task_data is another name of data"),
        ({"task_id": 0}, "must be an integer above 0"),
    ],
)
def test_they_are_held_to_the_same_rules(fields: dict[str, int], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Task(**fields)


def test_what_the_caller_gave_is_left_as_it_was() -> None:
    fields = {"task_id": 1, "task_data": 2}
    Task.model_validate(fields)
    assert fields == {"task_id": 1, "task_data": 2}
