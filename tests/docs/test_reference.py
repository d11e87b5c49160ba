"""The reference has every public method that users need, and none that only Muster itself calls."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
GUIDES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "rooms.md"),
]
ENTRY = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", re.MULTILINE)
LIST = re.compile(r"^      members:\n((?:        - \w+\n)+)", re.MULTILINE)

PLUMBING: Mapping[str, str] = {
    "TaskManager": """
        serve serve_over joining_failed report_fault wants_results recorded run_settled receive
        address_changed send_model has_met_admin count_received recorded_deadlines recorded_stats
        watch_writes stamp_assignments try_store lose_worker nats_address has_nats_beside_ceylon
    """,
    "WorkerAgent": """
        serve serve_over joining_failed report_fault receive address_changed send_model perform
        surround hand_to_handlers member_appeared can_dial_again is_done is_ticket_outdated
        task_functions
    """,
    "Handlers": """
        functions watch has_plain refuse_contexts start run start_review at_most_once_types
    """,
    "Subtask": "take open settled",
    "TaskContext": """
        mark_cancelled complete has_report suspended_s wait_in_thread cancel_waits stop_waiting
        senders open_stream end_stream close_stream own_output has_output
    """,
}
"""What is public for other modules of Muster alone, by class. A user needs none of it."""

OF_AGENTS = """
    is_done member_appeared can_dial_again address send discard renew has_met_anyone dial_again
    settle settle_like network_file go_to_admin claim_port stop_serving run current_instance
    start_run_handlers cancel_handlers need_ceylon_for
    on_message on_agent_connected model_handlers hand_to_handlers find_declared_handler remember
"""
"""What the base class of manager and worker has for Ceylon and for Muster's own shells."""


def find(path: str) -> Any:
    names = path.split(".")
    for length in range(len(names), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(names[:length]))
        except ModuleNotFoundError:
            continue
        for name in names[length:]:
            found = getattr(found, name)
        return found
    raise LookupError(path)


def is_method(member: object) -> bool:
    return isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member)


ENTRIES = {
    path: (find(path), options)
    for page in PAGES
    for path, options in ENTRY.findall(page.read_text(encoding="utf-8"))
}
CLASSES: dict[type, str] = {
    found: options for found, options in ENTRIES.values() if inspect.isclass(found)
}


PARTS = {
    find("muster.agents.OverridableHooks"),
    find("muster.agents.worker.activity.WorkerActivity"),
}
"""Parts of other classes; what those inherit from them stands here alone."""


def public_methods(owner: type) -> set[str]:
    """The public methods of a class, without those of other classes in the reference."""
    elsewhere: set[type] = set(PARTS) - {owner}
    for base in owner.__mro__[1:]:
        if base in CLASSES and base not in PARTS:
            elsewhere.update(base.__mro__)
    lineage = [owner] if owner in PARTS else owner.__mro__
    return {
        name
        for each in lineage
        if each.__module__.startswith("muster") and each not in elsewhere
        for name, member in vars(each).items()
        if not name.startswith("_") and is_method(member)
    }


def listed_of(owner: type) -> set[str]:
    """What the reference lists of a class by name."""
    found = LIST.search(CLASSES[owner])
    return set(re.findall(r"- (\w+)", found[1])) if found else set()


def shown_of(owner: type) -> set[str]:
    """The methods of a class that the reference shows."""
    if listed := listed_of(owner):
        return listed
    inherits = "inherited_members: true" in CLASSES[owner]
    return {name for name in public_methods(owner) if inherits or name in vars(owner)}


def plumbing_of(owner: type) -> set[str]:
    names = set(PLUMBING.get(owner.__name__, "").split())
    if owner.__name__ in ("TaskManager", "WorkerAgent"):
        names.update(OF_AGENTS.split())
    return names


def called_in(program: ast.AST) -> set[str]:
    """The attributes that a program uses, except those of modules such as `asyncio.run`."""
    nodes = list(ast.walk(program))
    modules = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id in modules)
    }


def test_each_public_method_is_shown_or_is_plumbing() -> None:
    wrong: dict[str, set[str]] = {}
    for owner in CLASSES:
        methods, shown, plumbing = public_methods(owner), shown_of(owner), plumbing_of(owner)
        gone = {name for name in shown | plumbing if not hasattr(owner, name)}
        # What is neither is to be listed in docs/api or named as plumbing; nothing is both.
        if wrong_names := (methods - shown - plumbing) | (shown & plumbing) | gone:
            wrong[owner.__name__] = wrong_names
    assert wrong == {}


def test_whatever_is_shown_has_a_docstring() -> None:
    bare = {owner.__name__ for owner in CLASSES if not inspect.getdoc(owner)}
    bare |= {
        f"{owner.__name__}.{name}"
        for owner in CLASSES
        for name in shown_of(owner)
        if is_method(member := inspect.getattr_static(owner, name)) and not inspect.getdoc(member)
    }
    assert bare == set()


def test_whatever_the_documentation_calls_is_in_the_reference() -> None:
    known = {name for owner in CLASSES for name in public_methods(owner)}
    shown = {name for owner in CLASSES for name in shown_of(owner)}
    missing: dict[str, set[str]] = {}
    for page in GUIDES:
        text = page.read_text(encoding="utf-8")
        called: set[str] = set()
        for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            called.update(called_in(ast.parse(block)))
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        called.update(re.findall(r"`(?:await )?(?:manager|worker|context|handlers)\.(\w+)", prose))
        if not_shown := (called & known) - shown:
            missing[page.relative_to(ROOT).as_posix()] = not_shown
    assert missing == {}


def test_what_is_inherited_is_shown() -> None:
    manager = shown_of(find("muster.agents.TaskManager"))
    assert {"submit", "submit_nowait", "submit_many", "set_budget", "retry_tasks"} <= manager
    assert {"task", "review", "broadcast_message"} <= shown_of(find("muster.agents.WorkerAgent"))
    assert {"cost", "quality", "decline"} <= shown_of(find("muster.agents.TaskContext"))
