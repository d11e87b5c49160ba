"""Which errors are nobody's skill."""

from __future__ import annotations

import pytest
from muster.agents.kernel.matching.scorecards.skill_errors import is_skill_error


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ConnectionRefusedError", "ConnectionRefusedError: [Errno 111] Connection refused"),
        ("ConnectionResetError", ""),
        ("MemoryError", "MemoryError"),
        ("BrokenProcessPool", ""),
        ("MemoryLimit", "MemoryLimit: the process used 812 MB; max_memory_mb is 500"),
        ("openai.RateLimitError", "openai.RateLimitError: 429"),
        ("APIError", "APIError: 429 Too Many Requests"),
        ("OSError", "OSError: [Errno 12] Cannot allocate memory"),
        ("OSError", "OSError: [Errno 28] No space left on device"),
        ("APIConnectionError", ""),
        ("HTTPError", "HTTPError: 503 Service Unavailable"),
    ],
)
def test_want_of_a_connection_or_of_memory_is_nobodys_skill(kind, message):
    assert not is_skill_error(kind, message)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ValueError", "ValueError: no such column"),
        ("timed out", "timed out: after 3 s"),
        ("TimeoutError", ""),
        ("too difficult", "too difficult: skill 3 is below difficulty 5"),
        ("KeyError", "KeyError: 'connection'"),
        ("ModuleNotFoundError", "ModuleNotFoundError: No module named 'torch'"),
        ("", ""),
    ],
)
def test_other_errors_count_as_skill(kind, message):
    assert is_skill_error(kind, message)


def test_a_long_message_is_not_searched_to_its_end():
    assert is_skill_error("ValueError", "ValueError: " + "x" * 1_000 + " connection refused")
