"""What the command line says to arguments that it can't use, and to those that need no network."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from muster.agents import RunReport, TaskManager, WorkerAgent, rehearse, run_in_virtual_time
from muster.messages import Task

Invoke = Callable[..., Any]

STORY = """
from muster.agents import TaskManager, WorkerAgent
from muster.messages import Task
from muster.scenarios.scenario import Scenario

class {name}(Scenario):
    '''{name} happens.'''

    def manager(self):
        return TaskManager([Task(id=1, description="x", difficulty=11)], 1, port=0, quiet=True)
"""


# ------------------------------------------------------------------------------- muster itself


def test_the_version_is_printed(invoke: Invoke) -> None:
    ended = invoke("--version")
    assert (ended.code, ended.out) == (0, "muster 0.1.0\n")


def test_an_unknown_command_is_a_usage_error(invoke: Invoke) -> None:
    ended = invoke("dance")
    assert ended.code == 2
    assert "No such command 'dance'" in ended.err


def test_an_unexpected_exception_shows_its_traceback_and_is_our_fault(invoke: Invoke) -> None:
    story = STORY.format(name="Broken").replace("difficulty=11", "difficulty=1 / 0")
    Path("broken.py").write_text(story)
    ended = invoke("run", "broken.py")
    assert ended.code == 70
    assert "ZeroDivisionError: division by zero" in ended.err


# ----------------------------------------------------------------------------------- scenarios


def test_scenarios_are_listed_with_headline_and_arguments(invoke: Invoke) -> None:
    ended = invoke("scenarios")
    assert ended.code == 0
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert (
        "all_well Three tasks and three workers; each worker gets the task that matches its skill."
        in lines
    )
    assert "arguments: start | fail: what to do without the missing worker (start)" in lines
    assert not any(line.startswith("scenario ") for line in lines)


def test_an_unknown_scenario_lists_the_known_ones(invoke: Invoke) -> None:
    ended = invoke("run", "all_wel")
    assert ended.code == 2
    told = "muster: there is no scenario 'all_wel'; did you mean 'all_well'? known: agent_team, "
    assert ended.err.startswith(told)
    assert ended.err.count("\n") == 1


def test_a_scenario_file_that_is_not_there_is_named(invoke: Invoke) -> None:
    ended = invoke("run", "nowhere.py")
    assert (ended.code, ended.err) == (2, "muster: there is no file 'nowhere.py'\n")


def test_a_scenario_file_without_a_scenario_is_refused(invoke: Invoke) -> None:
    Path("empty.py").write_text("x = 1\n")
    ended = invoke("run", "empty.py")
    assert ended.code == 2
    assert ended.err == (
        "muster: 'empty.py' must have exactly one class that inherits from Scenario; it has: none\n"
    )


def test_a_scenario_file_with_two_scenarios_is_refused_by_their_names(invoke: Invoke) -> None:
    Path("two.py").write_text(STORY.format(name="Dawn") + STORY.format(name="Dusk"))
    ended = invoke("run", "two.py")
    assert ended.code == 2
    assert ended.err.endswith("it has: Dawn, Dusk\n")


def test_a_scenario_file_that_is_not_python_is_told_by_its_line(invoke: Invoke) -> None:
    Path("typo.py").write_text("x = 1\ndef f(:\n")
    ended = invoke("run", "typo.py")
    assert ended.code == 2
    assert "typo.py, line 2: invalid syntax" in ended.err
    assert "Traceback" not in ended.err


def test_a_task_that_breaks_a_rule_is_told_without_a_traceback(invoke: Invoke) -> None:
    Path("noon.py").write_text(STORY.format(name="Noon"))
    ended = invoke("run", "noon.py")
    assert ended.code == 2
    assert ended.err.startswith("muster: Task: difficulty: 11: ")
    assert ended.err.count("\n") == 1


def test_arguments_for_a_scenario_that_takes_none_are_refused(invoke: Invoke) -> None:
    ended = invoke("run", "all_well", "quickly")
    assert ended.code == 2
    assert ended.err == "muster: scenario 'all_well' takes no arguments, not 'quickly'\n"


def test_wrong_arguments_of_a_scenario_are_refused_in_its_words(invoke: Invoke) -> None:
    ended = invoke("run", "late_worker", "wait")
    assert (ended.code, ended.err) == (2, "muster: late_worker takes start or fail, not 'wait'\n")


@pytest.mark.parametrize("given", ["x", "0", "-5", "20001", "1 2", "\u0663"])
def test_a_number_of_questions_that_makes_no_sense_is_refused(invoke: Invoke, given: str) -> None:
    ended = invoke("run", "--", "model_team", *given.split())
    assert ended.code == 2
    assert ended.err.startswith(
        "muster: model_team takes a number of questions from 1 to 20,000, not "
    )


@pytest.mark.parametrize("option", [("--processes",), ("--web", "0")])
def test_virtual_time_has_neither_processes_nor_a_live_page(
    invoke: Invoke, option: tuple[str, ...]
) -> None:
    ended = invoke("run", "model_team", *option)
    assert ended.code == 2
    assert ended.err.startswith("muster: scenario 'model_team' runs in virtual time")


def test_a_time_scale_of_nothing_is_refused(invoke: Invoke) -> None:
    ended = invoke("run", "all_well", "--time-scale", "0")
    assert (ended.code, ended.err) == (2, "muster: time_scale is 0.0; it must be above 0\n")


# ------------------------------------------------------------------------------------- manager


def test_a_missing_tasks_file_is_named(invoke: Invoke) -> None:
    ended = invoke("manager", "--tasks", "none.jsonl", "--workers", 1)
    assert ended.code == 2
    assert "none.jsonl" in ended.err
    assert ended.out == ""


def test_bad_tasks_are_all_told_and_nothing_starts(invoke: Invoke) -> None:
    Path("bad.jsonl").write_text('{"id": 0, "description": "x"}\n{"id": 2, "difficulty": 11}\n')
    ended = invoke("manager", "--tasks", "bad.jsonl", "--workers", 1, "--ticket-file", "ticket")
    assert ended.code == 2
    assert ended.out == ""
    assert "id" in ended.err
    assert "difficulty" in ended.err
    assert not Path("ticket").exists()


def test_an_unknown_policy_lists_the_known_ones(
    invoke: Invoke, tasks_file: Callable[..., Path]
) -> None:
    ended = invoke("manager", "--tasks", tasks_file(1), "--workers", 1, "--policy", "best")
    assert ended.code == 2
    assert ended.err == (
        "muster: there is no policy 'best'; did you mean 'best_fit'? "
        "known: adaptive, best_fit, in_order, score\n"
    )


def test_a_host_that_is_no_address_is_refused(
    invoke: Invoke, tasks_file: Callable[..., Path]
) -> None:
    ended = invoke(
        "manager", "--tasks", tasks_file(1), "--workers", 1, "--port", 0, "--host", "localhost"
    )
    assert ended.code == 2
    assert "'localhost'; it must be an IPv4 address in numbers" in ended.err


def test_a_port_that_is_taken_is_told_before_anything_starts(
    invoke: Invoke, tasks_file: Callable[..., Path]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        ended = invoke("manager", "--tasks", tasks_file(1), "--workers", 1, "--port", port)
    assert ended.code == 2
    assert ended.err.startswith(f"muster: UDP port {port} is already in use; ")


def test_a_report_that_could_not_be_written_is_told_before_anything_starts(
    invoke: Invoke, tasks_file: Callable[..., Path]
) -> None:
    ended = invoke("manager", "--tasks", tasks_file(1), "--workers", 1, "--report", "no/where.json")
    assert ended.code == 2
    assert ended.err == (
        "muster: the report can't be written to 'no/where.json': there is no folder 'no'\n"
    )


# -------------------------------------------------------------------------------------- worker


def worker(join: object, *more: object) -> tuple[object, ...]:
    return ("worker", "--join", join, "--name", "Ada", "--skill", 5, *more)


def test_a_damaged_ticket_is_refused(invoke: Invoke) -> None:
    ended = invoke(*worker("muster:2:abcd"))
    assert ended.code == 2
    assert ended.err.startswith("muster: the ticket is damaged")


@pytest.mark.parametrize(
    "arguments",
    [
        worker("ticket", "--wait-for-ticket", "0.1"),
        ("submit", "--join", "ticket", "--connect-timeout", "0.1", "--type", "sum"),
        ("why", "7", "--join", "ticket", "--connect-timeout", "0.1"),
        ("mcp", "--join", "ticket", "--connect-timeout", "0.1"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_ticket_file_that_does_not_come_is_told_and_then_named(
    invoke: Invoke, arguments: tuple[object, ...]
) -> None:
    ended = invoke(*arguments)
    assert ended.code == 2
    first, second = ended.err.splitlines()
    assert first == "muster: waiting up to 0.1 s for the ticket file 'ticket'"
    assert second.startswith("muster: 'ticket' is neither a ticket")


def test_a_handlers_module_that_does_not_exist_is_named(invoke: Invoke) -> None:
    ended = invoke(*worker("t", "--handlers", "no_such_module"))
    assert ended.code == 2
    assert ended.err.startswith("muster: there is no module 'no_such_module', neither in ")


FILES_NAMED = [
    ("my_tasks.py", "; name the module 'my_tasks' in place of its file"),
    ("./my_tasks.py", "; name the module 'my_tasks' in place of its file"),
    ("my_tasks.py:handlers", "; name the module 'my_tasks' in place of its file"),
    ("folder/my_tasks.py", "; name the module 'folder.my_tasks' in place of its file"),
    ("/nowhere/my_tasks.py", "; name the module 'my_tasks', in the directory '/nowhere'"),
    ("../my_tasks.py", "; name the module 'my_tasks', in the directory '..'"),
]


@pytest.mark.parametrize(("named", "end"), FILES_NAMED)
def test_a_file_in_place_of_a_handlers_module_is_told_its_module(
    invoke: Invoke, named: str, end: str
) -> None:
    Path("my_tasks.py").write_text("")
    ended = invoke(*worker("t", "--handlers", named))
    assert ended.code == 2
    assert ended.err.endswith(f"{end}\n")
    assert ended.err.count("\n") == 1


WRONG_MODULES = [
    ("import no_such_module", "it needs the module 'no_such_module', which is not installed", 1),
    ("import os\n\nos.environ['NO_SUCH']", "KeyError: 'NO_SUCH'", 3),
    ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name", 2),
    ("def f():\n    raise ValueError('no\\nkey')\n\nf()", r"ValueError: no\nkey", 2),
    ("raise SystemExit", "it called sys.exit()", 1),
    ("import sys\nsys.exit('no key')", "it called sys.exit('no key')", 2),
    ("exec('1/0')", "ZeroDivisionError: division by zero", 1),
    ("from os import no_such_name", "ImportError: cannot import name 'no_such_name'", 1),
    (
        "from muster.agents import Handlers\nh = Handlers()\n\n@h.task\ndef f(a, b, c): ...",
        "handler f takes c too, for which there is no value",
        # Before 3.11, a decorator is called on the line of its function.
        4 if sys.version_info >= (3, 11) else 5,
    ),
    (
        "raise BaseExceptionGroup('two', [SystemExit()])",
        "BaseExceptionGroup: 1 error: SystemExit",
        1,
    ),
]
if sys.version_info < (3, 11):
    WRONG_MODULES.pop()


@pytest.mark.parametrize(
    ("where", "code", "reason", "line"),
    [
        *(("worker", *wrong) for wrong in WRONG_MODULES),
        *((where, *WRONG_MODULES[1]) for where in ("manager", "scenario")),
    ],
)
def test_a_module_that_can_not_be_loaded_is_one_line_with_reason_and_place(
    invoke: Invoke, where: str, code: str, reason: str, line: int
) -> None:
    Path("wrong_code.py").write_text(code + "\n")
    Path("tasks.jsonl").write_text('{"id": 1, "description": "d"}\n')
    command: tuple[object, ...] = {
        "worker": worker("t", "--handlers", "wrong_code"),
        "manager": (
            *("manager", "--tasks", "tasks.jsonl", "--workers", "1:1"),
            *("--handlers", "wrong_code"),
        ),
        "scenario": ("run", "wrong_code.py"),
    }[where]
    ended = invoke(*command)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("muster: 'wrong_code")
    assert f" can't be loaded: {reason}" in ended.err
    # With `exec`, the innermost line is in no file.
    assert ended.err.endswith(f" (wrong_code.py:{line})\n")
    assert ended.err.count("\n") == 1
    verbose = invoke(*command, "-v")
    assert verbose.code == 2
    assert "Traceback (most recent call last)" in verbose.err
    assert verbose.err.endswith(ended.err)


def test_the_place_is_in_the_module_that_a_handlers_module_imports(invoke: Invoke) -> None:
    Path("inner_code.py").write_text("\nraise OSError('no disk')\n")
    Path("outer_code.py").write_text("import inner_code\n")
    ended = invoke(*worker("t", "--handlers", "outer_code"))
    assert ended.code == 2
    assert ended.err == (
        "muster: 'outer_code' can't be loaded: OSError: no disk (inner_code.py:2)\n"
    )


def test_a_function_that_makes_handlers_and_raises_is_told_with_its_place(invoke: Invoke) -> None:
    Path("maker_code.py").write_text("def make(key):\n    raise ValueError(key)\n")
    ended = invoke(*worker("t", "--handlers", "maker_code:make:none"))
    assert ended.code == 2
    assert ended.err == (
        "muster: the handlers of 'maker_code:make:none' can't be loaded: ValueError: none "
        "(maker_code.py:2)\n"
    )


def test_a_module_without_handlers_says_what_it_holds(invoke: Invoke) -> None:
    Path("idle.py").write_text("def sleep(): ...\n")
    ended = invoke(*worker("t", "--handlers", "idle"))
    assert ended.code == 2
    assert ended.err.startswith("muster: module 'idle' has no Handlers, only: sleep; ")


def test_a_wrong_attribute_lists_the_handlers_there_are(invoke: Invoke) -> None:
    Path("busy.py").write_text("from muster.agents import Handlers\nmine = Handlers()\n")
    ended = invoke(*worker("t", "--handlers", "busy:yours"))
    assert ended.code == 2
    assert ended.err == "muster: module 'busy' has no Handlers called 'yours'; it has: mine\n"


def test_two_modules_with_a_handler_for_one_type_clash(invoke: Invoke) -> None:
    code = "from muster.agents import Handlers\nh = Handlers()\n@h.task('x')\ndef f(task): ...\n"
    Path("one_x.py").write_text(code)
    Path("other_x.py").write_text(code)
    ended = invoke(*worker("t", "--handlers", "one_x", "--handlers", "other_x"))
    assert ended.code == 2
    assert ended.err == "muster: there are two handlers for tasks of type 'x'\n"


def test_threads_and_processes_exclude_each_other(invoke: Invoke) -> None:
    ended = invoke(*worker("t", "--threads", 2, "--processes", 2))
    assert ended.code == 2
    assert ended.err == "muster: --threads and --processes exclude each other; give one of them\n"


@pytest.mark.parametrize("where", [(), ("--threads", 2)])
def test_only_a_handler_in_a_process_can_be_killed(
    invoke: Invoke, where: tuple[object, ...]
) -> None:
    ended = invoke(*worker("t", *where, "--kill-after", 5))
    assert ended.code == 2
    assert ended.err == (
        "muster: --kill-after kills the process of a handler, but handlers run in threads; "
        "add --processes N or remove --kill-after\n"
    )


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("vision",), "--skill is 'vision'; give an integer, such as 7, or a name with a level"),
        (("7.5",), "--skill is '7.5'; give an integer, such as 7, or a name with a level"),
        (("7", "8"), "--skill is 7 and '8'; give one number, and others by a name, such as"),
        (("1001",), "--skill is 1001; it must be from 0 to 1,000"),
        (("vision=9",), "--skill names only vision; add the general skill, such as --skill 7"),
        (("=9",), "--skill is '=9': '=9' is not a name with a level; write vision=7"),
        (("7", "vision=x"), "--skill is 'vision=x': 'vision=x' is not a name with a level"),
        (("7", "a=1", "a=2"), "--skill is 'a=2': the skill 'a' is given twice"),
        (("7", "a=1e9"), "--skill is 'a=1e9': the level is 1e+09; it must be from 0 to 1,000"),
    ],
)
def test_a_skill_is_a_number_or_a_name_with_a_level(
    invoke: Invoke, values: tuple[str, ...], told: str
) -> None:
    skills = [part for value in values for part in ("--skill", value)]
    ended = invoke("worker", "--join", "t", "--name", "Ada", *skills)
    assert ended.code == 2
    assert ended.err.startswith(f"muster: {told}")


@pytest.mark.parametrize("option", ["--cost-per-s", "--cost-per-task"])
def test_a_cost_below_zero_is_refused(invoke: Invoke, option: str) -> None:
    ended = invoke(*worker("t", option, -1))
    assert ended.code == 2
    argument = option.strip("-").replace("-", "_")
    assert ended.err == f"muster: worker 'Ada': {argument} is -1.0; it must be 0 or more\n"


def test_a_worker_of_no_slots_is_refused(invoke: Invoke) -> None:
    ended = invoke(*worker("t", "--slots", 0))
    assert (ended.code, ended.err) == (
        2,
        "muster: worker 'Ada': slots is 0; it must be 1 or more\n",
    )


# ----------------------------------------------------------------------------------------- why


@pytest.fixture
def report_file(tmp_path: Path) -> Path:
    async def story() -> RunReport:
        tasks = [
            Task(id=1, description="One", difficulty=1),
            Task(id="1a", description="Two", difficulty=1),
        ]
        return await rehearse(TaskManager(tasks, 1, quiet=True), [WorkerAgent("Ada", 5)])

    path = tmp_path / "report.json"
    path.write_text(run_in_virtual_time(story()).model_dump_json())
    return path


@pytest.mark.parametrize("task", ["1", "1a"])
def test_a_report_tells_why_a_task_went_where_it_went(
    invoke: Invoke, report_file: Path, task: str
) -> None:
    ended = invoke("why", task, "--report", report_file)
    assert ended.code == 0
    report = json.loads(report_file.read_text())
    told = next(each["why"] for each in report["tasks"] if str(each["id"]) == task)
    assert ended.out.splitlines() == told
    assert "Ada" in ended.out


def test_a_task_that_the_report_does_not_know_is_named(invoke: Invoke, report_file: Path) -> None:
    ended = invoke("why", "7", "--report", report_file)
    assert ended.code == 2
    assert ended.err == f"muster: the report {str(report_file)!r} has no task 7\n"


def test_a_file_that_is_no_report_is_refused(invoke: Invoke) -> None:
    Path("other.json").write_text('{"name": "x"}')
    ended = invoke("why", "7", "--report", "other.json")
    assert ended.code == 2
    assert ended.err.startswith("muster: 'other.json' is not a JSON report: ")


def test_an_id_that_no_task_can_have_is_refused(invoke: Invoke, report_file: Path) -> None:
    ended = invoke("why", " ", "--report", report_file)
    assert ended.code == 2
    assert ended.err.startswith("muster: ' ' is not a valid task id; ")


@pytest.mark.parametrize("arguments", [(), ("7", "--failed")])
def test_retry_takes_tasks_or_all_that_failed(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    ended = invoke("retry", *arguments, "--join", TaskManager(quiet=True).ticket())
    assert ended.code == 2
    assert "give the ids of tasks, or --failed for all that failed" in ended.err


def test_why_needs_someone_to_ask(invoke: Invoke) -> None:
    ended = invoke("why", "7")
    assert ended.code == 2
    assert ended.err == (
        "muster: give exactly one of --report, --store and --join (to ask a running manager)\n"
    )
