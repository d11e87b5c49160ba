"""State files on disk: their structure, other programs' files, and invalid files."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from muster.agents import StateFileTaskManager
from muster.agents.state_file import json_text
from muster.agents.state_file.json_values import from_timestamp, to_timestamp
from muster.messages import InvalidInput, StoreBusy, StoreCorrupt, StoreUnusable

FOREIGN = {
    "workflow_type": "tea",
    "estate": {"name": "Hapugastenne", "fields": [1, 2.5, None, "ß", "🍵"]},
    "metadata": {"initialized_at": "2024-01-01T10:00:00", "colour": "green"},
    "tasks": {
        "old_1": {
            "type": "old",
            "status": "completed",
            "parent_id": None,
            "locked_by": None,
            "locked_at": None,
            "created_at": "2024-01-01T10:00:00",
            "completed_at": "2024-01-01T11:00:00Z",
            "data": {},
            "notes": ["by hand"],
        },
        "brew_2": {
            "type": "brew",
            "status": "pending",
            "parent_id": "old_1",
            "locked_by": None,
            "locked_at": None,
            "created_at": "2024-01-01T10:00:00+05:30",
            "completed_at": None,
            "data": {"leaf": "Ümlaut"},
            "weight": 12345678901234567890,
        },
        "brew_3": {"type": "brew", "status": "pending"},
    },
}


@pytest.fixture
def plant(state_file: Path) -> Any:
    """Puts something where the state file is to be."""

    def put(content: object, **options: Any) -> Path:
        state_file.parent.mkdir(exist_ok=True)
        if not isinstance(content, bytes):
            content = json.dumps(content, **options).encode()
        state_file.write_bytes(content)
        return state_file

    return put


def read(state_file: Path) -> Any:
    return json.loads(state_file.read_bytes())


# ------------------------------------------------------------------ what others have written


@pytest.mark.parametrize("indent", [None, 0, 4])
def test_a_file_of_another_program_is_worked_on(make: Any, plant: Any, indent: Any) -> None:
    file = plant(FOREIGN, indent=indent, ensure_ascii=False)
    before = file.read_bytes()
    manager = make()
    assert manager.get_task("old_1")["notes"] == ["by hand"]
    assert [child["id"] for child in manager.get_task_children("old_1")] == ["brew_2"]
    assert file.read_bytes() == before
    assert manager.get_next_task("ada")["id"] == "brew_2"
    assert manager.complete_task("brew_2", "ada") is True


def test_fields_that_muster_does_not_know_survive(make: Any, plant: Any) -> None:
    file = plant(FOREIGN)
    manager = make()
    for task_id in ("brew_2", "brew_3"):
        assert manager.get_next_task("ada")["id"] == task_id
        manager.complete_task(task_id, "ada")
    manager.update_workflow_metadata({"shade": 2})
    document = read(file)
    assert document["workflow_type"] == "tea"
    assert document["estate"] == FOREIGN["estate"]
    assert document["metadata"]["colour"] == "green"
    assert document["tasks"]["old_1"] == FOREIGN["tasks"]["old_1"]
    assert document["tasks"]["brew_2"]["weight"] == 12345678901234567890
    assert document["tasks"]["brew_2"]["data"] == {"leaf": "Ümlaut"}
    assert list(document["tasks"]) == ["old_1", "brew_2", "brew_3"]


def test_fields_that_are_missing_count_as_null(make: Any, plant: Any) -> None:
    plant(FOREIGN)
    task = make().get_task("brew_3")
    assert task == {
        "id": "brew_3",
        "type": "brew",
        "status": "pending",
        "parent_id": None,
        "locked_by": None,
        "locked_at": None,
        "created_at": None,
        "completed_at": None,
        "data": {},
    }


def test_another_program_may_change_the_file_meanwhile(make: Any, plant: Any) -> None:
    file = plant(FOREIGN)
    manager = make()
    assert manager.get_next_task("ada")["id"] == "brew_2"
    document = read(file)
    document["tasks"] = {"late_4": {"type": "late", "status": "pending"}, **document["tasks"]}
    document["tasks"].pop("brew_3")
    plant(document, indent=2)
    assert manager.get_next_task("ada")["id"] == "late_4"
    assert manager.get_next_task("ada") is None
    assert manager.complete_task("brew_2", "ada") is True


def test_a_change_in_place_is_seen(make: Any, state_file: Path) -> None:
    manager = make()
    task_id = manager.create_task("brew", {"cups": 1})
    before = state_file.read_text()
    with state_file.open("r+") as file:
        file.write(before.replace('"cups": 1', '"cups": 2222'))
    assert manager.get_task(task_id)["data"] == {"cups": 2222}


@pytest.mark.parametrize("locked_by", [None, "ada"])
def test_a_task_in_progress_with_nobody_or_since_nobody_knows_when_is_given_out_again(
    make: Any, plant: Any, locked_by: Any
) -> None:
    document = {**FOREIGN, "tasks": {"lost_1": {"type": "lost", "status": "in_progress"}}}
    document["tasks"]["lost_1"]["locked_by"] = locked_by
    plant(document)
    assert make().get_next_task("ben")["id"] == "lost_1"


def test_a_lock_in_another_zones_time_is_understood(make: Any, plant: Any, clock: Any) -> None:
    held = {"type": "brew", "status": "in_progress", "locked_by": "ada"}
    hour_ago = clock.at - 3600
    for text in (
        to_timestamp(hour_ago),
        "2023-11-14T21:13:20Z",
        "2023-11-15T02:43:20+05:30",
    ):
        assert from_timestamp(text) == hour_ago
        plant({**FOREIGN, "tasks": {"brew_1": {**held, "locked_at": text}}})
        assert make(task_timeout_hours=1.1).get_next_task("ben") is None
        assert make(task_timeout_hours=0.9).get_next_task("ben")["id"] == "brew_1"


# ------------------------------------------------------------------ what is no state file


def change(**fields: object) -> dict[str, Any]:
    return {**FOREIGN, **fields}


def change_task(**fields: object) -> dict[str, Any]:
    return change(tasks={"brew_2": {**FOREIGN["tasks"]["brew_2"], **fields}})


NO_STATE_FILES: list[tuple[Any, str]] = [
    (b"{", "is not JSON"),
    (b"hello", "is not JSON"),
    (b"\x80\x04\x95pickle", "is not JSON"),
    (json.dumps(FOREIGN).encode()[:-40], "is not JSON"),
    (b"[" * 100_000, "nested too deep"),
    (b"[]", "is a list, not an object"),
    (b"{}", "has no 'workflow_type'"),
    (change(tasks=[]), "'tasks' is a list"),
    (change(metadata=None), "'metadata' is missing"),
    (change(workflow_type=3), "'workflow_type' is a number"),
    (
        b'{"workflow_type": "a", "metadata": {"a": 1e999}, "tasks": {}}',
        "the number 1e999 is too large",
    ),
    (b'{"tasks": {}, "tasks": {}}', "the name 'tasks' twice"),
    (b'{"workflow_type": "a", "metadata": {}, "tasks": {\n"a": {}, \n}}\n', "not JSON"),
    (b'{"workflow_type": "a", "metadata": {}, "tasks": {\n}}\n}}\n', "not JSON"),
]


@pytest.mark.parametrize(("content", "told"), NO_STATE_FILES)
def test_what_is_no_state_file_is_refused_untouched_and_a_copy_kept(
    make: Any, plant: Any, content: Any, told: str
) -> None:
    file = plant(content)
    before = file.read_bytes()
    with pytest.raises(StoreCorrupt, match=told) as refused:
        make()
    assert file.read_bytes() == before
    assert refused.value.copy is not None
    assert Path(refused.value.copy).read_bytes() == before
    assert str(refused.value.copy) in str(refused.value)


def test_who_comes_upon_a_corrupt_file_again_keeps_no_second_copy(make: Any, plant: Any) -> None:
    file = plant(b"{")
    for _ in range(3):
        with pytest.raises(StoreCorrupt):
            make()
    assert len(list(file.parent.glob("*.corrupt-*"))) == 1


def test_a_file_that_becomes_corrupt_while_it_is_used_is_refused_until_it_is_mended(
    make: Any, plant: Any
) -> None:
    plant(FOREIGN)
    manager = make()
    plant(b"{")
    for do in (lambda: manager.create_task("brew"), lambda: manager.get_task("old_1")):
        with pytest.raises(StoreCorrupt):
            do()
    plant(FOREIGN)
    assert manager.get_next_task("ada")["id"] == "brew_2"


def test_a_file_that_is_gone_is_not_silently_begun_anew(make: Any, state_file: Path) -> None:
    manager = make()
    state_file.unlink()
    with pytest.raises(StoreUnusable, match="no longer exists"):
        manager.create_task("brew")
    assert not state_file.exists()
    assert make().get_status_summary()["total_tasks"] == 0
    assert manager.create_task("brew")


def test_an_empty_file_is_one_that_has_not_begun(make: Any, plant: Any) -> None:
    file = plant(b"")
    make().create_task("brew")
    assert len(read(file)["tasks"]) == 1


def test_a_folder_is_no_state_file(make: Any, state_file: Path) -> None:
    state_file.mkdir(parents=True)
    with pytest.raises(StoreUnusable, match="is a folder"):
        make()


def test_a_pipe_is_no_state_file_and_nobody_waits_for_it(make: Any, state_file: Path) -> None:
    state_file.parent.mkdir()
    os.mkfifo(state_file)
    with pytest.raises(StoreUnusable, match="not a file"):
        StateFileTaskManager(state_file)


def test_a_file_too_large_is_refused(
    make: Any, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.agents.state_file.json_file.MAX_STATE_FILE_BYTES", 2000)
    manager = make()

    def fill() -> None:
        for _ in range(20):
            manager.create_task("brew")

    with pytest.raises(StoreUnusable, match="sqlite:///"):
        fill()
    count = manager.get_status_summary()["total_tasks"]
    assert 3 < count < 20
    plant(b" " * 2001)
    with pytest.raises(StoreUnusable, match="2,001 bytes"):
        manager.get_status_summary()


# ------------------------------------------------------------------ how it is written


def test_a_task_that_does_not_change_is_not_written_anew(
    make: Any, plant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = make()
    for cup in range(50):
        manager.create_task("brew", {"cup": cup})
    other = make()
    other.get_status_summary()
    encoded: list[Any] = []
    dumps = json.dumps
    monkeypatch.setattr(
        json, "dumps", lambda value, **options: encoded.append(value) or dumps(value, **options)
    )
    manager.get_next_task("ada")
    changed = [value for value in encoded if isinstance(value, dict) and "status" in value]
    assert [value["data"] for value in changed] == [{"cup": 0}]
    parsed: list[Any] = []
    decode = json_text.decode_json
    monkeypatch.setattr(json_text, "decode_json", lambda text: parsed.append(text) or decode(text))
    assert other.get_status_summary()["status_counts"]["in_progress"] == 1
    assert len(parsed) == 1


def test_a_failure_to_write_leaves_everything_as_it_was(
    make: Any, state_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = make()
    task_id = manager.create_task("brew")
    before = state_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("muster.agents.state_file.json_file.write_all", full)
        with pytest.raises(StoreUnusable, match="No space left on device"):
            manager.get_next_task("ada")
    assert state_file.read_bytes() == before
    assert sorted(path.name for path in state_file.parent.iterdir()) == [
        "tea.json",
        "tea.json.lock",
    ]
    assert manager.get_task(task_id)["status"] == "pending"
    assert manager.get_next_task("ben")["id"] == task_id


@pytest.mark.parametrize("survives", [True, False])
def test_each_change_is_on_disk_before_it_takes_its_place_if_asked(
    make: Any, monkeypatch: pytest.MonkeyPatch, survives: bool
) -> None:
    manager = make(survives_power_loss=survives)
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: done.append("fsync") or fsync(fd))
    monkeypatch.setattr(
        Path, "replace", lambda self, target: done.append("replace") or replace(self, target)
    )
    manager.create_task("brew")
    assert done == (["fsync", "replace", "fsync"] if survives else ["replace"])


def test_who_may_read_the_file_stays_as_it_was(make: Any, state_file: Path) -> None:
    manager = make()
    state_file.chmod(0o640)
    manager.create_task("brew")
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o640


def test_a_link_to_the_file_leads_to_the_same_file_and_lock(
    make: Any, state_file: Path, tmp_path: Path
) -> None:
    manager = make()
    task_id = manager.create_task("brew")
    link = tmp_path / "link.json"
    link.symlink_to(state_file)
    assert make(link).get_next_task("ada")["id"] == task_id
    assert link.is_symlink()
    assert manager.get_task(task_id)["locked_by"] == "ada"
    assert not Path(f"{link}.lock").exists()


def test_what_a_dead_process_left_behind_does_no_harm(make: Any, state_file: Path) -> None:
    manager = make()
    Path(f"{state_file}.new").write_text('{"half": ')
    manager.create_task("brew")
    assert not Path(f"{state_file}.new").exists()
    assert len(read(state_file)["tasks"]) == 1


def test_where_an_open_file_cannot_be_replaced_none_is_kept_open(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "muster.agents.state_file.open_version.OpenVersion.replaceable_while_open", False
    )
    before = len(list(Path("/proc/self/fd").iterdir()))
    one, other = make(), make()
    task_id = one.create_task("brew")
    assert other.get_next_task("ada")["id"] == task_id
    assert one.complete_task(task_id, "ada") is True
    assert other.get_task(task_id)["status"] == "completed"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_versions_of_one_size_and_moment_are_told_apart(
    make: Any, state_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make(), make()
    task_id = one.create_task("brew")
    stamp = (1_000_000_000, 1_000_000_000)
    for round_number in range(20):
        agent = f"agent-{round_number % 10}"
        assert one.get_next_task(agent)["id"] == task_id
        os.utime(state_file, stamp)
        assert other.get_task(task_id)["locked_by"] == agent
        other.release_task(task_id, agent)
        os.utime(state_file, stamp)


def test_a_manager_keeps_one_file_open_and_gives_it_back(make: Any) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    manager = make()
    for _ in range(10):
        manager.create_task("brew")
    assert count() == before + 1
    manager.close()
    assert count() == before
    assert manager.get_next_task("ada") is not None


# ------------------------------------------------------------------ locks


def test_a_forked_process_works_on_the_same_file(make_either: Any) -> None:
    manager = make_either()
    task_id = manager.create_task("brew")
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: manager.get_next_task("child"))
    with warnings.catch_warnings():
        # Threads of other tests may still be there; none of them holds anything of this.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    child.join()
    assert child.exitcode == 0
    assert manager.get_task(task_id)["locked_by"] == "child"
    assert manager.complete_task(task_id, "child") is True


def test_a_lock_not_had_in_time_names_the_file_and_the_holder(
    make_either: Any, tmp_path: Path
) -> None:
    manager, other = make_either(lock_timeout=0.05), make_either(lock_timeout=0.05)
    file = str(manager.state_file).removeprefix("sqlite:///")
    with manager._file.changing(), pytest.raises(StoreBusy) as busy:
        other.create_task("brew")
    assert file in str(busy.value)
    assert "lock_timeout" in str(busy.value)
    if not file.endswith(".db"):
        assert f"process {os.getpid()}" in str(busy.value)
    assert other.create_task("brew")


def test_another_thread_waits_no_longer_than_the_timeout(make_either: Any) -> None:
    manager = make_either(lock_timeout=0.05)
    failed: list[BaseException] = []

    def create() -> None:
        try:
            manager.create_task("brew")
        except StoreBusy as fault:
            failed.append(fault)

    with manager._file.changing():
        thread = threading.Thread(target=create)
        thread.start()
        thread.join()
    assert "another thread of this process" in str(failed[0])


def test_reading_waits_for_nobody(make_either: Any) -> None:
    manager, reader = make_either(), make_either(lock_timeout=0)
    task_id = manager.create_task("brew")
    with manager._file.changing():
        assert reader.get_task(task_id)["status"] == "pending"


# ------------------------------------------------------------------ names of files


@pytest.mark.parametrize(
    "name", ["sqlite:", "sqlite:///", "sqlite://tea.db", Path("sqlite:///tea.db")]
)
def test_a_name_that_is_nearly_one_of_a_sqlite_file_is_refused(make: Any, name: Any) -> None:
    with pytest.raises(InvalidInput, match=r"sqlite:///NAME\.db"):
        make(name)
