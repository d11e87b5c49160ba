"""Loads learned skills before a run, and saves them while it runs and at its end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ...messages import InvalidInput, Payload
from ..kernel.matching.policies import MatchingPolicy
from ..runtime.clock import now
from ..runtime.log import log
from ..skills.policy_skills import find_scorecards, load_skills
from ..skills.skills_file import read_skills, write_skills

SAVE_EVERY_S = 30.0
"""How often learned skills are saved while a run goes on, in seconds."""


class KeptSkills:
    """Loads skills into a policy, and saves what it has learned.

    Enter it as an asynchronous context for the time of the run. A failure to save is logged.

    Args:
        source: a skills file, which need not exist yet, or the content of one, which is not saved.
        policy: the policy of a run that has not begun.

    Raises:
        InvalidInput: the policy learns no skills; the file can't be read or written; its content
            is not valid.
    """

    def __init__(self, source: str | Path | Mapping[str, Payload], policy: MatchingPolicy) -> None:
        self._policy = policy
        find_scorecards(policy, "skills")
        self._path: Path | None = None
        content: Mapping[str, Payload] | None = None
        if isinstance(source, Mapping):
            content = source
        elif isinstance(source, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance] - users'
            self._path = Path(source)
            if self._path.exists():
                content = read_skills(self._path)
            else:
                log.info("there is no skills file yet; the run will write it", file=source)
            _check_writable(self._path)
        else:
            raise InvalidInput(
                f"skills is {source!r}; it must be a file, the content of a skills file, or None"
            )
        if content is not None:
            load_skills(find_scorecards(policy, "skills"), content, now())
        self._saving: asyncio.Future[None] | None = None
        self._lock = threading.Lock()
        self._exported = 0
        self._written = 0

    async def __aenter__(self) -> None:
        """Save them now and then from now on."""
        if self._path is not None:
            self._saving = asyncio.ensure_future(self._save_regularly())

    async def __aexit__(self, *_: object) -> None:
        """Save them at the end of the run, however it ended."""
        if self._saving is not None:
            self._saving.cancel()
            self._write(*self._export())

    async def _save_regularly(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await loop.run_in_executor(None, self._write, *self._export())

    def _export(self) -> tuple[Mapping[str, Payload], int]:
        self._exported += 1
        return find_scorecards(self._policy, "skills").export(), self._exported

    def _write(self, content: Mapping[str, Payload], number: int) -> None:
        if self._path is None:
            return
        with self._lock:
            if number < self._written:
                # The run has ended meanwhile, and its last skills are written.
                return
            try:
                write_skills(self._path, content)
            except InvalidInput as fault:
                log.error("learned skills can't be saved", reason=str(fault))
            else:
                self._written = number


def _check_writable(path: Path) -> None:
    """Check before a long run that the skills can be saved at its end.

    Raises:
        InvalidInput: they can't.
    """
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise InvalidInput(
            f"the skills file {str(path)!r} can't be written: there is no folder {str(folder)!r}; "
            "create it first"
        )
    if not os.access(folder, os.W_OK):
        raise InvalidInput(
            f"the skills file {str(path)!r} can't be written: no file can be created in "
            f"{str(folder)!r}; choose another folder"
        )
