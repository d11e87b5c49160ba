"""The agents: `TaskManager`, `WorkerAgent`, and all that programs use with them.

A name's module is loaded when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from ..messages import TaskStatus as TaskStatus
    from .blobs.store import BlobStore as BlobStore
    from .client.awaited_tasks import WaitedTasks as WaitedTasks
    from .client.blocking_client import BlockingClient as BlockingClient
    from .client.client import Client as Client
    from .execution.handler_requests import (
        GiveUp as GiveUp,
        RetryLater as RetryLater,
        TaskDeclined as TaskDeclined,
    )
    from .execution.handlers import Handlers as Handlers, TaskContext as TaskContext
    from .execution.marked_methods import review_method as review_method, task_method as task_method
    from .execution.process_pool import ProcessPool as ProcessPool
    from .execution.reviews import Rejected as Rejected, Review as Review
    from .execution.subtasks import Subtask as Subtask
    from .execution.typed_function import TypedFunction as TypedFunction
    from .kernel.board.rows import Rows as Rows
    from .kernel.matching.explanation import Explanation as Explanation
    from .kernel.matching.learning_policy import (
        Choice as Choice,
        Hold as Hold,
        LearningPolicy as LearningPolicy,
        SettledAttempt as SettledAttempt,
        WaitingHead as WaitingHead,
        WaitingTasks as WaitingTasks,
    )
    from .kernel.matching.policies import (
        BestFit as BestFit,
        ByScore as ByScore,
        InOrder as InOrder,
        MatchingPolicy as MatchingPolicy,
    )
    from .kernel.trace import TraceLog as TraceLog
    from .local.manager import LocalTaskManager as LocalTaskManager
    from .local.task import LocalTask as LocalTask, TaskState as TaskState
    from .manager.overridable_hooks import OverridableHooks as OverridableHooks
    from .manager.own_matching import WorkerDetail as WorkerDetail
    from .manager.task_manager import TaskManager as TaskManager
    from .mcp.handlers import McpHandlers as McpHandlers
    from .mcp.server import McpServer as McpServer, McpTool as McpTool
    from .models.handlers import ModelHandlers as ModelHandlers
    from .models.price import ModelLimits as ModelLimits, Price as Price
    from .models.reviewing import Rubric as Rubric
    from .one_machine.muster import Muster as Muster
    from .report.file import write_report as write_report
    from .report.html import render_html as render_html
    from .report.model import (
        RunReport as RunReport,
        TaskReport as TaskReport,
        WorkerReport as WorkerReport,
    )
    from .report.text import render_summary as render_summary, render_text as render_text
    from .schedules.listing import ScheduleState as ScheduleState
    from .security.ticket import Ticket as Ticket
    from .simulation.memory_network import (
        FaultPlan as FaultPlan,
        MemoryNetwork as MemoryNetwork,
        SeededFaults as SeededFaults,
    )
    from .simulation.rehearsal import rehearse as rehearse
    from .simulation.runner import Conditions as Conditions, simulate as simulate
    from .simulation.virtual_time import run_in_virtual_time as run_in_virtual_time
    from .simulation.workload import StressStory as StressStory
    from .standby.standby import Standby as Standby
    from .state_file.bridge import StateFileBridge as StateFileBridge
    from .state_file.manager import StateFileTaskManager as StateFileTaskManager
    from .store.jet_stream import JetStreamStore as JetStreamStore
    from .store.memory import MemoryStore as MemoryStore
    from .store.protocol import Store as Store
    from .store.sqlite import SqliteStore as SqliteStore, read_store as read_store
    from .submission.call_future import CallFuture as CallFuture
    from .submission.flows import (
        chain as chain,
        chord as chord,
        group as group,
        map_reduce as map_reduce,
    )
    from .submission.parts import StreamedPart as StreamedPart
    from .submission.questions import OpenQuestion as OpenQuestion
    from .trace.follow import follow as follow
    from .transport.ceylon_api import (
        DEFAULT_WORKSPACE_ID as DEFAULT_WORKSPACE_ID,
        AgentDetail as AgentDetail,
        BaseAgent as BaseAgent,
        PeerMode as PeerMode,
        on as on,
        on_connect as on_connect,
        on_run as on_run,
    )
    from .worker.dask_cluster import DaskCluster as DaskCluster
    from .worker.health import check_worker_health as check_worker_health
    from .worker.ray_cluster import RayCluster as RayCluster
    from .worker.specialized_worker import SpecializedWorker as SpecializedWorker
    from .worker.worker_agent import WorkerAgent as WorkerAgent
    from .worker_pool.fork_server import ForkServer as ForkServer
    from .worker_pool.pool import WorkerPool as WorkerPool
    from .worker_pool.processes import LocalProcesses as LocalProcesses

_MODULES = {
    "..messages": ("TaskStatus",),
    ".blobs.store": ("BlobStore",),
    ".client.awaited_tasks": ("WaitedTasks",),
    ".client.blocking_client": ("BlockingClient",),
    ".client.client": ("Client",),
    ".execution.handler_requests": ("GiveUp", "RetryLater", "TaskDeclined"),
    ".execution.handlers": ("Handlers", "TaskContext"),
    ".execution.marked_methods": ("review_method", "task_method"),
    ".execution.process_pool": ("ProcessPool",),
    ".execution.reviews": ("Rejected", "Review"),
    ".execution.subtasks": ("Subtask",),
    ".execution.typed_function": ("TypedFunction",),
    ".kernel.board.rows": ("Rows",),
    ".kernel.matching.explanation": ("Explanation",),
    ".kernel.matching.learning_policy": (
        "Choice",
        "Hold",
        "LearningPolicy",
        "SettledAttempt",
        "WaitingHead",
        "WaitingTasks",
    ),
    ".kernel.matching.policies": ("BestFit", "ByScore", "InOrder", "MatchingPolicy"),
    ".kernel.trace": ("TraceLog",),
    ".local.manager": ("LocalTaskManager",),
    ".local.task": ("LocalTask", "TaskState"),
    ".manager.overridable_hooks": ("OverridableHooks",),
    ".manager.own_matching": ("WorkerDetail",),
    ".manager.task_manager": ("TaskManager",),
    ".mcp.handlers": ("McpHandlers",),
    ".mcp.server": ("McpServer", "McpTool"),
    ".models.handlers": ("ModelHandlers",),
    ".models.price": ("ModelLimits", "Price"),
    ".models.reviewing": ("Rubric",),
    ".one_machine.muster": ("Muster",),
    ".report.file": ("write_report",),
    ".report.html": ("render_html",),
    ".report.model": ("RunReport", "TaskReport", "WorkerReport"),
    ".report.text": ("render_summary", "render_text"),
    ".schedules.listing": ("ScheduleState",),
    ".security.ticket": ("Ticket",),
    ".simulation.memory_network": ("FaultPlan", "MemoryNetwork", "SeededFaults"),
    ".simulation.rehearsal": ("rehearse",),
    ".simulation.runner": ("Conditions", "simulate"),
    ".simulation.virtual_time": ("run_in_virtual_time",),
    ".simulation.workload": ("StressStory",),
    ".standby.standby": ("Standby",),
    ".state_file.bridge": ("StateFileBridge",),
    ".state_file.manager": ("StateFileTaskManager",),
    ".store.jet_stream": ("JetStreamStore",),
    ".store.memory": ("MemoryStore",),
    ".store.protocol": ("Store",),
    ".store.sqlite": ("SqliteStore", "read_store"),
    ".submission.call_future": ("CallFuture",),
    ".submission.flows": ("chain", "chord", "group", "map_reduce"),
    ".submission.parts": ("StreamedPart",),
    ".submission.questions": ("OpenQuestion",),
    ".trace.follow": ("follow",),
    ".transport.ceylon_api": (
        "DEFAULT_WORKSPACE_ID",
        "AgentDetail",
        "BaseAgent",
        "PeerMode",
        "on",
        "on_connect",
        "on_run",
    ),
    ".worker.dask_cluster": ("DaskCluster",),
    ".worker.health": ("check_worker_health",),
    ".worker.ray_cluster": ("RayCluster",),
    ".worker.specialized_worker": ("SpecializedWorker",),
    ".worker.worker_agent": ("WorkerAgent",),
    ".worker_pool.fork_server": ("ForkServer",),
    ".worker_pool.pool": ("WorkerPool",),
    ".worker_pool.processes": ("LocalProcesses",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
