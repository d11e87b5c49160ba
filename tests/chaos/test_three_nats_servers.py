"""Three NATS servers keep a run: each is killed in turn, and the leading manager is cut off."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..nats_server import NatsServer
from .conftest import Tell, pause
from .evidence import check_each_recorded_once, read_executions
from .namespaces import network
from .processes import Process, Processes, wait_until

pytestmark = [
    pytest.mark.nats,
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.usefixtures("needs_networks"),
]

MUSTER = (sys.executable, "-m", "muster.agents.command")
SERVERS = ("north", "east", "west")
MANAGERS = ("one", "two", "three")
WORKERS = ("Ada", "Ben")
TASKS = 2_000
CUT_OFF_S = 20.0
WITHIN_S = 180.0
TAKEN = "another manager has taken the store"


def test_servers_killed_in_turn_and_a_leader_cut_off_cost_no_result(
    tmp_path: Path, processes: Processes, tell: Tell
) -> None:
    task = {"description": "count", "difficulty": 5, "type": "count", "data": {"takes_s": 0.15}}
    lines = (json.dumps({"id": number, **task}) for number in range(1, TASKS + 1))
    (tmp_path / "tasks.jsonl").write_text("\n".join(lines))
    shutil.copy(Path(__file__).with_name("counted_work.py"), tmp_path)
    secret = subprocess.run([*MUSTER, "secret"], capture_output=True, check=True).stdout
    (tmp_path / "secret").write_bytes(secret)
    (tmp_path / "secret").chmod(0o600)

    def wait(what: str, happens: Callable[[], bool]) -> None:
        if not wait_until(happens, WITHIN_S):
            pytest.fail(f"not within {WITHIN_S:g} s: {what}\n{processes.last_lines()}")

    def begun() -> int:
        return len(read_executions(tmp_path / "executions"))

    def wait_for_work(more: int = 60) -> None:
        # What was begun before may still have been assigned before.
        least = begun() + more
        wait("the run goes on", lambda: begun() >= least)

    hosts = (*SERVERS, *MANAGERS, *WORKERS)
    with network({"wire": hosts}) as built, contextlib.ExitStack() as ends:
        addresses = {name: built.address(name, "wire") for name in SERVERS}
        routes = ", ".join(f'"nats://{address}:6222"' for address in addresses.values())
        servers: dict[str, NatsServer] = {}
        for name, address in addresses.items():
            config = (
                f"server_name: {name}\n"
                f'cluster {{ name: "three", listen: "{address}:6222", routes: [{routes}] }}'
            )
            servers[name] = NatsServer(
                tmp_path / name, config=config, prefix=built.inside(name), host=address
            )
            servers[name].port = 4222
            ends.callback(servers[name].kill)
            servers[name].start()
        link = "nats://" + ",".join(f"{address}:4222" for address in addresses.values())
        managers: dict[str, Process] = {
            name: processes.start(
                name,
                [
                    *(*built.inside(name), *MUSTER, "manager", "--standby", "-v"),
                    *("--link", link, "--store", f"{link}/run?replicas=3", "--workspace", "run"),
                    *("--secret-file", "secret", "--secret-in-ticket", "--ticket-file", "ticket"),
                    *("--tasks", "tasks.jsonl", "--workers", "2", "--report", f"{name}.json"),
                ],
            )
            for name in MANAGERS
        }
        for name in WORKERS:
            options = ("--name", name, "--skill", "5", "--slots", "4")
            command = ("worker", "--join", "ticket", *options, "--handlers", "counted_work")
            wait("the ticket is written", (tmp_path / "ticket").exists)
            processes.start(
                name,
                [*built.inside(name), *MUSTER, *command],
                {"EXECUTIONS": str(tmp_path / "executions")},
            )

        def led(name: str) -> int:
            return managers[name].err.read_text(encoding="utf-8").count("this manager leads now")

        wait_for_work()
        for name, server in servers.items():
            server.kill()
            tell(f"server {name} killed after {begun()} executions")
            wait_for_work()
            server.start()
            wait_for_work()
        times_led = {name: led(name) for name in MANAGERS}
        ticket = (tmp_path / "ticket").stat().st_mtime_ns
        leader = next(name for name in MANAGERS if "leads now" in last_news(managers[name]))
        tell(f"leader {leader} cut off; {times_led}")
        built.cut(leader, "wire")
        wait("another one leads", lambda: any(led(each) > times_led[each] for each in MANAGERS))
        wait(
            "it has written its ticket", lambda: (tmp_path / "ticket").stat().st_mtime_ns != ticket
        )
        wait_for_work()
        pause(CUT_OFF_S)
        tell(f"back again after {begun()} executions")
        built.mend(leader, "wire")
        wait("it leads no more", lambda: TAKEN in managers[leader].err.read_text(encoding="utf-8"))
        wait("a report is written", lambda: any(map(_is_written, reports(tmp_path))))
        wait("the managers end", lambda: all(each.code is not None for each in managers.values()))
    written = next(filter(_is_written, reports(tmp_path)))
    report = json.loads(written.read_text(encoding="utf-8"))
    check_each_recorded_once(report, read_executions(tmp_path / "executions"), TASKS)


def last_news(manager: Process) -> str:
    """The last line in which a manager tells whether it leads."""
    lines = manager.err.read_text(encoding="utf-8").splitlines()
    news = ("leads now", TAKEN, "leads no more")
    return next((each for each in reversed(lines) if any(one in each for one in news)), "")


def reports(folder: Path) -> list[Path]:
    return [folder / f"{name}.json" for name in MANAGERS]


def _is_written(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
