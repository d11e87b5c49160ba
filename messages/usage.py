"""What an attempt has used of a model: its name, and the tokens that went in and came out."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

MAX_MODEL_CHARACTERS = 200

MAX_TOKENS = 10**12
"""The maximum number of tokens of one attempt, so that no worker can make a sum absurd."""

TokenCount = Annotated[int, Field(ge=0, le=MAX_TOKENS)]


class ModelUsage(NamedTuple):
    """What one attempt has used of a model.

    Args:
        model: the model's name, 200 characters at most.
        tokens_in: how many tokens went in, 0 to 10**12.
        tokens_out: how many tokens came out, 0 to 10**12.
    """

    model: Annotated[str, Field(max_length=MAX_MODEL_CHARACTERS)]
    tokens_in: TokenCount = 0
    tokens_out: TokenCount = 0
