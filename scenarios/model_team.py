"""Model team: eleven language models earn their questions by what they answer rightly.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Mixtral as mixtral-8x7b-chat (skill 5, 12 slots)
    participant Mistral as mistral-7b-chat (skill 5, 12 slots)
    participant Wizard as WizardLM-13B-V1.2 (skill 5, 12 slots)
    participant CodeLlama as code-llama-instruct-34b-chat (skill 5, 12 slots)
    participant Yi as Yi-34B-Chat (skill 5, 12 slots)
    participant Llama as llama-2-70b-chat (skill 5, 12 slots)
    participant Gpt35 as gpt-3.5-turbo-1106 (skill 5, 12 slots)
    participant ClaudeInstant as claude-instant-v1 (skill 5, 12 slots)
    participant Claude1 as claude-v1 (skill 5, 12 slots)
    participant Claude2 as claude-v2 (skill 5, 12 slots)
    participant Gpt4 as gpt-4-1106-preview (skill 5, 12 slots)

    par Ten models connect
        Mistral->>TM: Connect
        Wizard->>TM: Connect
        CodeLlama->>TM: Connect
        Yi->>TM: Connect
        Llama->>TM: Connect
        Gpt35->>TM: Connect
        ClaudeInstant->>TM: Connect
        Claude1->>TM: Connect
        Claude2->>TM: Connect
        Gpt4->>TM: Connect
    end
    loop 12 people ask one question after another
        alt somebody asks, and the question goes to the model that is worth most for its type
            TM->>Mistral: TaskAssignment
        else
            TM->>Wizard: TaskAssignment
        else
            TM->>Mixtral: TaskAssignment
        else
            TM->>CodeLlama: TaskAssignment
        else
            TM->>Yi: TaskAssignment
        else
            TM->>Llama: TaskAssignment
        else
            TM->>Gpt35: TaskAssignment
        else
            TM->>ClaudeInstant: TaskAssignment
        else
            TM->>Claude1: TaskAssignment
        else
            TM->>Claude2: TaskAssignment
        else
            TM->>Gpt4: TaskAssignment
        else the model answers, rightly or not
            Mistral->>TM: TaskResult
        else
            Wizard->>TM: TaskResult
        else
            Mixtral->>TM: TaskResult
        else
            CodeLlama->>TM: TaskResult
        else
            Yi->>TM: TaskResult
        else
            Llama->>TM: TaskResult
        else
            Gpt35->>TM: TaskResult
        else
            ClaudeInstant->>TM: TaskResult
        else
            Claude1->>TM: TaskResult
        else
            Claude2->>TM: TaskResult
        else
            Gpt4->>TM: TaskResult
        else after half of the questions
            Mixtral->>TM: Connect
        end
    end
    par Shut down
        TM->>Mistral: Shutdown
        TM->>Wizard: Shutdown
        TM->>Mixtral: Shutdown
        TM->>CodeLlama: Shutdown
        TM->>Yi: Shutdown
        TM->>Llama: Shutdown
        TM->>Gpt35: Shutdown
        TM->>ClaudeInstant: Shutdown
        TM->>Claude1: Shutdown
        TM->>Claude2: Shutdown
        TM->>Gpt4: Shutdown
    end
```

Nobody knows beforehand which model is good at which type of question: all models declare the same
skill, and all questions have the same difficulty. How often each model is right, by type, is real:
it comes from RouterBench (Hu et al. 2024), by way of the tables of
[llm-benchmark-routing](https://github.com/Mark77aSSIST/llm-benchmark-routing) (MIT). The prices and
durations are made up. An attempt succeeds if the answer is right.

The run is in virtual time, so it takes seconds. Then the same questions are asked under other
policies, with the same luck for each model. The last lines compare them: how many answers were
right, what they cost, and how the model that joined late proved itself. In the HTML report, which
`--report FILE` writes, a heat map shows what the manager has learned of each model.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ..agents.kernel.matching.policies import InOrder, MatchingPolicy
from ..agents.kernel.model.records import WorkerRecord
from ..agents.manager.task_manager import TaskManager
from ..agents.simulation.rehearsal import rehearse
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Task
from .language_models import RatedModel, draw_questions, read_models
from .scenario import ManagerSeen, Scenario, perform

if TYPE_CHECKING:
    from ..agents.report.model import RunReport, TaskReport

SEED = 1
QUESTIONS = 800
PEOPLE = 12
"""How many people ask; each asks the next question when the last one is answered."""

WORTH_CENTS = 10
"""What a right answer is worth."""

NEWCOMER = "mixtral-8x7b-chat"
"""The model that joins after half of the questions."""

_MOST_QUESTIONS = 20_000
_PARTS = 4


class ModelTeam(Scenario):
    """Eleven language models earn their questions by what they answer rightly."""

    takes: ClassVar[str] = f"QUESTIONS: how many questions are asked ({QUESTIONS})"
    in_virtual_time: ClassVar[bool] = True

    policy: ClassVar[str | MatchingPolicy] = "adaptive"

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        self.questions = _read_questions(self.arguments)
        self._models = read_models()
        self._answered = 0
        self._rivals: list[Account] = []

    @override
    def manager(self) -> TaskManager:
        """A manager without tasks yet, which waits for all models but the newcomer."""
        return self._manager(self.policy, self._models)

    @override
    def workers(self) -> list[WorkerAgent]:
        """The models; the newcomer joins after half of the questions."""
        return self._workers(self._models)

    @override
    async def direct(self, manager: TaskManager) -> None:
        """Ask the questions, so that as many wait for an answer as there are people."""
        self._answered = 0
        asked = draw_questions(SEED, self.questions, list(self._models[0].rates))
        async for _ in manager.submit_many(asked, batch_size=1, max_waiting=PEOPLE):
            self._answered += 1

    @override
    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play the scenario, and then ask the same questions under other policies."""
        report = await super().play(processes=processes, seen=seen)
        if self._answered < self.questions:
            # It was stopped.
            return report
        strongest = max(self._models, key=lambda model: model.mean_rate)
        self._rivals = [
            await self._ask_under("best_fit", "best_fit", self._models),
            await self._ask_under("random", _Random(), self._models),
            await self._ask_under(f"always {strongest.name}", "best_fit", [strongest]),
        ]
        return report

    @override
    def conclusion(self, report: RunReport) -> str:
        """What learning earned and saved, and how the newcomer proved itself."""
        own = account_of(report.policy, report, self._models)
        lines = [tell_newcomer(report)]
        if self._rivals:
            lines += ["", *tell_accounts([own, *self._rivals])]
        return "\n".join(lines)

    # ---------------------------------------------------------- the same under other policies

    def _manager(self, policy: str | MatchingPolicy, models: Sequence[RatedModel]) -> TaskManager:
        return TaskManager(
            (),
            [model.name for model in models if model.name != NEWCOMER],
            policy=policy,
            thrift=1 / WORTH_CENTS,
            cost_unit="cents",
            port=0,
            quiet=True,
        )

    def _workers(self, models: Sequence[RatedModel]) -> list[WorkerAgent]:
        def is_due() -> bool:
            return self._answered >= self.questions // 2

        return [
            model.worker(SEED, PEOPLE, is_due if model.name == NEWCOMER else None)
            for model in models
        ]

    async def _ask_under(
        self, label: str, policy: str | MatchingPolicy, models: Sequence[RatedModel]
    ) -> Account:
        manager = self._manager(policy, models)
        asking = asyncio.ensure_future(self.direct(manager))
        try:
            report = await rehearse(manager, self._workers(models))
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return account_of(label, report, models)


