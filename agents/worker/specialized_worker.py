"""A worker whose skill counts more for some task types."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import Unpack

from .options import WorkerOptions
from .worker_agent import WorkerAgent


class SpecializedWorker(WorkerAgent):
    """A worker whose skill counts 2 more for some task types.

    Args:
        name: unique in its workspace.
        skill_level: compared with the difficulty of tasks.
        specialties: the task types for which its skill counts 2 more.
        options: anything else that `WorkerAgent` takes.
    """

    def __init__(
        self,
        name: str,
        skill_level: int,
        specialties: Iterable[str],
        **options: Unpack[WorkerOptions],
    ) -> None:
        super().__init__(name, skill_level, specialties=specialties, **options)
