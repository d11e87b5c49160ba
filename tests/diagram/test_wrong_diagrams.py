"""The diagram of each scenario is right, and every error that is put into it is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from muster.agents.diagram import check_diagram, read_sequence

ARROW = re.compile(r"(\s*)(\w+)(-?->>)(\w+): (.*)")


class Plot:
    """A diagram's source, and where lies can be planted.

    Lines within a `loop` are no place for it: what may happen any number of times does not become
    wrong by being said once more.
    """

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()
        depth, loops, open_blocks = 0, [False], []
        self.messages: list[tuple[int, int]] = []
        for number, line in enumerate(self.lines):
            word = line.split()[0] if line.split() else ""
            if word in ("par", "loop", "alt"):
                depth += 1
                open_blocks.append(number)
                loops.append(loops[-1] or word == "loop")
            elif word == "end":
                loops.pop()
                open_blocks.pop()
            elif ARROW.fullmatch(line) and not loops[-1]:
                self.messages.append((number, open_blocks[-1] if open_blocks else -1))
        self.workers = [
            line.split()[1]
            for line in self.lines
            if line.split()[:1] == ["participant"] and line.split()[1] != "TM"
        ]

    def with_line(self, number: int, *instead: str) -> str:
        return "\n".join([*self.lines[:number], *instead, *self.lines[number + 1 :]])

    def part(self, number: int) -> tuple[str, ...]:
        found = ARROW.fullmatch(self.lines[number])
        assert found is not None
        return found.groups()


def wrong_workers(plot: Plot) -> Iterator[str]:
    for number, _ in plot.messages:
        indent, sender, arrow, receiver, text = plot.part(number)
        for other in plot.workers:
            if other not in (sender, receiver):
                ends = (sender, other) if sender == "TM" else (other, receiver)
                yield plot.with_line(number, f"{indent}{ends[0]}{arrow}{ends[1]}: {text}")


def missing_messages(plot: Plot) -> Iterator[str]:
    for number, _ in plot.messages:
        yield plot.with_line(number)


def extra_messages(plot: Plot) -> Iterator[str]:
    for number, _ in plot.messages:
        line = plot.lines[number]
        yield plot.with_line(number, line, line)
        for extra in ("CancelTask(T1)", "TaskAssignment(T1)", "Shutdown", "Greeting"):
            yield plot.with_line(number, line, f"    TM->>{plot.workers[0]}: {extra}")
            yield plot.with_line(number, f"    TM->>{plot.workers[-1]}: {extra}", line)


def swapped_messages(plot: Plot) -> Iterator[str]:
    for (one, its_block), (other, others_block) in zip(
        plot.messages, plot.messages[1:], strict=False
    ):
        if its_block == others_block != -1:
            # In a block their order is open.
            continue
        swapped = list(plot.lines)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield "\n".join(swapped)


def turned_arrows(plot: Plot) -> Iterator[str]:
    for number, _ in plot.messages:
        indent, sender, arrow, receiver, text = plot.part(number)
        yield plot.with_line(number, f"{indent}{receiver}{arrow}{sender}: {text}")


def wrong_claims(plot: Plot) -> Iterator[str]:
    for number, line in enumerate(plot.lines):
        # Also in loops, for what is said there of each is wrong of each.
        if "success=true" in line:
            yield plot.with_line(number, line.replace("success=true", "success=false"))
        elif "success=false" in line:
            yield plot.with_line(number, line.replace("success=false", "success=true"))
        for claim in re.findall(r"(?:difficulty|priority|timeout)=\d+", line):
            yield plot.with_line(number, line.replace(claim, f"{claim}7"))
        for task in re.findall(r"\(T\d+", line):
            yield plot.with_line(number, line.replace(task, f"{task}7"))
        for rate in re.findall(r"[\d.]+%", line):
            yield plot.with_line(number, line.replace(rate, f"1{rate}"))
        for duration in re.findall(r"\(?\b\d+ s\b", line):
            if "takes" in line or "Processing (" in line:
                yield plot.with_line(number, line.replace(duration, f"{duration[:-2]}9 s"))


def missing_participants(plot: Plot) -> Iterator[str]:
    for worker in plot.workers:
        named = re.compile(rf"\b{worker}\b")
        yield "\n".join(line for line in plot.lines if not named.search(line))


def wrong_participants(plot: Plot) -> Iterator[str]:
    for number, line in enumerate(plot.lines):
        if line.split()[:1] != ["participant"]:
            continue
        yield plot.with_line(number, line, "    participant Nobody as Nobody (skill 3)")
        if skill := re.search(r"skill (\d+)", line):
            yield plot.with_line(number, line.replace(skill[0], f"skill {int(skill[1]) + 1}"))
            yield plot.with_line(number, line.replace(skill[0], f"{skill[0]}, juggling"))
            yield plot.with_line(number, line.replace(skill[0], f"{skill[0]}, 7 slots"))


LIES = [
    wrong_workers,
    missing_messages,
    extra_messages,
    swapped_messages,
    turned_arrows,
    wrong_claims,
    missing_participants,
    wrong_participants,
]


@pytest.mark.parametrize("plant", LIES, ids=lambda plant: plant.__name__)
def test_each_lie_is_found(
    plant: Callable[[Plot], Iterator[str]],
    story: Any,
    source_of: Callable[[Any], str],
    trace_of_story: Callable[[Any], Any],
) -> None:
    trace = trace_of_story(story)
    lies = list(plant(Plot(source_of(story))))
    believed = [lie for lie in lies if check_diagram(read_sequence(lie), trace, second_s=1.0).holds]
    assert believed == []
    if plant is not wrong_workers:
        assert lies


def test_the_truth_holds(
    story: Any, source_of: Callable[[Any], str], trace_of_story: Callable[[Any], Any]
) -> None:
    verdict = check_diagram(read_sequence(source_of(story)), trace_of_story(story), second_s=1.0)
    assert verdict.mismatch is None


def test_a_lie_is_pointed_at(
    story: Any, source_of: Callable[[Any], str], trace_of_story: Callable[[Any], Any]
) -> None:
    plot = Plot(source_of(story))
    for number, _ in plot.messages:
        indent, sender, arrow, receiver, _ = plot.part(number)
        lie = plot.with_line(number, f"{indent}{sender}{arrow}{receiver}: Greeting")
        verdict = check_diagram(read_sequence(lie), trace_of_story(story))
        assert verdict.mismatch is not None
        assert verdict.mismatch.line == number + 1
        assert "Greeting" in verdict.mismatch.says
