"""The agents: `TaskManager` and `WorkerAgent`, and the pure kernel that they drive.

What most programs need is here; the rest is imported from its own room, such as
`muster.agents.board`.
"""

from ..messages import TaskStatus
from .ceylon_agent import AgentDetail, PeerMode, on, on_connect, on_run
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
    "AgentDetail",
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
