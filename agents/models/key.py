"""The key of a model server: from the environment or a file, and shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from ...messages import InvalidInput
from ..runtime.terminal_text import terminal_line

KEY_VARIABLES = ("MUSTER_MODEL_KEY", "OPENAI_API_KEY")
_MAX_KEY_BYTES = 8 * 1024
_MAX_SHOWN_CHARACTERS = 300


def find_key(key_file: str | Path | None, environment: Mapping[str, str]) -> SecretStr | None:
    """The key in a file, or else in the environment; None if there is none.

    Args:
        key_file: the file; None for the environment.
        environment: the environment variables.

    Raises:
        InvalidInput: the file can't be read, or what is there is no key. The message does not show
            it.
    """
    if key_file is None:
        found = ((name, environment.get(name, "").strip()) for name in KEY_VARIABLES)
        name, text = next(((name, text) for name, text in found if text), ("", ""))
        return _checked(text, f"the environment variable {name}") if text else None
    try:
        with Path(key_file).open("rb") as file:
            content = file.read(_MAX_KEY_BYTES + 1)
    except OSError as fault:
        raise InvalidInput(
            f"the key file {str(key_file)!r} can't be read: {fault.strerror or fault}"
        ) from None
    return _checked(content.decode("utf-8", "replace").strip(), f"the key file {str(key_file)!r}")


def _checked(text: str, place: str) -> SecretStr:
    is_key = text.isascii() and text.isprintable() and " " not in text
    if not text or not is_key or len(text) > _MAX_KEY_BYTES:
        raise InvalidInput(
            f"{place} holds no key; it must be one line of ASCII characters without spaces"
        )
    return SecretStr(text)


def without_key(text: str, key: SecretStr | None) -> str:
    """A text of a server on one line, shortened, and without the key, which servers often quote.

    Args:
        text: the text.
        key: the key; None if there is none.
    """
    hidden = text.replace(key.get_secret_value(), "[key]") if key is not None else text
    line = " ".join(hidden[: 10 * _MAX_SHOWN_CHARACTERS].split())
    return terminal_line(line)[:_MAX_SHOWN_CHARACTERS]
