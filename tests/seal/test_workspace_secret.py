"""A secret is read from text, and shows itself only when asked to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.agents.kernel.security.workspace_secret import WorkspaceSecret
from muster.messages import InvalidInput

keys = st.binary(min_size=32, max_size=32)


@given(keys)
def test_a_secret_is_read_back_from_what_it_reveals_and_from_hexadecimal(key: bytes) -> None:
    secret = WorkspaceSecret(key)
    for text in (secret.reveal(), secret.reveal() + "=", key.hex(), f" {key.hex().upper()}\n"):
        assert WorkspaceSecret.from_text(text) == secret


@given(keys)
def test_neither_str_nor_repr_shows_a_secret(key: bytes) -> None:
    secret = WorkspaceSecret(key)
    assert {str(secret), repr(secret), f"{secret}"} == {"WorkspaceSecret(hidden)"}


@given(st.text(max_size=80))
def test_a_text_that_is_no_secret_is_refused_and_not_shown(text: str) -> None:
    text = "!" + text
    with pytest.raises(InvalidInput) as caught:
        WorkspaceSecret.from_text(text)
    assert str(caught.value) == (
        f"the secret is a text of {len(text.strip())} characters; it must be 64 hexadecimal digits "
        "or 43 characters of base64url, as `muster secret` prints it"
    )


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a secret of 16 bytes; it must be 32 bytes"):
        WorkspaceSecret(bytes(16))


def test_secrets_are_equal_if_their_bytes_are() -> None:
    one, same, other = (WorkspaceSecret(bytes([number]) * 32) for number in (1, 1, 2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