class _Random(InOrder):
    """Asks any model that is free."""

    name = "random"

    @override
    def group(self, task: Task) -> object:
        """Each task is a group of its own, since the choice differs."""
        return task.id

    @override
    def score(self, task: Task, worker: WorkerRecord) -> float:
        """A number drawn by chance."""
        key = f"{SEED}/choice/{task.id}/{worker.name}"
        return random.Random(key).random()  # noqa: S311 - reproducible, no secret


# ------------------------------------------------------------------------ what came of it


@dataclass(frozen=True, slots=True)
class Account:
    """What came of the questions under a policy.

    Args:
        policy: the policy.
        questions: how many were asked.
        right: how many answers were right.
        cents: what all answers cost, in cents.
    """

    policy: str
    questions: int
    right: int
    cents: float

    def per_hundred(self, figure: float) -> float:
        """A figure for each hundred questions."""
        return 100 * figure / max(self.questions, 1)

    @property
    def worth_cents(self) -> float:
        """What the right answers are worth, less what all answers cost, in cents."""
        return self.right * WORTH_CENTS - self.cents


def account_of(policy: str, report: RunReport, models: Sequence[RatedModel]) -> Account:
    """What came of the questions of a run."""
    cents = {model.name: model.cents for model in models}
    spent = sum(cents.get(attempt.worker, 0.0) for task in report.tasks for attempt in task.history)
    right = sum(task.success is True for task in report.tasks)
    return Account(policy, len(report.tasks), right, spent)


