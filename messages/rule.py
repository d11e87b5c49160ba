"""Replaces pydantic's messages for a field by one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


@dataclass(frozen=True, slots=True)
class Rule:
    """Replaces pydantic's messages for the preceding constraints of a field.

    Without it, the message for a union lists each branch, and that for a pattern contains the
    regular expression. The replacement happens in pydantic's core: it costs nothing for valid
    values, and does not change the JSON schema.

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
