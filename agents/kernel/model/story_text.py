"""Tells the story of a task in words, for error messages."""

from __future__ import annotations

from .occurrence_text import describe_facts
from .records import TaskRecord


def describe_since(record: TaskRecord) -> str:
    """What happened to a task at `since`, in words that follow "it"."""
    return "was added" if record.retried_at is None else "began anew"


def describe_story(record: TaskRecord) -> str:
    """A task's story as one line, for error messages."""
    started = record.added_at
    parts = [
        f"+{each.at - started:g} s {each.what.value}"
        + (f" {each.attempt}" if each.attempt else "")
        + (f" by {each.worker}" if each.worker else "")
        + (f" ({facts})" if (facts := describe_facts(each)) else "")
        for each in record.story
    ]
    if record.forgotten:
        parts.insert(0, f"{record.forgotten} earlier occurrences dropped")
    return "; ".join(parts)
