"""What follows from an event is carried out after its write, and in order."""

from __future__ import annotations

from collections import deque
from typing import Any

from muster.agents.kernel.board.board import Board
from muster.agents.kernel.matching.policy_names import find_policy
from muster.agents.kernel.model.config import Rules
from muster.agents.kernel.model.instructions import AskAboutLeases
from muster.agents.manager.group_commit import GroupCommit
from muster.agents.store.memory import MemoryStore


def instruction(number: int) -> AskAboutLeases:
    return AskAboutLeases(str(number), ())


class Recorder:
    """Carries out instructions by recording them; the first one leads to a nested command."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.commit: GroupCommit | None = None

    def __call__(self, instructions: deque[Any]) -> None:
        while instructions:
            self.done.append(instructions.popleft().worker_id)
            if self.commit is not None and self.done == ["1"]:
                self.commit.add([instruction(3)])
                self.commit.write_at_once()
                assert self.done == ["1", "2", "3"]


def committing(recorder: Recorder) -> GroupCommit:
    return GroupCommit(MemoryStore(), Board(Rules(), find_policy("best_fit")), recorder)


async def test_nothing_is_carried_out_before_it_is_written() -> None:
    recorder = Recorder()
    commit = committing(recorder)
    commit.add([instruction(1), instruction(2)])
    assert recorder.done == []
    await commit.write()
    assert recorder.done == ["1", "2"]


async def test_a_command_within_an_instruction_carries_out_the_older_ones_first() -> None:
    recorder = Recorder()
    recorder.commit = commit = committing(recorder)
    commit.add([instruction(1), instruction(2)])
    await commit.write()
    assert recorder.done == ["1", "2", "3"]


async def test_what_is_to_be_called_before_a_write_is_called_once_and_written_with_it() -> None:
    recorder = Recorder()
    commit = committing(recorder)
    commit.call_before_write(lambda: commit.add([instruction(1)]))
    await commit.write()
    await commit.write()
    assert recorder.done == ["1"]
