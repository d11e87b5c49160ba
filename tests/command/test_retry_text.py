"""A `Retry` as text: in an option of `muster manager`, and in a cell of a tasks file."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.agents.command.retry_text import read_retry_options
from muster.agents.command.tasks_file import read_tasks
from muster.messages import InvalidInput, Retry

FORMS = [
    ("5", Retry(max_attempts=5)),
    ("max_attempts=3; wait_s=2", Retry(max_attempts=3, wait_s=2)),
    (
        "on=OSError|HTTPStatusError:5*; unless = timed out;",
        Retry(on=("OSError", "HTTPStatusError:5*"), unless=("timed out",)),
    ),
    ("same_worker=true", Retry(same_worker=True)),
    ('{"max_attempts": 3, "on": ["OSError"]}', Retry(max_attempts=3, on=("OSError",))),
]


@pytest.mark.parametrize(("text", "retry"), FORMS)
def test_each_form_is_read(text: str, retry: Retry, tmp_path: Path) -> None:
    assert read_retry_options([text]) == (retry, {})
    assert read_retry_options([f"fetch: {text}", "2"]) == (Retry(max_attempts=2), {"fetch": retry})
    quoted = text.replace('"', '""')
    (tmp_path / "tasks.csv").write_text(f'id,retry,not_before,max_losses\n1,"{quoted}",30,2\n')
    (task,) = read_tasks(tmp_path / "tasks.csv")
    assert (task.retry, task.not_before, task.max_losses) == (retry, 30.0, 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([""], "--retry '': it is empty; give a number of attempts such as 5"),
        (["soon"], "--retry 'soon': 'soon' is no field; give a number of attempts"),
        (["0"], "--retry '0': max_attempts: "),
        (["factor=0.5"], "--retry 'factor=0.5': factor: "),
        (["tries=3"], "--retry 'tries=3': tries: "),
        (["{"], "--retry '{': not JSON: "),
        (["wait_s=90"], "wait_s is 90, above max_wait_s, which is 60"),
        (["fetch:3", "fetch:4"], "is the second one for tasks of the type 'fetch'; give one"),
        (["3", "4"], "--retry '4' is the second one for all tasks; give one"),
    ],
)
def test_what_is_none_is_refused(options: list[str], told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_retry_options(options)
    assert told in str(refused.value)
