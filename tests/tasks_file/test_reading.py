"""What the three formats hold, and that what was written is what is read."""

from __future__ import annotations

import csv
import io
import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.command.tasks_file import read_tasks
from muster.messages import PriorityTask, Task

Read = Callable[[str, str | bytes], list[Task]]

ids = st.integers(1, 2**63 - 1) | st.text(string.ascii_letters + "_-.:", min_size=1, max_size=20)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def task_lists(draw: st.DrawFn) -> list[Task]:
    """Draw lists of tasks that depend on tasks before them."""
    tasks: list[Task] = []
    for task_id in draw(st.lists(ids, min_size=1, max_size=6, unique=True)):
        known = st.sampled_from([task.id for task in tasks] or [None])
        fields: dict[str, Any] = {
            "id": task_id,
            "description": draw(words.filter(str.strip)),
            "difficulty": draw(st.integers(1, 10)),
            "type": draw(st.text(string.ascii_letters, max_size=9)),
            "data": draw(json_data),
            "depends_on": draw(st.lists(known, max_size=3 if tasks else 0)),
            "parent_id": draw(st.none() | known),
            "timeout": draw(st.none() | st.floats(0.001, 1e9)),
            "max_attempts": draw(st.integers(1, 100)),
            "expires_s": draw(st.none() | st.floats(0.001, 1e9)),
            "required_skills": draw(st.dictionaries(words.filter(str.strip), st.floats(0, 1_000))),
            "strict": draw(st.booleans()),
            "deadline": draw(st.none() | st.floats(0.001, 1e9)),
            "escalate": draw(st.lists(words.filter(str.strip), max_size=3)),
            "review": draw(st.booleans()),
            "votes": draw(st.sampled_from([1, 3, 5])),
        }
        if draw(st.booleans()):
            tasks.append(PriorityTask(**fields, priority=draw(st.integers(1, 9))))
        else:
            tasks.append(Task(**fields, priority=draw(st.integers(-9, 9))))
    return tasks


def fields_of(task: Task) -> dict[str, Any]:
    return {**task.model_dump(mode="json"), "class": type(task).__name__}


def write_csv(tasks: list[Task]) -> str:
    page = io.StringIO()
    writer = csv.DictWriter(page, [*Task.model_fields, "class"])
    writer.writeheader()
    for task in tasks:
        cells = fields_of(task)
        cells["data"] = "" if task.data is None else json.dumps(task.data)
        cells["required_skills"] = json.dumps(task.required_skills)
        cells["escalate"] = json.dumps(task.escalate)
        cells["depends_on"] = " ".join(map(str, task.depends_on))
        writer.writerow(cells)
    return page.getvalue()


def written(tasks: list[Task], ending: str) -> str:
    fields = [fields_of(task) for task in tasks]
    if ending == "csv":
        return write_csv(tasks)
    return json.dumps(fields) if ending == "json" else "\n".join(map(json.dumps, fields))


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
@given(tasks=task_lists())
def test_tasks_are_read_back_as_they_were_written(
    ending: str, tasks: list[Task], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"round-trip.{ending}"
    path.write_text(written(tasks, ending), encoding="utf-8", newline="")
    assert read_tasks(path) == tasks


def test_jsonl_holds_a_task_on_each_line(read: Read) -> None:
    text = '{"id": 1, "description": "a"}\n{"id": "b", "description": "b", "depends_on": [1]}\n'
    assert read("tasks.jsonl", text) == [
        Task(id=1, description="a"),
        Task(id="b", description="b", depends_on=(1,)),
    ]


@pytest.mark.parametrize(
    "text", ['[{"id": 1, "description": "a"}]', '{"tasks": [{"id": 1, "description": "a"}]}']
)
def test_json_is_a_list_or_an_object_with_one(read: Read, text: str) -> None:
    assert read("tasks.json", text) == [Task(id=1, description="a")]


def test_csv_cells_become_what_their_columns_hold(read: Read) -> None:
    text = (
        "id,description,difficulty,type,data,priority,depends_on,parent_id,timeout,max_attempts,expires_s\n"
        '1,"Weigh, twice",3,weigh,"{""kilos"": 2.5}",-1,,,1.5,2,60\n'
        "second, Sort ,,,,,,1,,,\n"
        "007,Pack,,,,,1; second,,,,\n"
    )
    assert read("tasks.csv", text) == [
        Task(
            id=1,
            description="Weigh, twice",
            difficulty=3,
            type="weigh",
            data={"kilos": 2.5},
            priority=-1,
            timeout=1.5,
            max_attempts=2,
            expires_s=60.0,
        ),
        Task(id="second", description=" Sort ", parent_id=1),
        Task(id="007", description="Pack", depends_on=(1, "second")),
    ]


def test_skills_and_ladders_are_written_in_cells_without_json(read: Read) -> None:
    text = (
        "id,description,required_skills,strict,escalate,review,votes,deadline\n"
        "1,a,vision=7; fine print = 4.5,yes,small; Ada Lovelace,true,3,60\n"
        "2,b,vision=7;,no,large,,,\n"
        "3,c,,,,,,\n"
    )
    assert read("tasks.csv", text) == [
        Task(
            id=1,
            description="a",
            required_skills={"vision": 7, "fine print": 4.5},
            strict=True,
            escalate=("small", "Ada Lovelace"),
            review=True,
            votes=3,
            deadline=60,
        ),
        Task(id=2, description="b", required_skills={"vision": 7}, escalate=("large",)),
        Task(id=3, description="c"),
    ]


def test_a_class_may_be_named_for_each_task(read: Read) -> None:
    text = "id,description,priority,class\n1,a,3,PriorityTask\n2,b,,\n"
    assert read("tasks.csv", text) == [
        PriorityTask(id=1, description="a", priority=3),
        Task(id=2, description="b"),
    ]


def test_a_class_of_the_users_own_brings_its_fields_along(read: Read) -> None:
    class Picking(Task):
        field_number: int

    text = "class,id,description,field_number\nPicking,1,a,4\n,2,b,\n".replace(
        "Picking", Picking.__qualname__
    )
    assert read("tasks.csv", text)[0] == Picking(id=1, description="a", field_number=4)


def test_a_dependency_may_stand_further_down(read: Read) -> None:
    tasks = read("tasks.csv", "id,description,depends_on\n1,a,2\n2,b,\n")
    assert tasks[0].depends_on == (2,)


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.json", "tasks.csv", "TASKS.JSONL"])
def test_a_byte_order_mark_and_windows_lines_are_no_matter(read: Read, name: str) -> None:
    texts = {
        "jsonl": '{"id": 1,\t"description": "é"}\r\n',
        "json": '[\r\n{"id": 1, "description": "é"}\r\n]\r\n',
        "csv": "id,description\r\n1,é\r\n",
    }
    content = b"\xef\xbb\xbf" + texts[name.lower().partition(".")[2]].encode()
    assert read(name, content) == [Task(id=1, description="é")]


def test_blank_lines_are_skipped(read: Read) -> None:
    assert len(read("tasks.jsonl", '\n\n{"id": 1, "description": "a"}\n \n\n')) == 1
    assert len(read("tasks.csv", "\nid,description\n\n1,a\n,\n\n")) == 1


def test_a_cell_may_hold_several_lines(read: Read) -> None:
    assert read("tasks.csv", 'id,description\n1,"a\nb"\n') == [Task(id=1, description="a\nb")]


def test_a_path_may_be_given_as_text(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("id,description\n1,a\n")
    assert read_tasks(str(tmp_path / "tasks.csv")) == [Task(id=1, description="a")]
