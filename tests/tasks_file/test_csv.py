"""CSV as people and their programs write it: delimiters, text as data, ids in cells, no ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from muster.messages import Task, TaskId

Read = Callable[[str, str | bytes], list[Task]]
ProblemsOf = Callable[[str, str | bytes], list[str]]

EXPECTED = [
    Task(id=1, description="fetch", type="fetch", data="a, b; c\td", priority=2),
    Task(id="page 7", description="read it", type="read", depends_on=(1,)),
]


HEADER = ("id", "type", "data", "priority", "depends_on", "description")
FIRST = ("1", "fetch", '"a, b; c\td"', "2", "", "")
SECOND = ("page 7", "read", "", "", "1", "read it")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("before", "between", "after"),
    [("", "\n", "\n"), ("\ufeff", "\r\n", "\r\n"), ("\n \n", "\n\n", "")],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_the_delimiter_is_found_in_the_header(
    read: Read, delimiter: str, before: str, between: str, after: str, quote: str
) -> None:
    header = [f"{quote}{name}{quote}" for name in HEADER]
    lines = [delimiter.join(cells) for cells in (header, FIRST, SECOND)]
    assert read("t.csv", before + between.join(lines) + after) == EXPECTED


def test_one_column_needs_no_delimiter(read: Read) -> None:
    assert [task.type for task in read("t.csv", "type\nfetch\nread\n")] == ["fetch", "read"]


@pytest.mark.parametrize(
    ("cell", "data"),
    [
        ("hello", "hello"),
        ("  hello world ", "hello world"),
        ("it's", "it's"),
        ("1,9", "1,9"),
        ("007", "007"),
        ("2026-11-29", "2026-11-29"),
        ("https://example.org/?a=1", "https://example.org/?a=1"),
        ("nan", "nan"),
        ("two\nlines", "two\nlines"),
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("null", None),
        ('"12"', "12"),
        ('{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_data_is_json_or_else_text(read: Read, cell: str, data: Any) -> None:
    quoted = cell.replace('"', '""')
    assert read("t.csv", f'id,data\n1,"{quoted}"\n')[0].data == data


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("{a: 1}", "Expecting property name enclosed in double quotes"),
        ("[1, 2", "Expecting ',' delimiter"),
        ("NaN", "NaN is not a JSON number"),
        ("-Infinity", "-Infinity is not a JSON number"),
        ("1e400", "the number 1e400 is too large"),
        ('{"a": 1, "a": 2}', "an object has the name 'a' twice"),
    ],
)
def test_data_that_was_meant_as_json_must_be_json(
    problems_of: ProblemsOf, cell: str, reason: str
) -> None:
    quoted = cell.replace('"', '""')
    (problem,) = problems_of("t.csv", f'id,data\n1,"{quoted}"\n')
    assert problem.startswith("line 2: data: ")
    assert reason in problem
    assert problem.endswith("or write a text that looks like this as JSON, in double quotes")


@pytest.mark.parametrize(
    ("cell", "needed"),
    [
        ("1,9", (1, 9)),
        ("1;9", (1, 9)),
        ("1 9", (1, 9)),
        (" 1 ,  9; ", (1, 9)),
        ("1\n9", (1, 9)),
        ("page 7", ("page 7",)),
        ("page 7, 9", ("page 7", 9)),
        ("9; page 7;a,b", (9, "page 7", "a,b")),
        ("a,b", ("a,b",)),
        ("", ()),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_ids_are_separated_by_whatever_is_no_part_of_an_id(
    read: Read, delimiter: str, cell: str, needed: tuple[TaskId, ...]
) -> None:
    rows = [("id", "depends_on"), ("last", cell), ("1", ""), ("9", ""), ("page 7", ""), ("a,b", "")]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    assert read("t.csv", text)[0].depends_on == needed


@pytest.mark.parametrize(
    "text", ["1,slow,7\n2,slow,8\n", "id|type|data\n1|slow|7\n", "Task No\n1\n"]
)
def test_a_file_without_a_header_that_is_known_is_told_what_to_write(
    problems_of: ProblemsOf, text: str
) -> None:
    (problem,) = problems_of("t.csv", text)
    assert problem.startswith("line 1: none of '")
    assert "the first line must name the columns" in problem
    assert "such as id,type,data" in problem


# ------------------------------------------------------------------------ without ids


OBJECTS = [f'{{"type": "slow", "data": {data}}}' for data in (1, 2, 1)]
WITHOUT_IDS = {
    "t.csv": "type,data\nslow,1\nslow,2\nslow,1\n",
    "t.json": f"[{','.join(OBJECTS)}]",
    "t.jsonl": "\n".join(OBJECTS),
}


@pytest.mark.parametrize("name", WITHOUT_IDS)
def test_tasks_without_ids_and_descriptions_get_both(read: Read, name: str) -> None:
    tasks = read(name, WITHOUT_IDS[name])
    assert [(task.type, task.data, task.description) for task in tasks] == [
        ("slow", 1, "slow"),
        ("slow", 2, "slow"),
        ("slow", 1, "slow"),
    ]
    assert len({task.id for task in tasks}) == 3


@pytest.mark.parametrize("name", WITHOUT_IDS)
def test_the_same_file_gives_the_same_ids_so_that_a_restarted_run_knows_its_tasks(
    read: Read, name: str
) -> None:
    first, again = read(name, WITHOUT_IDS[name]), read(name, WITHOUT_IDS[name])
    assert first == again


def test_a_line_that_is_added_leaves_the_ids_of_the_others(read: Read) -> None:
    before = read("t.csv", "type,data\nslow,1\nslow,2\n")
    after = read("t.csv", "type,data\nslow,3\nslow,1\nslow,2\n")
    assert after[1:] == before
