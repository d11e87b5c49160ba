"""Any bytes in a state file are either read or rejected; nothing else is raised."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from muster.agents.state_file.document import StateDocument, encode_empty
from muster.agents.state_file.json_text import InvalidStateDocument

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
NEARLY_TASKS = st.fixed_dictionaries(
    {"type": st.text(max_size=5) | SCALARS, "status": st.sampled_from(["pending", "done", 3])},
    optional={
        "parent_id": SCALARS,
        "locked_by": SCALARS,
        "locked_at": st.datetimes().map(str) | SCALARS,
        "data": VALUES,
    },
)
NEARLY_DOCUMENTS = st.fixed_dictionaries(
    {
        "workflow_type": st.text(max_size=5) | SCALARS,
        "metadata": st.dictionaries(st.text(max_size=5), VALUES, max_size=3) | SCALARS,
        "tasks": st.dictionaries(st.text(max_size=5), NEARLY_TASKS | VALUES, max_size=4) | SCALARS,
    },
    optional={"more": VALUES},
)


def encode(document: StateDocument) -> bytes:
    return b"".join(document.encode())


def made_by_muster() -> bytes:
    document = StateDocument(b"".join(encode_empty("2024-01-01T10:00:00")))
    for number in range(3):
        document.add(f"brew_{number}", {"type": "brew", "status": "pending", "data": {"é": [1]}})
    return encode(document)


@given(st.binary(max_size=200))
@example(b"\x00{\x00}")
@example(b'{"a": ' * 3000)
def test_any_bytes(content: bytes) -> None:
    with suppress(InvalidStateDocument):
        StateDocument(content)


@given(NEARLY_DOCUMENTS, st.sampled_from([None, 2]))
def test_what_is_read_is_what_stands_there(content: Any, indent: int | None) -> None:
    text = json.dumps(content, indent=indent)
    try:
        document = StateDocument(text.encode())
    except InvalidStateDocument:
        return
    # As texts, for what is no number is not equal to itself.
    assert json.loads(encode(document), parse_constant=str) == json.loads(text, parse_constant=str)
    assert encode(StateDocument(encode(document))) == encode(document)


@given(st.data())
def test_a_few_bytes_changed_are_read_or_refused_but_never_misread(data: st.DataObject) -> None:
    content = bytearray(made_by_muster())
    known = StateDocument(bytes(content))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        known.refresh(bytes(content))
    except InvalidStateDocument:
        return
    assert json.loads(encode(known)) == json.loads(bytes(content))
