"""What `muster submit` and `muster cancel` tell of a task that is settled."""

from __future__ import annotations

import pytest
from muster.agents.command.options.client import _leaving_out_stories
from muster.agents.command.submit import describe_result
from muster.messages import IllegalTransition, TaskResult


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("cancelled: by a client", "2: cancelled: by a client"),
        ("ValueError: no cat", "2: failed by Ada: ValueError: no cat"),
    ],
)
def test_a_line_names_a_cancelled_task_as_cancelled(error: str, line: str) -> None:
    result = TaskResult(2, "Ada", success=False, execution_time=0.0, error_message=error)
    assert describe_result(result) == line


def test_why_a_task_can_not_be_changed_is_told_in_one_line() -> None:
    told = "task 1 is completed, so it can't be cancelled"
    with pytest.raises(IllegalTransition) as raised, _leaving_out_stories():
        raise IllegalTransition(f"{told}; its story: +0 s task_added; +1 s task_completed")
    assert str(raised.value) == told
