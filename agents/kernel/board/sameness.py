"""Whether a task that a restored run is given again is the task it knows."""

from __future__ import annotations

from ....messages import DifferentTask, Task
from ....messages.codec import encode_task

_SHOWN_CHARACTERS = 200


def check_same(known: Task, again: Task) -> None:
    """See that a task is the one that is known under its id.

    Raises:
        DifferentTask: it is another; tells what differs, with both.
    """
    if encode_task(known) == encode_task(again):
        return
    ours, theirs = _fields(known), _fields(again)
    differing = [
        f"{name} is {_show(ours.get(name))} there and {_show(theirs.get(name))} here"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]
    raise DifferentTask(
        f"task {again.id!r} is in the store already, as another task: "
        f"{'; '.join(differing) or 'its data differs'}; give it another id, "
        "put back what it was, or begin with a new store"
    )


def _fields(task: Task) -> dict[str, object]:
    return {"class": type(task).__name__, **dict(task)}


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
