"""`muster skills` and `muster replay`: on stores, skills files and a running manager."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager
from muster.agents.store.sqlite import SqliteStore, read_store

from ..skills.conftest import results_of, run

Invoke = Callable[..., Any]

HEADINGS = ["worker", "type", "skill", "results", "success", "pace", "cost"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    run(store=folder / "run.db", skills=folder / "skills.json", trace=folder / "run.jsonl")
    return folder


@pytest.fixture
def recorded(recording: Path, tmp_path: Path) -> None:
    for file in ("run.db", "skills.json", "run.jsonl"):
        shutil.copy(recording / file, tmp_path / file)


@pytest.mark.usefixtures("recorded")
def test_show_is_a_table_of_workers_and_types_whatever_the_place(invoke: Invoke) -> None:
    by_store = invoke("skills", "show", "--store", "run.db")
    by_file = invoke("skills", "show", "--file", "skills.json")
    assert (by_store.code, by_store.err) == (0, "")
    assert by_store.out == by_file.out
    first, *others = by_store.out.splitlines()
    assert first.split() == HEADINGS
    assert [line.split()[:2] for line in others] == [
        ["Ada", "text"],
        ["Ada", "vision"],
        ["Ben", "text"],
        ["Ben", "vision"],
    ]


@pytest.mark.usefixtures("recorded")
def test_show_as_json_has_all_figures(invoke: Invoke) -> None:
    table = json.loads(invoke("skills", "show", "--store", "run.db", "--json").out)
    assert sum(row["results"] for row in table["rows"]) == 30
    assert set(table["rows"][0]) == {
        *("worker", "type", "is_named_skill", "skill", "deviation", "results", "success_rate"),
        *("expected_s", "cost", "broken"),
    }


@pytest.mark.usefixtures("recorded")
def test_what_is_exported_can_be_imported_elsewhere(invoke: Invoke, tmp_path: Path) -> None:
    printed = invoke("skills", "export", "--store", "run.db").out
    assert results_of(json.loads(printed)) == results_of(
        json.loads(Path("skills.json").read_text())
    )
    assert invoke("skills", "export", "--store", "run.db", "--output", "out.json").out == ""
    assert Path("out.json").read_text() == printed
    # Into a store that does not exist yet, whose run then begins with it.
    ended = invoke("skills", "import", "out.json", "--store", "new.db")
    assert ended.out == "skills of 2 workers are known\n"
    assert invoke("skills", "export", "--store", "new.db").out == printed
    manager = TaskManager(policy="adaptive", store="new.db")
    assert results_of(manager.export_skills()) == results_of(json.loads(printed))
    manager.close()
    # Again, nothing changes; into a skills file, too.
    invoke("skills", "import", "out.json", "--file", "other.json")
    invoke("skills", "import", "out.json", "--file", "other.json")
    assert json.loads(Path("other.json").read_text()) == json.loads(printed)


@pytest.mark.usefixtures("recorded")
def test_import_merges_or_replaces(invoke: Invoke) -> None:
    cell = {"results": 1_000, "skill": 2.0, "deviation": 0.5}
    workers = {"Ada": {"types": {"text": cell}}, "Zoe": {"types": {"text": cell}}}
    Path("more.json").write_text(
        json.dumps({"format": "muster-skills", "version": 1, "workers": workers})
    )
    ended = invoke("skills", "import", "more.json", "--store", "run.db")
    assert ended.out == "skills of 3 workers are known\n"
    merged = results_of(json.loads(invoke("skills", "export", "--store", "run.db").out))
    assert merged["Ada", "text"] == merged["Zoe", "text"] == 1_000
    assert 0 < merged["Ada", "vision"] < 1_000
    invoke("skills", "import", "more.json", "--store", "run.db", "--replace")
    replaced = results_of(json.loads(invoke("skills", "export", "--store", "run.db").out))
    assert replaced == {("Ada", "text"): 1_000, ("Zoe", "text"): 1_000}
    # The run itself is as it was.
    assert len(read_store("run.db").tasks) == 30


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("options", "left"),
    [
        ((), set()),
        (("--worker", "Ada"), {("Ben", "text"), ("Ben", "vision")}),
        (("--type", "text"), {("Ada", "vision"), ("Ben", "vision")}),
        (
            ("--worker", "Ada", "--type", "text"),
            {("Ada", "vision"), ("Ben", "text"), ("Ben", "vision")},
        ),
    ],
)
@pytest.mark.parametrize("place", [("--store", "run.db"), ("--file", "skills.json")], ids=str)
def test_reset_forgets(invoke: Invoke, options: Any, left: Any, place: Any) -> None:
    assert invoke("skills", "reset", *place, *options).code == 0
    assert set(results_of({"workers": {}, **_exported(invoke, place)})) == left


def _exported(invoke: Invoke, place: Any) -> Any:
    return json.loads(invoke("skills", "export", *place).out)


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show",), "give exactly one of --store, --file and --join"),
        (("show", "--store", "run.db", "--file", "skills.json"), "give exactly one of"),
        (("show", "--store", "no.db"), "there is no store"),
        (("show", "--file", "no.json"), "the skills file 'no.json' can't be read: No such file"),
        (("show", "--file", "run.db"), "the skills file 'run.db': it is not JSON"),
        (("import", "no.json", "--store", "run.db"), "the skills file 'no.json' can't be read"),
        (("import", "skills.json", "--join", "t"), "can't be changed; stop it, change them with"),
        (("reset", "--join", "t"), "can't be changed; stop it, change them with"),
        (("reset", "--store", "no.db"), "there is no store"),
        (("reset", "--file", "no.json"), "can't be read: No such file"),
        (("reset", "--store", "run.db", "--worker", "Zoe"), "there is no worker with skills 'Zoe'"),
        (("reset", "--store", "run.db", "--type", "x"), "there is no type with results 'x'"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told(invoke: Invoke, arguments: Any, words: str) -> None:
    ended = invoke("skills", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert not Path("no.json").exists()
    assert not Path("no.db").exists()


@pytest.mark.usefixtures("recorded")
def test_a_store_that_a_manager_holds_is_shown_but_not_changed(invoke: Invoke) -> None:
    store = SqliteStore("run.db")
    try:
        assert invoke("skills", "show", "--store", "run.db").out.split()[:7] == HEADINGS
        refused = invoke("skills", "reset", "--store", "run.db")
        assert refused.code == 2
        assert "is held by" in refused.err
    finally:
        store.close()


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("place", [("--store", "run.db"), ("--trace", "run.jsonl")], ids=str)
def test_replay_estimates_what_another_policy_would_have_done(invoke: Invoke, place: Any) -> None:
    ended = invoke("replay", *place, "--policy", "best_fit")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "30 tasks, replayed with best_fit: an estimate"
    assert lines[1].split() == ["recorded", "replayed"]
    told = json.loads(
        invoke(*("replay", *place, "--policy", "adaptive", "--skills", "skills.json", "--json")).out
    )
    assert told["tasks"] == 30
    assert told["recorded"]["attempts"] == 30
    assert 0 < told["seen_share"] < 1


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--store", "run.db", "--policy", "best"),
            "there is no policy 'best'; did you mean 'best_fit'?",
        ),
        (("--policy", "score"), "give exactly one of --store and --trace"),
        (("--store", "no.db", "--policy", "score"), "there is no store"),
        (("--trace", "run.db", "--policy", "score"), "it is not a trace"),
        (
            ("--store", "run.db", "--policy", "score", "--skills", "skills.json"),
            "--skills needs a policy that learns skills, and 'score' learns none",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_replayed_is_told(invoke: Invoke, arguments: Any, words: str) -> None:
    ended = invoke("replay", *arguments)
    assert ended.code == 2
    assert words in ended.err


HANDLERS = """
import asyncio
from itertools import count
from pathlib import Path
from muster.agents import Handlers

