"""What pydantic does not check when our messages are loaded is checked here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from muster.agents.runtime.startup import UNCHECKED, schemas_taken_on_trust
from muster.messages import MESSAGE_KINDS, PriorityTask, Task
from muster.messages.work import Message
from pydantic import BaseModel
from pydantic_core import SchemaError, validate_core_schema


@pytest.mark.parametrize(
    "model",
    [Message, Task, PriorityTask, *MESSAGE_KINDS.values()],
    ids=lambda model: model.__name__,
)
def test_pydantic_has_put_each_model_of_ours_together_rightly(model: type[BaseModel]) -> None:
    validate_core_schema(model.__pydantic_core_schema__)
    with pytest.raises(SchemaError):
        validate_core_schema({"type": "model", "cls": model, "schema": {"type": "none such"}})


def test_the_environment_is_changed_only_while_models_are_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(UNCHECKED, raising=False)
    # Other tests may have left some.
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    before = dict(os.environ)
    with schemas_taken_on_trust():
        assert dict(os.environ) == {**before, UNCHECKED: "1"}
    assert dict(os.environ) == before


def test_what_the_user_has_decided_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UNCHECKED, "mine")
    with schemas_taken_on_trust():
        assert os.environ[UNCHECKED] == "mine"
    assert os.environ[UNCHECKED] == "mine"


def test_beside_other_threads_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UNCHECKED, raising=False)
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with schemas_taken_on_trust():
            assert UNCHECKED not in os.environ
    finally:
        over.set()
        thread.join()


def test_models_of_a_user_are_checked_after_ours_are_loaded() -> None:
    program = (
        "import os\n"
        "from muster.agents import TaskManager\n"
        "from pydantic._internal import _core_utils\n"
        f"assert {UNCHECKED!r} not in os.environ\n"
        "checked = []\n"
        "_core_utils._validate_core_schema = checked.append\n"
        "_core_utils.validate_core_schema({'type': 'int'})\n"
        "assert checked == [{'type': 'int'}]\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != UNCHECKED}
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=True)
