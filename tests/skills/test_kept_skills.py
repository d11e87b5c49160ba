"""`TaskManager(skills=…)`: what workers have shown outlives the run."""

from __future__ import annotations

import asyncio
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager, rehearse, run_in_virtual_time
from muster.agents.manager import kept_skills
from muster.agents.skills.skills_file import read_skills, skills_text
from muster.messages import InvalidInput

from .conftest import TRUE_SKILLS, results_of, run, tasks, worker


def test_a_file_that_does_not_exist_is_made_at_the_end_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "skills.json"
    manager = run(skills=path)
    assert sum(results_of(read_skills(path)).values()) == 30
    assert read_skills(path) == manager.export_skills()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["skills.json"]


def test_managers_one_after_the_other_share_what_was_learned(tmp_path: Path) -> None:
    path = tmp_path / "skills.json"
    results: list[int] = []
    deviations: list[float] = []
    for _ in range(3):
        run(skills=path)
        content: Any = read_skills(path)
        results.append(sum(results_of(content).values()))
        deviations.append(content["workers"]["Ada"]["types"]["text"]["deviation"])
    assert results == [30, 60, 90]
    assert deviations[0] > deviations[1] > deviations[2]


def test_the_content_may_be_given_in_place_of_a_file() -> None:
    first = run()
    content = first.export_skills()
    second = run(skills=content)
    assert sum(results_of(second.export_skills()).values()) == 60
    assert content == first.export_skills()


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "shared" / "skills.json"
    target.parent.mkdir()
    link = tmp_path / "link.json"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("links are not permitted here")
    run(4, skills=link)
    target.chmod(0o640)
    run(4, skills=link)
    assert link.is_symlink()
    assert sum(results_of(read_skills(target)).values()) == 8
    if os.name == "posix":
        assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_they_are_saved_while_the_run_goes_on_and_when_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "skills.json"

    async def play() -> tuple[int, int]:
        manager = TaskManager(tasks(200), 2, quiet=True, policy="adaptive", skills=path)
        rehearsal = asyncio.ensure_future(rehearse(manager, [worker(name) for name in TRUE_SKILLS]))
        await asyncio.sleep(kept_skills.SAVE_EVERY_S + 10)
        while not path.exists():
            await asyncio.sleep(0.1)
        before = sum(results_of(read_skills(path)).values())
        await manager.stop()
        await rehearsal
        return before, sum(results_of(read_skills(path)).values())

    before, after = run_in_virtual_time(play())
    assert 40 < before < after < 100


def test_a_run_whose_skills_cannot_be_saved_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()

    async def play() -> TaskManager:
        manager = TaskManager(
            tasks(4), 2, quiet=True, policy="adaptive", skills=folder / "skills.json"
        )
        folder.rmdir()
        await rehearse(manager, [worker(name) for name in TRUE_SKILLS])
        return manager

    assert run_in_virtual_time(play()).board.has_ended


def filed(**changes: Any) -> dict[str, Any]:
    cell = {"skill": 7.0, "deviation": 1.0, "results": 3, "successes": 2.0}
    worker_ = {"types": {"text": {**cell, **changes.pop("cell", {})}}, **changes.pop("worker", {})}
    return {"format": "muster-skills", "version": 1, "workers": {"Ada": worker_}, **changes}


BAD = [
    ({}, ["format", "None"]),
    (filed(format="skills"), ["format", "'skills'"]),
    (filed(version=2), ["version", "2"]),
    (filed(version="1"), ["version", "'1'"]),
    (filed(version=True), ["version", "True"]),
    (filed(owner="me"), ["owner", "'me'"]),
    (filed(worker={"rank": 1}), ["workers.Ada.rank", "1"]),
    (filed(cell={"luck": 1}), ["workers.Ada.types.text.luck", "1"]),
    (filed(cell={"skill": math.nan}), ["workers.Ada.types.text.skill", "nan"]),
    (filed(cell={"skill": math.inf}), ["workers.Ada.types.text.skill", "inf"]),
    (filed(cell={"skill": "7"}), ["workers.Ada.types.text.skill", "'7'"]),
    (filed(cell={"deviation": 0.0}), ["workers.Ada.types.text.deviation", "0.0"]),
    (filed(cell={"results": -1}), ["workers.Ada.types.text.results", "-1"]),
    (filed(cell={"expected_s": -1.0}), ["workers.Ada.types.text.expected_s", "-1.0"]),
    (filed(workers=[1]), ["workers", "[1]"]),
]


_NOT_FINITE = {"nan", "inf"}


@pytest.mark.parametrize(("content", "words"), BAD, ids=str)
def test_bad_content_is_refused_at_the_call_with_its_place_and_value(
    content: Any, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "skills.json"
    path.write_text(json.dumps(content))
    for given, named in ((path, [str(path)]), (content, [])):
        with pytest.raises(InvalidInput) as refused:
            TaskManager(policy="adaptive", skills=given)
        # No file has such a number.
        told = ["is not a JSON number"] if given is path and _NOT_FINITE & set(words) else words
        for word in (*told, *named):
            assert word in str(refused.value)
    assert json.dumps(content) == path.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[]", r"\[\] is no skills file; it must be an object"),
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"format": 1, "format": 2}', "line 1, column 15: an object has the name 'format' twice"),
    ],
    ids=["a list", "empty", "no text", "deep", "twice"],
)
def test_a_file_that_is_no_json_is_refused(text: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "skills.json"
    path.write_bytes(text)
    with pytest.raises(InvalidInput, match=words):
        TaskManager(policy="adaptive", skills=str(path))


def test_what_cannot_be_a_skills_file_is_refused_at_the_call(tmp_path: Path) -> None:
    for given, words in (
        (tmp_path, "is not a file"),
        (tmp_path / "no" / "skills.json", "there is no folder"),
        (5, "skills is 5; it must be a file"),
    ):
        with pytest.raises(InvalidInput, match=words):
            TaskManager(policy="adaptive", skills=given)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="'best_fit' learns none; use policy='adaptive'"):
        TaskManager(policy="best_fit", skills=tmp_path / "skills.json")
    with pytest.raises(InvalidInput, match="export_skills needs a policy that learns"):
        TaskManager(policy="best_fit").export_skills()


def test_a_store_that_knows_the_run_comes_before_the_file(tmp_path: Path) -> None:
    path, store = tmp_path / "skills.json", tmp_path / "run.db"
    first = run(skills=path, store=store)
    # A file that knows nothing of the run.
    path.write_text(skills_text({"format": "muster-skills", "version": 1, "workers": {}}))
    resumed = TaskManager(policy="adaptive", skills=path, store=store)
    assert resumed.export_skills() == first.export_skills()
    resumed.close()


def test_a_breaker_of_a_later_clock_opens_now(tmp_path: Path) -> None:
    broken = {"reason": "ValueError, 3 times in a row", "opened_at": 1e9, "pause_s": 60.0}
    content = filed(cell={"breaker": broken})

    async def play() -> float:
        manager = TaskManager(policy="adaptive", skills=content)
        exported: Any = manager.export_skills()
        return float(exported["workers"]["Ada"]["types"]["text"]["breaker"].get("opened_at", 0.0))

    assert run_in_virtual_time(play()) < 1e9
