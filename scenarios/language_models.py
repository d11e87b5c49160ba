"""Eleven language models: how often each is right by type of question, and what it costs."""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from ..agents.execution.handlers import Handlers, TaskContext
from ..agents.transport.link import Link
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import Task, TaskAssignment, TaskResult

RATES_FILE = Path(__file__).with_name("rates") / "llm_success_rates.csv"

DECLARED_SKILL = 5
"""What every model says of itself; it is also the difficulty of every question."""

# Made up: round prices and durations that differ about as those of small and large models do.
_CENTS_AND_SECONDS: Mapping[str, tuple[float, float]] = {
    "mistral-7b-chat": (0.05, 1.0),
    "WizardLM-13B-V1.2": (0.1, 1.5),
    "mixtral-8x7b-chat": (0.2, 1.5),
    "code-llama-instruct-34b-chat": (0.25, 2.0),
    "Yi-34B-Chat": (0.25, 2.0),
    "llama-2-70b-chat": (0.3, 3.0),
    "gpt-3.5-turbo-1106": (0.4, 1.5),
    "claude-instant-v1": (0.5, 1.5),
    "claude-v1": (2.4, 4.0),
    "claude-v2": (2.4, 4.0),
    "gpt-4-1106-preview": (4.0, 6.0),
}


_LOOKS_EVERY_S = 0.1


class WrongAnswer(Exception):
    """A model's answer is wrong."""


class ModelWorker(WorkerAgent):
    """A worker that joins when it is due; see `RatedModel.worker`."""

    is_due: Callable[[], bool] | None = None

    @override
    async def serve_over(self, link: Link, *arguments: Any, **options: Any) -> None:
        """Join and work, once it is due."""
        # The run in which it is due may be any of several, so there is no event to wait for.
        while self.is_due is not None and not self.is_due():  # noqa: ASYNC110
            await asyncio.sleep(_LOOKS_EVERY_S)
        await super().serve_over(link, *arguments, **options)

    @override
    async def perform(self, assignment: TaskAssignment) -> TaskResult:
        """Answer; a wrong answer is a failed result and no fault of the code, so nothing is logged.

        Args:
            assignment: the question.
        """
        began_at = asyncio.get_running_loop().time()
        try:
            return await super().perform(assignment)
        except WrongAnswer as fault:
            return TaskResult(
                task_id=assignment.task.id,
                worker=self.name,
                success=False,
                execution_time=asyncio.get_running_loop().time() - began_at,
                error_message=f"{type(fault).__name__}: {fault}",
                attempt=assignment.attempt,
            )


@dataclass(frozen=True, slots=True)
class RatedModel:
    """A worker that is right as often as a real language model.

    Args:
        name: the model's name.
        rates: how often it is right, 0 to 1, by type of question.
        cents: what an answer costs, in cents.
        answers_in_s: how long an answer takes on average, in seconds.
    """

    name: str
    rates: Mapping[str, float]
    cents: float
    answers_in_s: float

    @property
    def mean_rate(self) -> float:
        """How often it is right over all types."""
        return sum(self.rates.values()) / len(self.rates)

    def worker(self, seed: int, slots: int, is_due: Callable[[], bool] | None) -> WorkerAgent:
        """A worker that answers as this model does.

        Args:
            seed: the seed of its luck.
            slots: how many questions it answers at once.
            is_due: whether it joins by now; None if it joins at once.
        """
        handlers = Handlers()

        async def answer(task: Task, context: TaskContext) -> str:
            # The same luck for this model whatever else happens in the run.
            key = f"{seed}/{task.id}/{self.name}/{context.attempt}"
            luck = random.Random(key)  # noqa: S311 - reproducible, no secret
            is_right = luck.random() < self.rates[task.type]
            await asyncio.sleep(self.answers_in_s * luck.uniform(0.7, 1.3))
            if not is_right:
                raise WrongAnswer("the answer is wrong")
            return "the right answer"

        for each in self.rates:
            handlers.task(each)(answer)
        worker = ModelWorker(
            self.name, DECLARED_SKILL, slots=slots, handlers=handlers, cost_per_task=self.cents
        )
        worker.is_due = is_due
        return worker


def read_models() -> list[RatedModel]:
    """The eleven models, the cheapest first."""
    with RATES_FILE.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [
        RatedModel(name, {row["task_type"]: float(row[name]) for row in rows}, cents, answers_in_s)
        for name, (cents, answers_in_s) in _CENTS_AND_SECONDS.items()
    ]


def draw_questions(seed: int, count: int, types: Sequence[str]) -> list[Task]:
    """Questions of all types, drawn by chance.

    Args:
        seed: the seed of the choice.
        count: how many.
        types: the types.
    """
    luck = random.Random(f"{seed}/questions")  # noqa: S311 - reproducible, no secret
    drawn = [luck.choice(types) for _ in range(count)]
    return [
        Task(id=number, description=f"Answer {each}", difficulty=DECLARED_SKILL, type=each)
        for number, each in enumerate(drawn, start=1)
    ]
