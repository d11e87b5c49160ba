"""Agent team: a plan, cheap and strong models, a review, and a person who approves.

```mermaid
sequenceDiagram
    participant TM as TaskManager
    participant Lead as Lead (skill 5)
    participant Small as Small (skill 5)
    participant Large as Large (skill 8)
    participant Judge as Judge (skill 8)

    par Connect
        Lead->>TM: Connect
        Small->>TM: Connect
        Large->>TM: Connect
        Judge->>TM: Connect
    end
    TM->>Lead: TaskAssignment(goal, type=deliver)
    Note over Lead: waits for subtasks without holding its slot
    TM->>Large: TaskAssignment(goal/1, difficulty=7, type=plan)
    Large->>TM: TaskResult(goal/1, success=true)
    loop two questions
        TM->>Small: TaskAssignment(type=research)
        Small->>TM: TaskResult(success=true)
    end
    TM->>Small: TaskAssignment(goal/4, type=write)
    Small->>TM: TaskResult(goal/4, success=true)
    TM->>Judge: TaskAssignment(goal/4, review=true)
    Judge->>TM: TaskResult(goal/4, grade=0.1)
    Note over TM: rejected: it promises to cure colds
    TM->>Large: TaskAssignment(goal/4, type=write)
    Large->>TM: TaskResult(goal/4, success=true)
    TM->>Judge: TaskAssignment(goal/4, review=true)
    Judge->>TM: TaskResult(goal/4, grade=0.9)
    Note over Lead: asks a person, who says: print
    Lead->>TM: TaskResult(goal, success=true)
    Note over TM: Success rate: 100%
    par Shut down
        TM->>Lead: Shutdown
        TM->>Small: Shutdown
        TM->>Large: Shutdown
        TM->>Judge: Shutdown
    end
```

The lead is an agent of one's own, whose marked method does the task. It has a strong model split
the goal into steps, and submits each as a subtask. Small does them first, which costs a
twenty-fifth. Judge, which is a model too, rejects what Small writes, so Large writes it again: that
is the next step of the task's ladder. At last the lead asks a person.

The scenario brings its own model server, which answers by rules, so it needs no network, no key and
no money. With MUSTER_MODEL_URL it asks real models, and ends as these decide; name a cheap and a
strong one: `MUSTER_MODEL_URL=http://localhost:11434/v1 muster run agent_team qwen3:1.7b qwen3:14b`.
It needs the extra `models`: `pip install 'ceylon-muster[models]'`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import BaseModel, Field, field_validator
from typing_extensions import override

from ..agents.execution.handlers import Handlers, TaskContext
from ..agents.execution.marked_methods import task_method
from ..agents.manager.task_manager import TaskManager
from ..agents.models.handlers import ModelHandlers
from ..agents.models.price import Price
from ..agents.report.formatting import format_cost
from ..agents.worker.worker_agent import WorkerAgent
from ..messages import InvalidInput, Retry, Task
from .model_server import ModelCall, ModelServer
from .scenario import ManagerSeen, Scenario, perform

if TYPE_CHECKING:
    from ..agents.report.model import RunReport

GOAL = "A label for the tin of the new first flush"
RUBRIC = "A label promises nothing about health, and names the garden and how to brew the tea."
URL_VARIABLE = "MUSTER_MODEL_URL"
APPROVED_AFTER_S = 1.0
"""How long the person thinks."""

LOOKS_EVERY_S = 0.05

_SHOWN_CHARACTERS = 1_900
"""How much of a text the person is shown; a question may have 2,000 characters."""

WORK = ("research", "write")

_MODELS = ("small", "large")
_PROMPTS: Mapping[str, str] = {
    "plan": "Split the goal into at most three steps of kind research, and then one of kind write.",
    "research": "Answer the question in one sentence.",
    "write": "Write the text in at most thirty words. Use the facts and nothing else.",
}


class PlannedStep(BaseModel):
    """One step of a plan."""

    kind: Literal["research", "write"]
    """The type of the task."""

    text: str = Field(min_length=1, max_length=2_000)
    """What is to be done."""


class Plan(BaseModel):
    """How to reach a goal."""

    steps: list[PlannedStep] = Field(min_length=1, max_length=4)
    """The steps, in their order."""

    @field_validator("steps")
    @classmethod
    def _check_order(cls, steps: list[PlannedStep]) -> list[PlannedStep]:
        if [step.kind for step in steps].count("write") != 1 or steps[-1].kind != "write":
            raise ValueError("the last step must be the one of kind write")
        return steps


class Lead:
    """An agent that has others do the steps of a plan, and asks a person before it is done."""

    @task_method
    async def deliver(self, goal: str, *, context: TaskContext) -> str:
        """Reach a goal."""
        plan = Plan.model_validate(await context.submit(Task(type="plan", data=goal, difficulty=7)))
        facts = [
            await context.submit(Task(type="research", data=step.text))
            for step in plan.steps
            if step.kind == "research"
        ]
        last = plan.steps[-1]
        text = await context.submit(
            Task(
                type="write",
                data={"text": last.text, "facts": facts},
                description=last.text,
                review=True,
                escalate=("Small", "Large"),
            )
        )
        shown = str(text)[:_SHOWN_CHARACTERS]
        answer = await context.ask(f"Print this?\n{shown}", choices=["print", "bin"])
        return str(text) if answer == "print" else "nothing is printed"


class AgentTeam(Scenario):
    """A planner, specialists of different cost, a reviewer and a person reach a goal together."""

    takes: ClassVar[str] = (
        f"SMALL LARGE: a cheap and a strong model at {URL_VARIABLE} (the scenario's own)"
    )
    talks_over_sockets: ClassVar[bool] = True

    def __init__(self, time_scale: float = 1.0, arguments: Sequence[str] = ()) -> None:
        super().__init__(time_scale, arguments)
        if self.arguments and len(self.arguments) != len(_MODELS):
            raise InvalidInput(f"agent_team takes two names of models, not {len(self.arguments)}")
        self._small, self._large = self.arguments or _MODELS
        self._server = ModelServer(answer, models=(self._small, self._large))

    @override
    async def play(self, *, processes: bool = False, seen: ManagerSeen | None = None) -> RunReport:
        """Play it, with a model server of its own unless there is another.

        Raises:
            ModelUnusable: the other server can't be used; the message says what to change.
        """
        if processes:
            raise InvalidInput(
                "agent_team can't be played with --processes: its models have one server"
            )
        if os.environ.get(URL_VARIABLE):
            for model in dict.fromkeys((self._small, self._large)):
                await ModelHandlers(model, self._url).check_server()
            return await super().play(seen=seen)
        async with self._server:
            return await super().play(seen=seen)

    @override
    def manager(self) -> TaskManager:
        """One task: the goal."""
        goal = Task(id="goal", type="deliver", description=GOAL, data={"goal": GOAL})
        # Servers of real models are busy now and then, and say nothing now and then.
        retries = dict.fromkeys(_PROMPTS, Retry(max_attempts=4, wait_s=0))
        return TaskManager([goal], expected_workers=4, port=0, quiet=True, retries=retries)

    @override
    def workers(self) -> list[WorkerAgent]:
        """The lead, two models that do the work, and one that reviews it.

        Raises:
            ExtraMissing: the extra `models` is not installed.
        """
        return [
            WorkerAgent("Lead", 5, handlers=Handlers.of(Lead())),
            WorkerAgent("Small", 5, handlers=self._model(self._small, Price(0.2, 0.8), *WORK)),
            WorkerAgent("Large", 8, handlers=self._model(self._large, Price(5, 15), "plan", *WORK)),
            WorkerAgent(
                "Judge",
                8,
                handlers=ModelHandlers(
                    self._large, self._url, price=Price(5, 15), reviews={"write": RUBRIC}
                ),
            ),
        ]

    def _model(self, name: str, price: Price, *types: str) -> ModelHandlers:
        return ModelHandlers(
            name,
            self._url,
            price=price,
            system={each: _PROMPTS[each] for each in types},
            output={"plan": Plan} if "plan" in types else None,
        )

    @property
    def _url(self) -> str:
        return os.environ.get(URL_VARIABLE) or self._server.url

    @override
    async def direct(self, manager: TaskManager) -> None:
        """Approve what the lead asks about, as a person does."""
        # A person looks now and then.
        while not (questions := manager.questions()):  # noqa: ASYNC110
            await asyncio.sleep(LOOKS_EVERY_S)
        await asyncio.sleep(self.seconds(APPROVED_AFTER_S))
        manager.answer(questions[0].task_id, "print", by="Anna")

    @override
    def conclusion(self, report: RunReport) -> str:
        """What was made, and what each model cost."""
        goal = next(task for task in report.tasks if task.id == "goal")
        lines = [str(goal.output or goal.error_message), ""]
        lines += [
            f"{name}: {each.attempts} attempts, {each.tokens_in} tokens in, {each.tokens_out} out, "
            f"{format_cost(each.cost, report.cost_unit)}"
            for name, each in report.by_model.items()
        ]
        return "\n".join(lines)


# ------------------------------------------------------------------ the models offline


def answer(call: ModelCall) -> str:
    """What the scenario's own models answer: always the same, so that a run is the same."""
    if "grade" in str(call.system):
        return _review(call.text)
    if _PROMPTS["plan"] in call.system:
        steps = [
            PlannedStep(kind="research", text="Which garden does the tea come from?"),
            PlannedStep(kind="research", text="How is it brewed?"),
            PlannedStep(kind="write", text=GOAL),
        ]
        return Plan(steps=steps).model_dump_json()
    if _PROMPTS["research"] in call.system:
        if "garden" in call.text:
            return "It comes from Glenloch, picked in March."
        return "Three minutes at 85 degrees."
    if call.model == _MODELS[0]:
        return "Glenloch first flush. Cures every cold! Three minutes at 85 degrees."
    return "Glenloch first flush, picked in March. Brew it for three minutes at 85 degrees."


def _review(text: str) -> str:
    result = str(cast("Mapping[str, object]", json.loads(text))["result"])
    if "cures" in result.lower():
        verdict = {"grade": 0.1, "reason": "It promises to cure colds."}
    else:
        verdict = {"grade": 0.9, "reason": "It keeps to the facts."}
    return json.dumps(verdict)


if __name__ == "__main__":
    perform(AgentTeam)
