"""A rule that a field must keep, told once and in plain words when it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


@dataclass(frozen=True, slots=True)
class Rule:
    """Puts these words in place of whatever pydantic says of the constraints that stand before it.

    Without it a union names each of its branches, and a pattern shows its regular expression. The
    exchange happens inside pydantic's core, so that it costs nothing while the rule is kept, and
    leaves the JSON schema as it is.

    Args:
        words: the rule, such as "must be an integer from 1 to 10"; no braces.
    """

    words: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="rule", custom_error_message=self.words
        )
