"""Skills files are merged and forgotten by worker and type, shown as a table, and read again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from muster.agents.kernel.matching.scorecards.scorecard_file import SkillsFile, read_skills_file
from muster.agents.skills.editing import forget_skills, merge_skills
from muster.agents.skills.policy_skills import content_of
from muster.agents.skills.skills_file import parse_skills, skills_text
from muster.agents.skills.table import make_table, table_lines
from muster.messages import UnknownName


def skills(**workers: dict[str, int]) -> SkillsFile:
    """Workers with types and their numbers of results."""
    return read_skills_file(
        {
            "format": "muster-skills",
            "version": 1,
            "workers": {
                name: {"types": {kind: {"results": count} for kind, count in types.items()}}
                for name, types in workers.items()
            },
        }
    )


def counts(known: SkillsFile) -> dict[str, dict[str, int]]:
    return {
        name: {kind: cell.results for kind, cell in section.types.items()}
        for name, section in known.workers.items()
    }


@pytest.mark.parametrize(
    ("known", "added", "merged"),
    [
        ({}, {"Ada": {"t": 1}}, {"Ada": {"t": 1}}),
        ({"Ada": {"t": 1}}, {}, {"Ada": {"t": 1}}),
        ({"Ada": {"t": 5}}, {"Ada": {"t": 3}}, {"Ada": {"t": 5}}),
        ({"Ada": {"t": 3}}, {"Ada": {"t": 5}}, {"Ada": {"t": 5}}),
        (
            {"Ada": {"t": 3, "u": 9}},
            {"Ada": {"t": 5, "v": 1}, "Ben": {"t": 2}},
            {"Ada": {"t": 5, "u": 9, "v": 1}, "Ben": {"t": 2}},
        ),
    ],
)
def test_of_each_worker_and_type_the_one_with_more_results_counts(
    known: Any, added: Any, merged: Any
) -> None:
    assert counts(merge_skills(skills(**known), skills(**added))) == merged


@pytest.mark.parametrize(
    ("worker", "task_type", "left"),
    [
        (None, None, {}),
        ("Ada", None, {"Ben": {"t": 3}}),
        (None, "t", {"Ada": {"u": 2}, "Ben": {}}),
        ("Ada", "t", {"Ada": {"u": 2}, "Ben": {"t": 3}}),
    ],
)
def test_a_worker_a_type_or_all_is_forgotten(worker: Any, task_type: Any, left: Any) -> None:
    known = skills(Ada={"t": 1, "u": 2}, Ben={"t": 3})
    assert counts(forget_skills(known, worker, task_type)) == left


@pytest.mark.parametrize(
    ("worker", "task_type", "words"),
    [
        ("Zoe", None, "there is no worker with skills 'Zoe'; known: Ada"),
        (None, "x", "there is no type with results 'x'; known: t"),
        ("Ada", "x", "there is no type with results 'x'; known: t"),
    ],
)
def test_what_is_not_known_cannot_be_forgotten(worker: Any, task_type: Any, words: str) -> None:
    with pytest.raises(UnknownName) as refused:
        forget_skills(skills(Ada={"t": 1}), worker, task_type)
    assert str(refused.value) == words


def test_the_text_of_a_skills_file_is_json_with_a_line_for_each_type() -> None:
    known = skills(Ada={"t": 1, "u ☂": 2}, Ben={"t": 3})
    text = skills_text(content_of(known))
    assert parse_skills(text.encode()) == json.loads(text)
    assert read_skills_file(json.loads(text)) == known
    assert sum('"results"' in line for line in text.splitlines()) == 3
    empty = skills_text(content_of(SkillsFile()))
    assert read_skills_file(json.loads(empty)) == SkillsFile()


def test_the_table_has_a_line_for_each_worker_and_type_and_hides_what_harms_a_terminal() -> None:
    cell = {
        "skill": 6.94,
        "deviation": 0.81,
        "results": 1200,
        "successes": 900.0,
        "expected_s": 2.5,
        "costs": [10.0, 2.5],
    }
    broken = {"breaker": {"reason": "ValueError, 3 times in a row"}, "skill": 1.0}
    content = {
        "format": "muster-skills",
        "version": 1,
        "workers": {
            "Zoe": {"types": {"": {}}, "skills": {"vision": cell}},
            "Ada \x1b[2J": {"types": {"text": cell, "x\n": broken}},
        },
    }
    broken_line = r"Ada \x1b[2J  x             1.0 ± 1.0        0        -      -     -"
    assert list(table_lines(make_table(read_skills_file(content)))) == [
        "worker       type              skill  results  success   pace  cost",
        r"Ada \x1b[2J  text          6.9 ± 0.8    1,200      75%  2.5 s  0.25",
        f"{broken_line}  broken: ValueError, 3 times in a row",
        "Zoe          (no type)     5.5 ± 1.0        0        -      -     -",
        "Zoe          skill vision  6.9 ± 0.8    1,200      75%  2.5 s  0.25",
    ]
    assert list(table_lines(make_table(SkillsFile()))) == ["no skills are known yet"]
