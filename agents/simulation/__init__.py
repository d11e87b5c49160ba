"""Simulates runs with injected faults, in virtual time and without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.lazy_exports import export_lazily

if TYPE_CHECKING:
    from .memory_network import (
        FaultPlan as FaultPlan,
        MemoryNetwork as MemoryNetwork,
        SeededFaults as SeededFaults,
    )
    from .rehearsal import rehearse as rehearse
    from .runner import Conditions as Conditions, simulate as simulate
    from .virtual_time import run_in_virtual_time as run_in_virtual_time
    from .workload import StressStory as StressStory

_MODULES = {
    ".memory_network": ("FaultPlan", "MemoryNetwork", "SeededFaults"),
    ".rehearsal": ("rehearse",),
    ".runner": ("Conditions", "simulate"),
    ".virtual_time": ("run_in_virtual_time",),
    ".workload": ("StressStory",),
}
"""The names of each module; a test compares them with what type checkers read above."""

__getattr__, __dir__, __all__ = export_lazily(__name__, _MODULES)
