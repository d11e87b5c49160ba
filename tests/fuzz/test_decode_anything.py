"""A bounded turn of the fuzzing script; the long one is run by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.messages import DecodeError, decode_message
from muster.messages.codec import unpack
from muster.messages.frame import decode_frame, decode_letter

SCRIPT = Path(__file__).with_name("decode_anything.py")


@pytest.mark.slow
def test_twenty_thousand_inputs_bring_messages_and_decode_errors_alone() -> None:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--count", "20000", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("20,000 inputs, ")


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_decoded_or_refused(data: bytes) -> None:
    for reader in (decode_message, decode_letter, decode_frame, unpack):
        for dressed in (data, b"N.\x01\x00" + data, b"N.\x01\x01" + data):
            try:
                reader(dressed)
            except DecodeError:
                continue
