"""The classes that an agent inherits from keep out of each other's private attributes."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest
from muster.agents import SpecializedWorker, TaskManager, WorkerAgent


def own_private_attributes(cls: type) -> set[str]:
    """The private attributes that a class's own methods set."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and node.attr.startswith("_")
    }


@pytest.mark.parametrize("agent", [TaskManager, WorkerAgent, SpecializedWorker])
def test_no_two_classes_of_an_agent_set_the_same_private_attribute(agent: type) -> None:
    owner: dict[str, str] = {}
    for cls in agent.__mro__:
        if cls.__module__.startswith("muster."):
            for name in own_private_attributes(cls):
                assert owner.setdefault(name, cls.__name__) == cls.__name__, name
    assert owner
