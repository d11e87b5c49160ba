"""The examples of the API's documentation, unchanged but for the import."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from muster.agents import StateFileTaskManager as TaskManager
from muster.agents import TaskStatus

TASK_FIELDS = {
    "id",
    "type",
    "status",
    "parent_id",
    "locked_by",
    "locked_at",
    "created_at",
    "completed_at",
    "data",
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tm() -> TaskManager:
    return TaskManager(
        state_file=Path("states/my_workflow.json"), lock_timeout=5, task_timeout_hours=24
    )


def test_a_state_file_is_made_with_its_folder(tm: TaskManager) -> None:
    assert isinstance(tm, TaskManager)
    assert Path("states/my_workflow.json").is_file()


def test_creating_a_root_task_and_its_child(tm: TaskManager) -> None:
    task_id = tm.create_task(
        task_type="analyze", data={"file": "data.csv", "params": {"threshold": 0.8}}
    )
    child_id = tm.create_task(
        task_type="validate", data={"validation_type": "schema"}, parent_id=task_id
    )
    assert re.fullmatch(r"analyze_[0-9a-f]{8}", task_id)
    assert re.fullmatch(r"validate_[0-9a-f]{8}", child_id)
    assert tm.get_task(child_id)["parent_id"] == task_id


def test_taking_and_completing_a_task(tm: TaskManager, capsys: pytest.CaptureFixture[str]) -> None:
    tm.create_task("analyze", {"file": "data.csv"})
    task = tm.get_next_task(agent_id="worker-001", task_types=["analyze", "validate"])
    if task:
        print(f"Processing task {task['id']} of type {task['type']}")
        success = tm.complete_task(
            task_id=task["id"],
            agent_id="worker-001",
            status=TaskStatus.COMPLETED,
            result_data={"output": "results.json"},
        )
        assert success is True
    assert capsys.readouterr().out.endswith("of type analyze\n")
    done = tm.get_task(task["id"])
    assert done["status"] == TaskStatus.COMPLETED
    assert done["result_data"] == {"output": "results.json"}
    assert tm.get_next_task("worker-001") is None


def test_asking_for_a_task_its_children_and_the_summary(tm: TaskManager) -> None:
    root = tm.create_task("analyze", {})
    children = [tm.create_task("validate", {"part": part}, parent_id=root) for part in range(3)]
    assert tm.get_task(root)["id"] == root
    assert [child["id"] for child in tm.get_task_children(root)] == children
    summary = tm.get_status_summary()
    assert summary["total_tasks"] == 4
    assert summary["status_counts"] == {
        "pending": 4,
        "in_progress": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert summary["type_counts"] == {"analyze": 1, "validate": 3}
    assert set(summary) == {"total_tasks", "status_counts", "type_counts"}


def test_a_task_has_exactly_the_documented_fields(tm: TaskManager) -> None:
    task = tm.get_task(tm.create_task("analyze", {"custom": "fields"}))
    assert set(task) == TASK_FIELDS
    assert task["status"] == "pending"
    assert task["data"] == {"custom": "fields"}
    nulls = ("parent_id", "locked_by", "locked_at", "completed_at")
    assert [task[name] for name in nulls] == [None] * 4
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", task["created_at"])


def test_several_workflows_have_several_files() -> None:
    data_tm = TaskManager(Path("states/data_processing.json"))
    review_tm = TaskManager(Path("states/code_review.json"))
    data_tm.create_task("load", {})
    assert review_tm.get_next_task("worker-001") is None
    assert data_tm.get_next_task("worker-001") is not None


def test_an_agent_that_cannot_go_on_releases_its_task(tm: TaskManager) -> None:
    tm.create_task("analyze", {})
    task = tm.get_next_task("worker-001")
    tm.release_task(task_id=task["id"], agent_id="worker-001")
    assert tm.get_task(task["id"])["status"] == "pending"
    assert tm.get_next_task("worker-002")["id"] == task["id"]


def test_metadata_of_the_workflow_is_kept(tm: TaskManager) -> None:
    tm.update_workflow_metadata(
        {"version": "2.0", "environment": "production", "started_by": "scheduler"}
    )
    metadata = json.loads(Path("states/my_workflow.json").read_text())["metadata"]
    assert metadata["version"] == "2.0"
    assert metadata["environment"] == "production"
    assert metadata["started_by"] == "scheduler"
    assert {"initialized_at", "last_updated"} < set(metadata)


def test_failures_are_recorded_and_accidents_give_the_task_back(tm: TaskManager) -> None:
    tm.create_task("analyze", {})
    tm.create_task("analyze", {})

    def process(error: str | None) -> None:
        task = tm.get_next_task("worker-001")
        try:
            if error is None:
                _ = 1 / 0
            tm.complete_task(
                task_id=task["id"],
                agent_id="worker-001",
                status=TaskStatus.FAILED,
                result_data={"error": str(error)},
            )
        except Exception:
            tm.release_task(task["id"], "worker-001")
            raise

    process("no such column")
    with pytest.raises(ZeroDivisionError):
        process(None)
    counts = tm.get_status_summary()["status_counts"]
    assert (counts["failed"], counts["pending"]) == (1, 1)


def test_the_file_has_exactly_the_documented_structure(tm: TaskManager) -> None:
    task_id = tm.create_task("task_type", {})
    tm.update_workflow_metadata({"custom_field": "custom_value"})
    document = json.loads(Path("states/my_workflow.json").read_text())
    assert list(document) == ["workflow_type", "metadata", "tasks"]
    assert document["workflow_type"] == "generic"
    assert list(document["metadata"]) == ["initialized_at", "last_updated", "custom_field"]
    assert list(document["tasks"]) == [task_id]
    assert set(document["tasks"][task_id]) == TASK_FIELDS - {"id"}


def test_the_pipeline_of_several_stages(tm: TaskManager) -> None:
    dataset = ["a", "b", "c"]
    for item in dataset:
        tm.create_task("extract", {"source": item})
    while True:
        task = tm.get_next_task("extractor-1", ["extract"])
        if not task:
            break
        result = task["data"]["source"].upper()
        tm.create_task("transform", {"data": result}, parent_id=task["id"])
        tm.complete_task(task["id"], "extractor-1")
    outputs = []
    while True:
        task = tm.get_next_task("transformer-1", ["transform"])
        if not task:
            break
        result = task["data"]["data"] * 2
        tm.complete_task(task["id"], "transformer-1", result_data={"output": result})
        outputs.append(tm.get_task(task["id"])["result_data"]["output"])
    assert outputs == ["AA", "BB", "CC"]
    assert tm.get_status_summary()["status_counts"]["completed"] == 6
