"""Simulates runs with injected faults, in virtual time and without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .memory_network import FaultPlan, MemoryNetwork, SeededFaults
    from .rehearsal import rehearse
    from .runner import Conditions, simulate
    from .virtual_time import run_in_virtual_time
    from .workload import StressStory

__all__ = [
    "Conditions",
    "FaultPlan",
    "MemoryNetwork",
    "SeededFaults",
    "StressStory",
    "rehearse",
    "run_in_virtual_time",
    "simulate",
]

_MODULES = {
    "Conditions": ".runner",
    "FaultPlan": ".memory_network",
    "MemoryNetwork": ".memory_network",
    "SeededFaults": ".memory_network",
    "StressStory": ".workload",
    "rehearse": ".rehearsal",
    "run_in_virtual_time": ".virtual_time",
    "simulate": ".runner",
}
"""Where each name lives; a test compares it with what type checkers read above."""

__getattr__, __dir__ = export_lazily(__name__, _MODULES)
