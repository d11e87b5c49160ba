"""`muster doctor`: each trouble that keeps manager and workers apart is found and told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muster.agents import TaskManager
from muster.agents.command.doctor import (
    CEYLON_VERSION,
    NetworkFinding,
    examine_ceylon,
    examine_clock,
    examine_manager,
    examine_network_file,
    examine_platform,
    examine_port,
    explain_no_answer,
)
from muster.agents.runtime.ports import claim_port
from muster.agents.security.secret_sources import fresh_secret
from muster.agents.security.ticket import Ticket, write_ticket_file
from muster.agents.transport.ceylon_platform import Platform
from muster.agents.transport.network_file import FILE_NAME
from muster.messages import Flaw

from ..nats_server import NatsServer

DEADLINE_S = 180.0
GLIBC = ("glibc", "2.36")


def ticket(**fields: Any) -> Ticket:
    fields = {"port": claim_port(), "sealed": False, **fields}
    return Ticket("default", **{"peer_id": "12D3KooWnobody", "host": "127.0.0.1", **fields})


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (Platform("Linux", "x86_64", GLIBC, (3, 12)), None),
        (Platform("Darwin", "arm64", ("", ""), (3, 10)), None),
        (Platform("Windows", "AMD64", ("", ""), (3, 13)), None),
        (Platform("Linux", "aarch64", GLIBC, (3, 12)), "there is no build for aarch64"),
        (Platform("Linux", "x86_64", ("glibc", "2.28"), (3, 12)), "its glibc is 2.28"),
        (Platform("Linux", "x86_64", ("", ""), (3, 12)), "its C library is not glibc"),
        (Platform("Linux", "x86_64", GLIBC, (3, 9)), "its Python is too old"),
        (Platform("Linux", "x86_64", GLIBC, (3, 14)), "its Python is too new"),
        (Platform("FreeBSD", "amd64", ("", ""), (3, 12)), "there is no build for FreeBSD"),
    ],
)
def test_a_platform_without_a_build_of_ceylon_is_named(where: Platform, told: str | None) -> None:
    finding = examine_platform(where)
    assert finding.is_ok is (told is None)
    assert (told or str(where)) in finding.detail


def test_the_platform_that_the_tests_run_on_is_one_that_ceylon_runs_on() -> None:
    assert examine_platform(Platform.here()).is_ok


@pytest.mark.parametrize("installed", [None, "0.22.1", "1.0.0"])
def test_another_ceylon_than_the_one_it_works_with_is_found(installed: str | None) -> None:
    finding = examine_ceylon(installed)
    assert not finding.is_ok
    assert f"pip install ceylon=={CEYLON_VERSION}" in finding.detail
    assert examine_ceylon(CEYLON_VERSION).is_ok


async def test_a_port_in_use_is_found_and_by_whom() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = other.getsockname()[1]
        finding = await examine_port(port)
    assert not finding.is_ok
    assert "another program uses it, not a manager" in finding.detail
    assert f"UDP port {port} is already in use" in finding.detail
    assert await examine_port(port) == NetworkFinding(f"UDP port {port}", True, "free")


async def test_a_closed_port_is_found() -> None:
    findings = await examine_manager(str(ticket()))
    assert [each.is_ok for each in findings] == [True, False]
    assert findings[1].detail.startswith("no answer from 127.0.0.1, UDP port ")


async def test_a_ticket_of_another_version_is_found() -> None:
    findings = await examine_manager("muster:1:abcdefgh")
    assert [each.check for each in findings] == ["ticket"]
    assert (
        "of version 1, this Muster reads versions 2 and 3; use the same Muster"
        in findings[0].detail
    )


def test_frames_of_another_version_explain_a_silence_better_than_a_wrong_peer_id() -> None:
    assert "another version" in explain_no_answer({Flaw.VERSION: 3})
    assert "peer id of this ticket" in explain_no_answer({})


@pytest.mark.parametrize(
    ("theirs", "told"),
    [(100.0, None), (98.5, None), (90.0, "10 s ahead of"), (3700.0, "3600 s behind")],
)
def test_clocks_that_differ_are_found(theirs: float, told: str | None) -> None:
    finding = examine_clock(theirs, 100.0)
    assert finding.is_ok is (told is None)
    assert (told or "") in finding.detail


# ---------------------------------------------------------------------------- over real Ceylon


def with_manager(examine: Any) -> Any:
    async def story() -> Any:
        manager = TaskManager(port=0, quiet=True)
        await manager.start()
        try:
            return await examine(manager)
        finally:
            await manager.stop()

    return asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


@pytest.mark.slow
@pytest.mark.ceylon
def test_where_all_is_well_it_says_so() -> None:
    findings = with_manager(lambda manager: examine_manager(str(manager.ticket())))
    assert [each.check for each in findings] == ["ticket", "port", "manager", "clock"]
    assert all(each.is_ok for each in findings), findings


@pytest.mark.slow
@pytest.mark.ceylon
def test_a_peer_id_of_another_start_is_no_obstacle_since_members_discover_the_manager() -> None:
    other = TaskManager(port=0).details().id
    findings = with_manager(
        lambda manager: examine_manager(str(replace(manager.ticket(), peer_id=other)))
    )
    assert all(each.is_ok for each in findings), findings


@pytest.mark.slow
@pytest.mark.ceylon
def test_a_wrong_secret_is_found() -> None:
    findings = with_manager(
        lambda manager: examine_manager(str(replace(manager.ticket(), secret=fresh_secret())))
    )
    assert [each.is_ok for each in findings] == [True, True, False]
    assert "secret" in findings[2].detail


@pytest.mark.slow
@pytest.mark.ceylon
@pytest.mark.processes
def test_the_command_tells_a_line_a_finding_and_fails_if_one_is_not_well(tmp_path: Path) -> None:
    def doctor(*options: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [sys.executable, "-m", "muster.agents.command", "doctor", *options],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    async def examine(manager: TaskManager) -> Any:
        write_ticket_file(tmp_path / "ticket", manager.ticket())
        return await asyncio.to_thread(doctor, "--join", str(tmp_path / "ticket"))

    code, lines = with_manager(examine)
    assert code == 0
    assert lines[-1] == "ok    clock: agrees with the manager's"
    code, lines = doctor("--join", str(tmp_path / "ticket"))
    assert code == 1
    assert lines[-1].startswith("FAIL  port: no answer from")
    code, lines = doctor("--port", "0")
    assert (code, lines[-1]) == (0, "ok    UDP port 0: free")


@pytest.mark.slow
def test_where_ceylon_cannot_be_loaded_a_manager_says_what_there_are_builds_for() -> None:
    code = (
        "import asyncio, sys; sys.modules['ceylon'] = None; from muster.agents import TaskManager; "
        "asyncio.run(TaskManager().start_agent())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("muster.messages.errors.CeylonUnusable: Ceylon can't be loaded: ")
    assert "Ceylon has builds for Linux on x86_64 with glibc 2.31 or newer" in last


# ---------------------------------------------------------------------------- .ceylon_network


def network_file(text: str | None, folder: Path) -> Path:
    if text is not None:
        (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, None),
        ("WORKSPACE_ID=bygone\nWORKSPACE_PORT={closed}\nWORKSPACE_IP=127.0.0.1", "is outdated"),
        ("WORKSPACE_ID=bygone\nWORKSPACE_PORT={closed}", "is outdated"),
        (
            "WORKSPACE_IP=\nWORKSPACE_ID=bygone",
            "has the host '', which is not a numeric IPv4",
        ),
        ("WORKSPACE_IP=localhost", "has the host 'localhost', which is not a numeric IPv4 address"),
        ("WORKSPACE_PORT=many", "has the port 'many', which is not a valid"),
        ("WORKSPACE_PORT=0", "has the port '0', which is not a valid"),
        ("", None),
    ],
)
async def test_a_network_file_that_leads_plain_agents_astray_is_found(
    text: str | None, told: str | None, tmp_path: Path
) -> None:
    text = None if text is None else text.format(closed=claim_port())
    finding = await examine_network_file(network_file(text, tmp_path))
    assert finding.is_ok is (told is None), finding
    if told is None:
        return
    assert told in finding.detail
    assert str(tmp_path / FILE_NAME) in finding.detail
    assert "overrides the arguments of plain Ceylon agents" in finding.detail
    assert "delete the file" in finding.detail
    if text is not None and "bygone" in text:
        assert "workspace_id='bygone'" in finding.detail


@pytest.mark.parametrize("change", [{}, {"port": 7}, {"peer_id": "12D3Koother"}])
async def test_with_a_ticket_the_file_must_lead_to_its_workspace(
    change: dict[str, Any], tmp_path: Path
) -> None:
    wanted = ticket(host="192.0.2.7")
    said = replace(wanted, host="127.0.0.1", **change)
    text = f"WORKSPACE_ID={said.workspace_id}\nWORKSPACE_PEER={said.peer_id}\n"
    text += f"WORKSPACE_PORT={said.port}\nWORKSPACE_IP={said.host}"
    finding = await examine_network_file(network_file(text, tmp_path), str(wanted))
    assert finding.is_ok is (not change)
    needed = f"admin_peer='12D3KooWnobody', admin_ip='192.0.2.7', port={wanted.port}"
    without = await examine_network_file(tmp_path / "elsewhere", str(wanted))
    assert without.is_ok
    assert needed in without.detail
    if change:
        assert not finding.is_ok
        assert "refers to another workspace than the ticket" in finding.detail
        assert needed in finding.detail


# ---------------------------------------------------------------------------- over NATS


@pytest.mark.nats
async def test_over_nats_the_server_and_the_manager_are_asked(nats_server: NatsServer) -> None:
    manager = TaskManager(link=nats_server.url, workspace_id="doctor", quiet=True)
    await manager.start()
    findings = await examine_manager(str(manager.ticket()))
    assert [each.check for each in findings] == ["ticket", "NATS server", "manager", "clock"]
    assert all(each.is_ok for each in findings)
    await manager.stop()


async def test_a_nats_server_that_is_not_there_is_found() -> None:
    lost = Ticket("default", "", "", 0, sealed=False, nats=f"nats://127.0.0.1:{free_tcp_port()}")
    *_, finding = await examine_manager(str(lost))
    assert (finding.check, finding.is_ok) == ("NATS server", False)
    assert "check that it runs" in finding.detail


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_manager_that_is_silent_over_nats_is_explained_without_a_peer_id() -> None:
    assert "from a manager of this run" in explain_no_answer({}, over_nats=True)
