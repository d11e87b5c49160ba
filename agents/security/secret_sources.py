"""The sources of a workspace's secret: random bytes, a file, or the environment."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from ...messages import InvalidInput
from ..kernel.security.workspace_secret import SECRET_BYTES, WorkspaceSecret
from ..runtime.log import log

SECRET_VARIABLE = "MUSTER_SECRET"  # noqa: S105 - a name, not a secret

_MAX_FILE_BYTES = 1024
_NOT_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def fresh_secret() -> WorkspaceSecret:
    """Generate a random secret."""
    return WorkspaceSecret(secrets.token_bytes(SECRET_BYTES))


def secret_of_environment() -> WorkspaceSecret | None:
    """The secret in the environment variable `MUSTER_SECRET`; None if that is unset or blank.

    Raises:
        InvalidInput: the value is not a valid secret.
    """
    text = os.environ.get(SECRET_VARIABLE, "")
    if not text.strip():
        return None
    try:
        return WorkspaceSecret.from_text(text)
    except InvalidInput as fault:
        raise InvalidInput(f"the environment variable {SECRET_VARIABLE}: {fault}") from None


def read_secret_file(path: str | Path) -> WorkspaceSecret:
    """Read a secret from a file; warns if users other than its owner may read it.

    Raises:
        InvalidInput: the file can't be read, or does not hold a valid secret.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        secret = WorkspaceSecret.from_text(content.decode("ascii", "replace"))
    except OSError as fault:
        raise InvalidInput(
            f"the secret file {str(path)!r} can't be read: {fault.strerror}"
        ) from None
    except InvalidInput as fault:
        raise InvalidInput(f"the secret file {str(path)!r}: {fault}") from None
    if mode & _NOT_FOR_OTHERS and os.name == "posix":
        log.warning(
            "other users can read the secret file; restrict it to its owner: chmod 600",
            file=str(path),
            mode=f"{mode:o}",
        )
    return secret


def write_secret_file(path: str | Path, secret: WorkspaceSecret) -> None:
    """Write a secret to a new file that only its owner may read.

    Raises:
        InvalidInput: the file exists, or can't be written there.
    """
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidInput(
            f"the file {str(path)!r} already exists and is not overwritten; choose another name, "
            "or remove it first"
        ) from None
    except OSError as fault:
        raise InvalidInput(
            f"the secret file {str(path)!r} can't be written: {fault.strerror}"
        ) from None
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secret.reveal()}\n")
    except OSError as fault:
        with contextlib.suppress(OSError):
            path.unlink()
        raise InvalidInput(
            f"the secret file {str(path)!r} can't be written: {fault.strerror}"
        ) from None
