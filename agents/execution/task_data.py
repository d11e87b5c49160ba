"""Gives a task the outputs of those that it depends on as its data."""

from __future__ import annotations

from ...messages import Payload, TaskAssignment


def with_outputs_as_data(assignment: TaskAssignment) -> TaskAssignment:
    """An assignment whose task has the outputs of those that it depends on as its data.

    The output of a single one is given as it is; those of several are a list, in which a task that
    was not completed has None.

    Args:
        assignment: the assignment of a task with `takes_output`.
    """
    task, inputs = assignment.task, assignment.inputs
    needed = tuple(dict.fromkeys(task.depends_on))
    if not needed or assignment.reviewed is not None:
        return assignment
    outputs: list[Payload] = [inputs.get(task_id) for task_id in needed]
    data = outputs[0] if len(needed) == 1 else outputs
    return assignment.model_copy(update={"task": task.model_copy(update={"data": data})})
