"""Data are checked by a JSON schema from elsewhere: within bounds, and never more than it says."""

from __future__ import annotations

from typing import Any

import pytest
from muster.agents.execution.json_schema import SchemaCheck
from muster.messages import InvalidInput, WrongCall

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "minLength": 1},
        "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 10},
        "rate": {"type": ["number", "null"], "default": 0.5},
        "mode": {"enum": ["fast", "slow"]},
        "tree": {"$ref": "#/$defs/Tree"},
        "either": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
        }
    },
}


@pytest.mark.parametrize(
    "given",
    [
        {"path": "a", "count": 9, "rate": None, "mode": "slow"},
        {"path": "a", "count": 2.0, "rate": 1, "either": True},
        {"path": "a", "either": ["x"], "tree": {"kids": [{"kids": []}, {"other": 1}]}},
    ],
)
def test_what_the_schema_allows_is_taken(given: dict[str, Any]) -> None:
    SchemaCheck("files.read", SCHEMA).check(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "files.read needs 'path'; it takes path: string, count: integer (optional)"),
        ({"path": "a", "pth": 1, "x": 2}, "has no parameter 'pth', 'x'; it takes"),
        ({"path": ""}, "path: '': String should have at least 1 character"),
        ({"path": 3}, "path: 3: Input should be a valid string"),
        ({"path": "a", "count": 0}, "count: 0: Input should be greater than or equal to 1"),
        ({"path": "a", "count": 10}, "less than 10"),
        ({"path": "a", "count": True}, "count: True: Input should be a valid integer"),
        ({"path": "a", "count": "3"}, "count: '3': Input should be a valid integer"),
        ({"path": "a", "rate": "x"}, "rate: 'x': Input should be a valid number"),
        ({"path": "a", "mode": "odd"}, "Input should be 'fast' or 'slow'"),
        ({"path": "a", "tree": {"kids": [{"kids": 3}]}}, "tree.kids.0.kids: 3"),
        ({"path": "a", "either": [1]}, "either.array.0: 1: Input should be a valid string"),
        (["a"], "gets its arguments by name, as an object, not ['a']"),
    ],
)
def test_each_fault_is_told_by_name(given: Any, told: str) -> None:
    with pytest.raises(WrongCall) as raised:
        SchemaCheck("files.read", SCHEMA).check(given)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "array"}, "type is 'array'; it must be 'object'"),
        ({"properties": 3}, "properties is 3; it must be an object"),
        ({"properties": {"a": {"type": "text"}}}, "properties/a/type is 'text'; it must be one of"),
        ({"properties": {"a": {"$ref": "http://example.org/x"}}}, "only what stands in the schema"),
        ({"properties": {"a": {"$ref": "#/$defs/No"}}}, "there is no such place in the schema"),
        ({"properties": {"a": {"enum": []}}}, "it must name a value"),
        ({"properties": {"a": {"type": "string", "minLength": -1}}}, "an integer from 0"),
        ({"required": "a"}, "required is 'a'; it must be a list"),
        ({"required": [1]}, "it must be a list of names"),
    ],
)
def test_a_schema_that_can_not_be_is_refused(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        SchemaCheck("x", schema)
    assert told in str(raised.value)


def test_a_schema_without_end_and_an_evil_pattern_cost_nothing() -> None:
    twice = {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}
    evil = {
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "string", "pattern": "(a+)+$"}},
        "$defs": {"A": {"type": "object", "properties": {"x": twice, "y": twice}}},
    }
    SchemaCheck("x", evil).check({"a": {"x": {}}, "b": "a" * 50 + "!"})
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(2_000):
        deep = {"type": "array", "items": deep}
    SchemaCheck("x", {"properties": {"a": deep}}).check({"a": []})