def tell_accounts(accounts: Sequence[Account]) -> list[str]:
    """A table with a line for each policy, and what the first has earned and saved."""
    width = max(len(account.policy) for account in accounts)
    heading = f"{'Per 100 questions':<{width}}  Right answers  Cost, $  Worth less cost, $"
    lines = [heading, "─" * len(heading)]
    for account in accounts:
        right = account.per_hundred(account.right)
        dollars = account.per_hundred(account.cents) / 100
        net = account.per_hundred(account.worth_cents) / 100
        lines.append(f"{account.policy:<{width}}  {right:13.1f}  {dollars:7.2f}  {net:18.2f}")
    own, best_fit, _, strongest = accounts
    earned = own.per_hundred(own.right) - best_fit.per_hundred(best_fit.right)
    saved = 1 - own.per_hundred(own.cents) / strongest.per_hundred(strongest.cents)
    kept = own.per_hundred(own.right) / strongest.per_hundred(strongest.right)
    compared = (
        f"Against {strongest.policy}, it kept {kept:.0%} of the right answers and saved "
        f"{saved:.0%} of the cost."
    )
    return [
        *lines,
        "",
        f"A right answer is worth {WORTH_CENTS} cents.",
        f"Against {best_fit.policy}, learning earned {earned:.1f} right answers more per 100.",
        compared,
    ]


def tell_newcomer(report: RunReport) -> str:
    """How many questions the newcomer got in each quarter of the time since it joined."""
    last_half = report.tasks[len(report.tasks) // 2 :]
    size = max(len(last_half) // _PARTS, 1)
    parts = [last_half[at : at + size] for at in range(0, size * _PARTS, size)]
    shares = ", ".join(f"{_share_of_newcomer(part):.0%}" for part in parts if part)
    own = [task for task in last_half if task.worker == NEWCOMER]
    right = sum(task.success is True for task in own)
    rate = f", and was right in {right / len(own):.0%} of them" if own else ""
    return (
        f"{NEWCOMER} joined after half of the questions. Of each quarter of the rest it got "
        f"{shares}{rate}."
    )


def _share_of_newcomer(tasks: Sequence[TaskReport]) -> float:
    return sum(task.worker == NEWCOMER for task in tasks) / len(tasks)


def _read_questions(arguments: Sequence[str]) -> int:
    if not arguments:
        return QUESTIONS
    given = " ".join(arguments)
    if not (given.isascii() and given.isdigit() and 0 < int(given) <= _MOST_QUESTIONS):
        raise InvalidInput(
            f"model_team takes a number of questions from 1 to {_MOST_QUESTIONS:,}, not {given!r}"
        )
    return int(given)


if __name__ == "__main__":
    perform(ModelTeam)
