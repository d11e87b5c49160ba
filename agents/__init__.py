"""The agents: `TaskManager` and `WorkerAgent`, and the pure kernel that they drive.

What most programs need is here; the rest is imported from its own room, such as
`muster.agents.board`. A name's room is loaded when the name is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..messages import TaskStatus
    from .ceylon_agent import (
        DEFAULT_WORKSPACE_ID,
        AgentDetail,
        BaseAgent,
        PeerMode,
        on,
        on_connect,
        on_run,
    )
    from .handlers import Handlers, TaskContext
    from .kernel.explanation import Explanation
    from .kernel.matching import MatchingPolicy
    from .local_manager import LocalTaskManager
    from .local_task import LocalTask, TaskState
    from .manager import TaskManager
    from .memory_link import MemoryNetwork
    from .memory_store import MemoryStore
    from .rehearsal import rehearse
    from .report import RunReport
    from .sqlite_store import SqliteStore
    from .state_file_bridge import StateFileBridge
    from .state_file_manager import StateFileTaskManager
    from .ticket import Ticket
    from .virtual_time import run_in_virtual_time
    from .worker import SpecializedWorker, WorkerAgent

__all__ = [
    "DEFAULT_WORKSPACE_ID",
    "AgentDetail",
    "BaseAgent",
    "Explanation",
    "Handlers",
    "LocalTask",
    "LocalTaskManager",
    "MatchingPolicy",
    "MemoryNetwork",
    "MemoryStore",
    "PeerMode",
    "RunReport",
    "SpecializedWorker",
    "SqliteStore",
    "StateFileBridge",
    "StateFileTaskManager",
    "TaskContext",
    "TaskManager",
    "TaskState",
    "TaskStatus",
    "Ticket",
    "WorkerAgent",
    "on",
    "on_connect",
    "on_run",
    "rehearse",
    "run_in_virtual_time",
]

_ROOMS = {
    "DEFAULT_WORKSPACE_ID": ".ceylon_agent",
    "AgentDetail": ".ceylon_agent",
    "BaseAgent": ".ceylon_agent",
    "Explanation": ".kernel.explanation",
    "Handlers": ".handlers",
    "LocalTask": ".local_task",
    "LocalTaskManager": ".local_manager",
    "MatchingPolicy": ".kernel.matching",
    "MemoryNetwork": ".memory_link",
    "MemoryStore": ".memory_store",
    "PeerMode": ".ceylon_agent",
    "RunReport": ".report",
    "SpecializedWorker": ".worker",
    "SqliteStore": ".sqlite_store",
    "StateFileBridge": ".state_file_bridge",
    "StateFileTaskManager": ".state_file_manager",
    "TaskContext": ".handlers",
    "TaskManager": ".manager",
    "TaskState": ".local_task",
    "TaskStatus": "..messages",
    "Ticket": ".ticket",
    "WorkerAgent": ".worker",
    "on": ".ceylon_agent",
    "on_connect": ".ceylon_agent",
    "on_run": ".ceylon_agent",
    "rehearse": ".rehearsal",
    "run_in_virtual_time": ".virtual_time",
}
"""Where each name lives; a test holds it against what type checkers are told above."""


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .trust import load_messages  # noqa: PLC0415 - the package alone loads nothing

    load_messages()
    found: object = getattr(import_module(room, __name__), name)
    # From now on it is found without a question.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
