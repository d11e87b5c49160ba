"""What is said of files that can't be used: where, what, and by which rule."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.command import tasks_file, tasks_file_formats
from muster.agents.command.tasks_file import read_tasks
from muster.messages import InvalidInput, Task

Read = Callable[[str, str | bytes], list[Task]]
ProblemsOf = Callable[[str, str | bytes], list[str]]

FIELDS = (
    "id, description, difficulty, type, data, priority, depends_on, run_if, takes_output, "
    "parent_id, on_parent_cancel, timeout, max_attempts, retry, max_losses, not_before, expires_s, "
    "required_skills, strict, deadline, escalate, review, votes, limit_key, class"
)
ID_RULE = (
    "must be an integer above 0 (63 bits at most) "
    "or text that is not blank (200 characters at most)"
)


def jsonl(*rows: object) -> str:
    return "\n".join(map(json.dumps, rows))


# ------------------------------------------------------------------------ the file


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'.*no\.csv' can't be read: No such file or directory"):
        read_tasks(tmp_path / "no.csv")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidInput, match=r"'.*folder\.csv' is not a regular file"):
        read_tasks(tmp_path / "folder.csv")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InvalidInput, match="is not a regular file"):
        read_tasks(tmp_path / "pipe.csv")


def test_another_ending_names_those_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_tasks(tmp_path / "tasks.xlsx")
    assert str(caught.value).endswith(
        "has the extension '.xlsx'; it must be one of .jsonl, .json, .csv"
    )


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv"])
@pytest.mark.parametrize("content", ["", " \n\n", "\ufeff"])
def test_an_empty_file_holds_no_tasks(read: Read, name: str, content: str) -> None:
    with pytest.raises(InvalidInput, match=rf"'.*{name}' contains no tasks"):
        read(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.json", "[]"), ("t.json", '{"tasks": []}'), ("t.csv", "id,description\n")],
)
def test_a_file_of_no_tasks_holds_no_tasks(read: Read, name: str, content: str) -> None:
    with pytest.raises(InvalidInput, match="contains no tasks"):
        read(name, content)


def test_a_file_over_the_limit_is_not_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_file, "MAX_FILE_BYTES", 3)
    with pytest.raises(InvalidInput, match="has 4 bytes, the limit is 3; split it"):
        read("t.csv", "id,d")


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv"])
def test_bytes_that_are_not_utf8_are_told_with_their_line(
    problems_of: ProblemsOf, name: str
) -> None:
    texts = {
        "t.jsonl": '{"id": 1, "description": "a"}\n{"id": 2, "description": "é"}\n',
        "t.json": '[{"id": 1, "description": "a"},\n{"id": 2, "description": "é"}]',
        "t.csv": "id,description\n1,é\n",
    }
    assert problems_of(name, texts[name].encode("latin-1")) == [
        "line 2: the byte 0xe9 is not UTF-8; save the file as UTF-8"
    ]


# ------------------------------------------------------------------------ each task


def test_a_field_out_of_range_is_told_with_line_value_and_rule(problems_of: ProblemsOf) -> None:
    rows = ({"id": 1, "description": "a"}, {"id": 2, "description": "b", "difficulty": 11})
    expected = "difficulty: 11: must be an integer from 1 to 10"
    assert problems_of("t.jsonl", jsonl(*rows)) == [f"line 2: {expected}"]
    assert problems_of("t.json", json.dumps(rows, indent=1)) == [f"task 2 (line 6): {expected}"]


def test_a_csv_cell_is_told_as_it_stands_in_the_file(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description,difficulty\n1,a,hard\n") == [
        "line 2: difficulty: 'hard': must be an integer from 1 to 10"
    ]


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        (
            "required_skills",
            "vision",
            "'vision': 'vision' is not a name with a level; write vision=7",
        ),
        (
            "required_skills",
            "a=1; =3",
            "'a=1; =3': '=3' is not a name with a level; write vision=7",
        ),
        ("required_skills", "a=1;a=2", "'a=1;a=2': the skill 'a' is given twice"),
        (
            "required_skills",
            "a=1001",
            "'a=1001': the level is 1001; it must be from 0 to 1,000",
        ),
        (
            "required_skills",
            "a=nan",
            "'a=nan': 'a=nan' is not a name with a level; write vision=7",
        ),
        ("required_skills", "{7}", "'{7}': not JSON: line 1, column 2: Expecting property name"),
        ("votes", "2", "2: must be 1, 3, 5, 7 or 9, so that votes have a majority"),
        ("votes", "many", "'many': must be 1, 3, 5, 7 or 9, so that votes have a majority"),
        ("deadline", "0", "'0': Input should be greater than 0"),
        (
            "escalate",
            ";".join("abcdefghijklmnopqrstu"),
            "['a', 'b', ",
        ),
    ],
)
def test_a_cell_of_the_wrong_form_is_told_with_an_example(
    problems_of: ProblemsOf, column: str, cell: str, told: str
) -> None:
    (problem,) = problems_of("t.csv", f"id,description,{column}\n1,a,{cell}\n")
    assert problem.startswith(f"line 2: {column}: {told}")


def test_an_id_out_of_range_is_told_once(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description\n-1,a\n") == [f"line 2: id: -1: {ID_RULE}"]
    assert problems_of("t.jsonl", '{"id": 1.5, "description": "a"}') == [
        f"line 1: id: 1.5: {ID_RULE}"
    ]


def test_an_id_in_a_list_is_told_with_its_place(problems_of: ProblemsOf) -> None:
    row = {"id": 1, "description": "a", "depends_on": ["x", None]}
    assert problems_of("t.jsonl", jsonl(row)) == [f"line 1: depends_on[1]: None: {ID_RULE}"]


def test_an_unknown_field_names_the_nearest_and_all_known(problems_of: ProblemsOf) -> None:
    row = {"id": 1, "description": "a", "dificulty": 3}
    assert problems_of("t.jsonl", jsonl(row)) == [
        f"line 1: there is no field 'dificulty'; did you mean 'difficulty'? known: {FIELDS}"
    ]


def test_an_unknown_field_like_no_other_names_all_known(problems_of: ProblemsOf) -> None:
    row = {"id": 1, "description": "a", "zzz": 3}
    assert problems_of("t.jsonl", jsonl(row)) == [
        f"line 1: there is no field 'zzz'; known: {FIELDS}"
    ]


def test_a_class_that_nobody_imported_is_told(problems_of: ProblemsOf) -> None:
    expected = "must name an imported task class, such as 'PriorityTask'"
    row = {"id": 1, "description": "a", "class": "Nowhere"}
    assert problems_of("t.jsonl", jsonl(row)) == [f"line 1: class: 'Nowhere': {expected}"]
    row["class"] = 3
    assert problems_of("t.jsonl", jsonl(row)) == [f"line 1: class: 3: {expected}"]


def test_the_rules_of_the_named_class_hold(problems_of: ProblemsOf) -> None:
    row = {"id": 1, "description": "a", "class": "PriorityTask"}
    assert problems_of("t.jsonl", jsonl(row)) == ["line 1: priority: missing; every task needs it"]


def test_a_class_whose_validator_breaks_is_a_problem_of_its_line(problems_of: ProblemsOf) -> None:
    class Brittle(Task):
        @classmethod
        def model_validate(cls, *_args: object, **_options: object) -> Brittle:
            raise ZeroDivisionError("oops")

    row = {"id": 1, "description": "a", "class": Brittle.__qualname__}
    assert problems_of("t.jsonl", jsonl(row)) == ["line 1: Brittle: ZeroDivisionError: oops"]


def test_data_that_can_not_travel_is_told_with_its_line(problems_of: ProblemsOf) -> None:
    row = {"id": 1, "description": "a", "data": {"x": 2**64}}
    (problem,) = problems_of("t.jsonl", jsonl(row))
    assert problem.startswith("line 1: TaskAssignment of task 1 can't be sent: ")
    assert "18446744073709551616" in problem


# ------------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{'id': 1}", "column 2: not JSON: Expecting property name enclosed in double quotes"),
        ('{"id": 1', "column 9: not JSON: Expecting ',' delimiter"),
        ('{"id": 1} {"id": 2}', "column 11: not JSON: there is more text after its end"),
        ('{"id": NaN}', "column 8: not JSON: NaN is not a JSON number"),
        ('{"id": 1, "id": 2}', "column 11: not JSON: an object has the name 'id' twice"),
        ("[1]", "[1]: must be an object with the fields of a task"),
        ("[" * 100_000, "column 1: not JSON: it is nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_told(
    problems_of: ProblemsOf, line: str, expected: str
) -> None:
    good = '{"id": 7, "description": "a"}'
    assert problems_of("t.jsonl", f"{good}\n{line}\n") == [f"line 2: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[\n{]", "line 2, column 2: not JSON: Expecting property name enclosed in double quotes"),
        ("[\n", "line 2, column 1: not JSON: Expecting value"),
        ('[{"id": 1, "description": "a"}', "line 1, column 31: not JSON: expected ',' or ']'"),
        ("[]\n[]", "line 2, column 1: not JSON: there is more text after its end"),
        (
            "\n\n3",
            (
                "line 3, column 1: not JSON: "
                "expected a list of tasks, or an object with the field 'tasks'"
            ),
        ),
        ("{}", "line 1, column 2: not JSON: expected the field 'tasks'"),
        ('{"task": []}', "line 1, column 2: not JSON: expected the field 'tasks'"),
        ('{"tasks" []}', "line 1, column 10: not JSON: expected ':'"),
        (
            '{"tasks": [], "x": 1}',
            "line 1, column 13: not JSON: expected '}', since 'tasks' must be the only field",
        ),
        ('[\n\n\n{"a": NaN}]', "line 4, column 7: not JSON: NaN is not a JSON number"),
        ("[\n" + "[" * 100_000, "line 2, column 1: not JSON: it is nested too deeply"),
        ("[1]", "task 1 (line 1): 1: must be an object with the fields of a task"),
    ],
)
def test_json_that_is_no_list_of_tasks_is_told_with_its_line(
    problems_of: ProblemsOf, text: str, expected: str
) -> None:
    assert problems_of("t.json", text) == [expected]


def test_a_line_too_long_for_any_task_is_told(
    problems_of: ProblemsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks_file_formats, "MAX_MESSAGE_BYTES", 1000)
    assert problems_of("t.jsonl", " " * 1000) == ["line 1: over 1,000 bytes, too long for a task"]


# ------------------------------------------------------------------------ CSV


def test_all_problems_of_a_header_are_told(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,Description,id\n1,a,1\n") == [
        f"line 1: there is no field 'Description'; did you mean 'description'? known: {FIELDS}",
        "line 1: there are two columns 'id'",
    ]


def test_a_row_of_another_length_than_the_header_is_told(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description\n1,a,b\n2\n3,c\n") == [
        "line 2: 3 cells, but the header has 2",
        "line 3: 1 cells, but the header has 2",
    ]


def test_a_row_behind_a_cell_of_several_lines_has_the_right_line(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of("t.csv", 'id,description\n1,"a\nb\nc"\n0,d\n')
    assert problem.startswith("line 5: id: 0: must be")


def test_a_quote_that_is_never_closed_is_told_where_it_begins(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", 'id,description\n1,a\n2,"b\n3,c\n') == [
        "line 3: not CSV: unexpected end of data"
    ]


def test_data_that_is_not_json_is_told(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of("t.csv", "id,description,data\n1,a,{x}\n")
    assert problem.startswith(
        "line 2: data: '{x}': not JSON: line 1, column 2: Expecting property name"
    )
    assert problem.endswith("write a text that looks like this as JSON, in double quotes")


def test_a_cell_too_large_for_csv_names_the_way_out(problems_of: ProblemsOf) -> None:
    text = "id,description,data\n1,a," + "1" * 200_000
    assert problems_of("t.csv", text) == [
        "line 2: a cell has over 131,072 characters; use a .jsonl file for data of that size"
    ]


def test_a_column_that_only_some_classes_have_is_told_where_it_is_filled(
    problems_of: ProblemsOf,
) -> None:
    text = "id,description,class,kilos\n1,a,,\n2,b,,5\n"
    assert problems_of("t.csv", text) == [f"line 3: there is no field 'kilos'; known: {FIELDS}"]


# ------------------------------------------------------------------------ tasks among themselves


def test_an_id_that_stands_twice_names_both_lines(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description\n1,a\n2,b\n1,c\n") == [
        "line 4: id: 1: the task of line 2 has this id too"
    ]


def test_the_number_1_and_the_text_1_are_two_ids(read: Read) -> None:
    rows = ({"id": 1, "description": "a"}, {"id": "1", "description": "b"})
    assert [task.id for task in read("t.jsonl", jsonl(*rows))] == [1, "1"]


def test_a_dependency_that_nobody_is_is_told_with_its_line(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description,depends_on,parent_id\n1,a,9,\n2,b,1,x\n") == [
        "line 2: depends_on: 9: no task of this file has this id",
        "line 3: parent_id: 'x': no task of this file has this id",
    ]


def test_an_id_of_the_other_kind_is_suggested(problems_of: ProblemsOf) -> None:
    rows = (
        {"id": 1, "description": "a", "depends_on": ["2"]},
        {"id": 2, "description": "b", "depends_on": [3]},
        {"id": "3", "description": "c"},
    )
    assert problems_of("t.jsonl", jsonl(*rows)) == [
        "line 1: depends_on: '2': no task of this file has this id; did you mean 2?",
        "line 2: depends_on: 3: no task of this file has this id; did you mean '3'?",
    ]


def test_a_task_that_is_wrong_itself_is_no_unknown_dependency(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of("t.csv", "id,description,difficulty,depends_on\n1,a,99,\n2,b,1,1\n")
    assert problem.startswith("line 2: difficulty: '99'")


def test_a_circle_is_told_with_all_its_lines(problems_of: ProblemsOf) -> None:
    text = "id,description,depends_on\n1,a,\n2,b,1 4\n3,c,2\n4,d,3\n"
    (problem,) = problems_of("t.csv", text)
    assert problem in {
        f"depends_on: the tasks form a cycle: {circle}"
        for circle in (
            "2 (line 3) -> 4 (line 5) -> 3 (line 4) -> 2",
            "4 (line 5) -> 3 (line 4) -> 2 (line 3) -> 4",
            "3 (line 4) -> 2 (line 3) -> 4 (line 5) -> 3",
        )
    }


def test_a_task_that_waits_for_itself_is_a_circle(problems_of: ProblemsOf) -> None:
    assert problems_of("t.csv", "id,description,depends_on\n1,a,1\n") == [
        "depends_on: the tasks form a cycle: 1 (line 2) -> 1"
    ]


def test_each_circle_is_told(problems_of: ProblemsOf) -> None:
    text = "id,description,depends_on\n1,a,2\n2,b,1\n3,c,4\n4,d,3\n"
    assert len(problems_of("t.csv", text)) == 2


def test_a_long_circle_is_told_in_part(problems_of: ProblemsOf) -> None:
    rows = [f"{number},a,{number % 2_000 + 1}" for number in range(1, 2_001)]
    (problem,) = problems_of("t.csv", "id,description,depends_on\n" + "\n".join(rows))
    assert " -> 1,992 more -> " in problem


# ------------------------------------------------------------------------ all at once


def test_all_problems_are_told_at_once(read: Read, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        read("t.csv", "id,description,votes,depends_on\n0,a,,\n1,,2,\n2,c,,8\n")
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 't.csv'}: 3 problems:",
        f"  line 2: id: 0: {ID_RULE}",
        "  line 3: votes: 2: must be 1, 3, 5, 7 or 9, so that votes have a majority",
        "  line 4: depends_on: 8: no task of this file has this id",
    ]


def test_of_many_problems_the_first_ten_are_told(read: Read) -> None:
    with pytest.raises(InvalidInput) as caught:
        read("t.csv", "id,description\n" + "0,a\n" * 1000)
    headline, *told = str(caught.value).splitlines()
    assert headline.endswith(": the first 10 problems:")
    assert told[9].startswith("  line 11: id: 0:")
    assert len(told) == 10


@pytest.mark.parametrize("name", ["fuzz.jsonl", "fuzz.json", "fuzz.csv"])
@given(content=st.binary(max_size=80) | st.text('[]{}":,\n\r0aé;\\', max_size=40).map(str.encode))
def test_no_content_raises_anything_but_invalid_input(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    # Some of it is a task, such as {}.
    with contextlib.suppress(InvalidInput):
        read_tasks(path)
