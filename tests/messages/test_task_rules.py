"""What a task may look like, and in which words it is refused."""

from __future__ import annotations

from types import SimpleNamespace

import jsonschema
import pytest
from muster.messages import PriorityTask, Task, TaskResult, validate_task
from muster.messages.wording import summarize
from pydantic import BaseModel, ValidationError

ID_RULE = (
    "must be an integer above 0 (63 bits at most) "
    "or text that is not blank (200 characters at most)"
)


def _refusal(model: type[BaseModel], **fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return summarize(caught.value)


BAD_IDS = [
    (0, "0"),
    (-1, "-1"),
    (2**63, "9223372036854775808"),
    (True, "True"),
    (1.0, "1.0"),
    (None, "None"),
    (b"a", "b'a'"),
    ("", "''"),
    (" \t", "' \\t'"),
]


@pytest.mark.parametrize(("bad_id", "shown"), BAD_IDS)
def test_a_bad_id_is_refused_once_with_field_value_and_rule(bad_id: object, shown: str) -> None:
    assert _refusal(Task, id=bad_id, description="d") == f"id: {shown}: {ID_RULE}"


def test_an_id_of_more_than_200_characters_is_refused() -> None:
    assert _refusal(Task, id="x" * 201, description="d").endswith(ID_RULE)


@pytest.mark.parametrize("good_id", [1, 2**63 - 1, "a", " padded ", "x" * 200, "0"])
def test_a_good_id_is_kept_as_it_is(good_id: int | str) -> None:
    kept = Task(id=good_id, description="d").id
    assert (kept, type(kept)) == (good_id, type(good_id))


def test_a_result_of_a_bad_task_id_is_refused_in_the_same_words() -> None:
    said = _refusal(TaskResult, task_id=0, worker="Asha", success=True)
    assert said == f"task_id: 0: {ID_RULE}"


def test_a_bad_dependency_is_named_by_its_place() -> None:
    said = _refusal(Task, id=1, description="d", depends_on=[1, " "])
    assert said == f"depends_on.1: ' ': {ID_RULE}"


def test_a_bad_parent_is_refused_in_the_words_of_an_id() -> None:
    assert _refusal(Task, id=1, description="d", parent_id=0) == f"parent_id: 0: {ID_RULE}"


def test_a_blank_description_is_refused_in_plain_words() -> None:
    said = _refusal(Task, id=1, description="  ")
    assert said == "description: '  ': must be text that is not blank, 10,000 characters at most"


@pytest.mark.parametrize("difficulty", [0, 11, "hard", 2.5, None])
def test_a_bad_difficulty_is_refused_in_plain_words(difficulty: object) -> None:
    said = _refusal(Task, id=1, description="d", difficulty=difficulty)
    assert said == f"difficulty: {difficulty!r}: must be an integer from 1 to 10"


def test_a_difficulty_assigned_later_keeps_the_rule() -> None:
    task = Task(id=1, description="d")
    with pytest.raises(ValidationError, match="must be an integer from 1 to 10"):
        task.difficulty = 11


def test_each_broken_rule_is_told() -> None:
    said = _refusal(Task, id=0, description="", difficulty=11)
    assert [part.split(":")[0] for part in said.split("; ")] == ["id", "description", "difficulty"]


def test_an_unknown_field_is_named() -> None:
    assert _refusal(Task, id=1, description="d", urgency=3).startswith("urgency: 3: ")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    assert _refusal(Task, id=1, description="d", timeout=timeout).startswith("timeout: ")


def test_a_priority_task_takes_less_time_the_more_urgent_it_is() -> None:
    task = PriorityTask(id=1, description="d", difficulty=6, priority=3)
    assert task.get_processing_time() == 2.0


def test_a_priority_task_of_no_priority_is_refused() -> None:
    assert _refusal(PriorityTask, id=1, description="d", priority=0).startswith("priority: 0: ")


@pytest.mark.parametrize(
    ("document", "fits"),
    [
        ({"id": 1, "description": "d"}, True),
        ({"id": "a", "description": "d", "depends_on": ["b", 2]}, True),
        ({"id": 0, "description": "d"}, False),
        ({"id": " ", "description": "d"}, False),
        ({"id": 1, "description": "d", "difficulty": 11}, False),
    ],
)
def test_the_json_schema_tells_the_same_rules(document: dict[str, object], fits: bool) -> None:
    assert jsonschema.Draft202012Validator(Task.model_json_schema()).is_valid(document) is fits


def test_an_accepted_task_validates() -> None:
    assert Task(id=1, description="d", difficulty=10).validate() is True


def test_a_task_forced_past_the_checks_does_not_validate() -> None:
    assert Task.model_construct(id=1, description="d", difficulty=11).validate() is False


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({"id": 1, "description": "d", "difficulty": 1}, True),
        ({"id": "a", "description": "d", "difficulty": 10}, True),
        ({"id": 0, "description": "d", "difficulty": 1}, False),
        ({"id": 2**63, "description": "d", "difficulty": 1}, False),
        ({"id": True, "description": "d", "difficulty": 1}, False),
        ({"id": " ", "description": "d", "difficulty": 1}, False),
        ({"id": "x" * 201, "description": "d", "difficulty": 1}, False),
        ({"id": None, "description": "d", "difficulty": 1}, False),
        ({"id": 1, "description": " ", "difficulty": 1}, False),
        ({"id": 1, "description": None, "difficulty": 1}, False),
        ({"id": 1, "description": "d", "difficulty": 0}, False),
        ({"id": 1, "description": "d", "difficulty": 11}, False),
        ({"id": 1, "description": "d", "difficulty": "5"}, False),
        ({"id": 1, "description": "d", "difficulty": float("nan")}, False),
        ({"id": [], "description": [], "difficulty": []}, False),
        ({}, False),
    ],
)
def test_validate_task_judges_whatever_looks_like_a_task(
    fields: dict[str, object], valid: bool
) -> None:
    assert validate_task(SimpleNamespace(**fields)) is valid
