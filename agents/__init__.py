"""The agents: `TaskManager`, `WorkerAgent`, and all that programs use with them.

A name's module is loaded when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from ..messages import TaskStatus
    from .blobs.store import BlobStore
    from .client.awaited_tasks import WaitedTasks
    from .client.blocking_client import BlockingClient
    from .client.client import Client
    from .execution.handler_requests import GiveUp, RetryLater, TaskDeclined
    from .execution.handlers import Handlers, TaskContext
    from .execution.marked_methods import review_method, task_method
    from .execution.process_pool import ProcessPool
    from .execution.reviews import Rejected, Review
    from .execution.subtasks import Subtask
    from .execution.typed_function import TypedFunction
    from .kernel.board.rows import Rows
    from .kernel.matching.explanation import Explanation
    from .kernel.matching.learning_policy import (
        Choice,
        Hold,
        LearningPolicy,
        SettledAttempt,
        WaitingHead,
        WaitingTasks,
    )
    from .kernel.matching.policies import BestFit, ByScore, InOrder, MatchingPolicy
    from .kernel.trace import TraceLog
    from .local.manager import LocalTaskManager
    from .local.task import LocalTask, TaskState
    from .manager.overridable_hooks import OverridableHooks
    from .manager.own_matching import WorkerDetail
    from .manager.task_manager import TaskManager
    from .mcp.handlers import McpHandlers
    from .mcp.server import McpServer, McpTool
    from .models.handlers import ModelHandlers
    from .models.price import ModelLimits, Price
    from .models.reviewing import Rubric
    from .one_machine.muster import Muster
    from .report.file import write_report
    from .report.html import render_html
    from .report.model import RunReport, TaskReport, WorkerReport
    from .report.text import render_summary, render_text
    from .schedules.listing import ScheduleState
    from .security.ticket import Ticket
    from .simulation.memory_network import FaultPlan, MemoryNetwork, SeededFaults
    from .simulation.rehearsal import rehearse
    from .simulation.runner import Conditions, simulate
    from .simulation.virtual_time import run_in_virtual_time
    from .simulation.workload import StressStory
    from .standby.standby import Standby
    from .state_file.bridge import StateFileBridge
    from .state_file.manager import StateFileTaskManager
    from .store.jet_stream import JetStreamStore
    from .store.memory import MemoryStore
    from .store.protocol import Store
    from .store.sqlite import SqliteStore, read_store
    from .submission.call_future import CallFuture
    from .submission.flows import chain, chord, group, map_reduce
    from .submission.parts import StreamedPart
    from .submission.questions import OpenQuestion
    from .trace.follow import follow
    from .transport.ceylon_api import (
        DEFAULT_WORKSPACE_ID,
        AgentDetail,
        BaseAgent,
        PeerMode,
        on,
        on_connect,
        on_run,
    )
    from .worker.dask_cluster import DaskCluster
    from .worker.health import check_worker_health
    from .worker.ray_cluster import RayCluster
    from .worker.specialized_worker import SpecializedWorker
    from .worker.worker_agent import WorkerAgent
    from .worker_pool.fork_server import ForkServer
    from .worker_pool.pool import WorkerPool
    from .worker_pool.processes import LocalProcesses

__all__ = [
    "DEFAULT_WORKSPACE_ID",
    "AgentDetail",
    "BaseAgent",
    "BestFit",
    "BlobStore",
    "BlockingClient",
    "ByScore",
    "CallFuture",
    "Choice",
    "Client",
    "Conditions",
    "DaskCluster",
    "Explanation",
    "FaultPlan",
    "ForkServer",
    "GiveUp",
    "Handlers",
    "Hold",
    "InOrder",
    "JetStreamStore",
    "LearningPolicy",
    "LocalProcesses",
    "LocalTask",
    "LocalTaskManager",
    "MatchingPolicy",
    "McpHandlers",
    "McpServer",
    "McpTool",
    "MemoryNetwork",
    "MemoryStore",
    "ModelHandlers",
    "ModelLimits",
    "Muster",
    "OpenQuestion",
    "OverridableHooks",
    "PeerMode",
    "Price",
    "ProcessPool",
    "RayCluster",
    "Rejected",
    "RetryLater",
    "Review",
    "Rows",
    "Rubric",
    "RunReport",
    "ScheduleState",
    "SeededFaults",
    "SettledAttempt",
    "SpecializedWorker",
    "SqliteStore",
    "Standby",
    "StateFileBridge",
    "StateFileTaskManager",
    "Store",
    "StreamedPart",
    "StressStory",
    "Subtask",
    "TaskContext",
    "TaskDeclined",
    "TaskManager",
    "TaskReport",
    "TaskState",
    "TaskStatus",
    "Ticket",
    "TraceLog",
    "TypedFunction",
    "WaitedTasks",
    "WaitingHead",
    "WaitingTasks",
    "WorkerAgent",
    "WorkerDetail",
    "WorkerPool",
    "WorkerReport",
    "chain",
    "check_worker_health",
    "chord",
    "follow",
    "group",
    "map_reduce",
    "on",
    "on_connect",
    "on_run",
    "read_store",
    "rehearse",
    "render_html",
    "render_summary",
    "render_text",
    "review_method",
    "run_in_virtual_time",
    "simulate",
    "task_method",
    "write_report",
]

_MODULES = {
    "AgentDetail": ".transport.ceylon_api",
    "BaseAgent": ".transport.ceylon_api",
    "BestFit": ".kernel.matching.policies",
    "BlobStore": ".blobs.store",
    "BlockingClient": ".client.blocking_client",
    "CallFuture": ".submission.call_future",
    "Client": ".client.client",
    "ByScore": ".kernel.matching.policies",
    "Conditions": ".simulation.runner",
    "DEFAULT_WORKSPACE_ID": ".transport.ceylon_api",
    "DaskCluster": ".worker.dask_cluster",
    "Explanation": ".kernel.matching.explanation",
    "FaultPlan": ".simulation.memory_network",
    "Handlers": ".execution.handlers",
    "InOrder": ".kernel.matching.policies",
    "LocalProcesses": ".worker_pool.processes",
    "LocalTask": ".local.task",
    "LocalTaskManager": ".local.manager",
    "Choice": ".kernel.matching.learning_policy",
    "Hold": ".kernel.matching.learning_policy",
    "JetStreamStore": ".store.jet_stream",
    "LearningPolicy": ".kernel.matching.learning_policy",
    "SettledAttempt": ".kernel.matching.learning_policy",
    "WaitedTasks": ".client.awaited_tasks",
    "WaitingHead": ".kernel.matching.learning_policy",
    "WaitingTasks": ".kernel.matching.learning_policy",
    "MatchingPolicy": ".kernel.matching.policies",
    "McpHandlers": ".mcp.handlers",
    "McpServer": ".mcp.server",
    "McpTool": ".mcp.server",
    "MemoryNetwork": ".simulation.memory_network",
    "MemoryStore": ".store.memory",
    "ModelHandlers": ".models.handlers",
    "ModelLimits": ".models.price",
    "Price": ".models.price",
    "Rubric": ".models.reviewing",
    "Muster": ".one_machine.muster",
    "OpenQuestion": ".submission.questions",
    "OverridableHooks": ".manager.overridable_hooks",
    "PeerMode": ".transport.ceylon_api",
    "RayCluster": ".worker.ray_cluster",
    "ProcessPool": ".execution.process_pool",
    "Rejected": ".execution.reviews",
    "Review": ".execution.reviews",
    "Rows": ".kernel.board.rows",
    "RunReport": ".report.model",
    "ScheduleState": ".schedules.listing",
    "SeededFaults": ".simulation.memory_network",
    "SpecializedWorker": ".worker.specialized_worker",
    "SqliteStore": ".store.sqlite",
    "Standby": ".standby.standby",
    "StateFileBridge": ".state_file.bridge",
    "StateFileTaskManager": ".state_file.manager",
    "Store": ".store.protocol",
    "StreamedPart": ".submission.parts",
    "StressStory": ".simulation.workload",
    "Subtask": ".execution.subtasks",
    "TaskContext": ".execution.handlers",
    "TaskDeclined": ".execution.handler_requests",
    "GiveUp": ".execution.handler_requests",
    "RetryLater": ".execution.handler_requests",
    "TaskManager": ".manager.task_manager",
    "TaskReport": ".report.model",
    "TaskState": ".local.task",
    "TaskStatus": "..messages",
    "Ticket": ".security.ticket",
    "TraceLog": ".kernel.trace",
    "TypedFunction": ".execution.typed_function",
    "WorkerAgent": ".worker.worker_agent",
    "WorkerDetail": ".manager.own_matching",
    "ForkServer": ".worker_pool.fork_server",
    "WorkerPool": ".worker_pool.pool",
    "WorkerReport": ".report.model",
    "chain": ".submission.flows",
    "review_method": ".execution.marked_methods",
    "task_method": ".execution.marked_methods",
    "check_worker_health": ".worker.health",
    "chord": ".submission.flows",
    "group": ".submission.flows",
    "map_reduce": ".submission.flows",
    "follow": ".trace.follow",
    "on": ".transport.ceylon_api",
    "on_connect": ".transport.ceylon_api",
    "on_run": ".transport.ceylon_api",
    "read_store": ".store.sqlite",
    "rehearse": ".simulation.rehearsal",
    "render_html": ".report.html",
    "render_summary": ".report.text",
    "render_text": ".report.text",
    "run_in_virtual_time": ".simulation.virtual_time",
    "simulate": ".simulation.runner",
    "write_report": ".report.file",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