handlers = Handlers()
numbers = count(1)


@handlers.task("work")
async def work(task):
    await asyncio.sleep(0.02)
    if next(numbers) > 100:
        while not Path("go on").exists():
            await asyncio.sleep(0.02)
    if task.difficulty > 5:
        raise ValueError("too hard")
"""


@pytest.mark.ceylon
@pytest.mark.processes
@pytest.mark.slow
def test_skills_outlive_a_manager_that_is_killed_and_are_shown_while_it_runs(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "does.py").write_text(HANDLERS)
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text(
        "".join(
            json.dumps({"id": each, "description": "w", "type": "work", "difficulty": each % 9 + 1})
            + "\n"
            for each in range(1, 301)
        )
    )
    manager = (
        *("manager", "--tasks", tasks, "--workers", 1, "--port", 0, "--ticket-file", "ticket"),
        *("--store", "run.db", "--policy", "adaptive", "--skills", "skills.json"),
    )
    start("worker", "--join", "ticket", "--name", "Ada", "--skill", 9, "--handlers", "does")
    killed = start(*manager)
    killed.wait_for("settled, ")
    asked = start("skills", "show", "--join", "ticket").end()
    assert asked.code == 0, asked.err
    assert asked.out.startswith("worker  type")
    assert "Ada     work" in asked.out
    exported = start("skills", "export", "--join", "ticket").end()
    assert results_of(json.loads(exported.out))["Ada", "work"] > 0
    killed.process.kill()
    killed.end()
    (tmp_path / "go on").touch()

    kept = results_of(json.loads(start("skills", "export", "--store", "run.db").end().out))
    settled = [row for row in read_store(tmp_path / "run.db").tasks if row.status.is_final]
    # Not one result is missing, and not one is counted that was not kept.
    assert kept == {("Ada", "work"): len(settled)}

    resumed = start(*manager)
    assert resumed.end().code == 1
    after = results_of(json.loads((tmp_path / "skills.json").read_text()))
    assert after == {("Ada", "work"): 300}
