"""What a model can call while it works on a task: a tool with a name and a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ...messages import Payload
from ..execution.handlers import TaskContext

JsonSchema: TypeAlias = Mapping[str, Any]


@runtime_checkable
class Tool(Protocol):
    """One tool."""

    @property
    def name(self) -> str:
        """Its name: letters, digits, "_" and "-", 64 characters at most."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model."""
        ...

    @property
    def schema(self) -> JsonSchema:
        """The JSON schema of its arguments, which is that of an object."""
        ...

    async def call(self, arguments: Mapping[str, Payload], context: TaskContext) -> Payload:
        """Call it; what it raises is told to the model as an error.

        Args:
            arguments: the arguments, as the model gave them; nobody has checked them.
            context: the context of the task that the model works on.

        Returns:
            What the model reads: text, or plain data, which are written as JSON.
        """
        ...


@runtime_checkable
class ToolSource(Protocol):
    """Something whose tools come and go, as those of a server do."""

    async def list_tools(self) -> Sequence[Tool]:
        """The tools that there are now; asked once for each task."""
        ...
