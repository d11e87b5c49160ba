"""Work that leaves a trace: each execution appends a line to a file, so that others can count it.

A task's data holds how long it takes, in seconds; the environment variable EXECUTIONS names the
file. A line reads "task attempt pid", and is written as the work begins.
"""

from __future__ import annotations

import os
import time

from muster.agents import Handlers
from muster.agents.execution.handlers import TaskContext
from muster.messages import Task

handlers = Handlers()


@handlers.task("count")
def count(task: Task, context: TaskContext) -> str:
    trace = f"{task.id} {context.attempt} {os.getpid()}"
    # Short writes to a file that is open for appending never mix, whoever writes.
    file = os.open(os.environ["EXECUTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{trace}\n".encode())
    finally:
        os.close(file)
    time.sleep(task.data["takes_s"])
    return trace
