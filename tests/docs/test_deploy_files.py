"""The files of docs/deploy: their commands parse, and they are what systemd and others accept."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import typer.main
import yaml
from muster.agents import TaskManager
from muster.agents.command.app import application
from muster.agents.metrics import render_metrics

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OPTIONS_WITH_SECRETS = ("password", "token", "secret=", "seed")
MARGIN_S = 10
"""How much longer than its grace a process is given before it is killed."""


def resources() -> list[dict[str, Any]]:
    return [
        each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container, and the pod that it stands in."""
    for each in resources():
        pod = each["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", ()):
            yield container, pod


def unit_command(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    program, *arguments = shlex.split(re.sub(r"%[a-zA-Z]", "1", line))
    assert Path(program).name == "muster"
    return arguments


def commands() -> dict[str, list[str]]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return {
        **{path.name: unit_command(path) for path in UNITS},
        **{
            f"compose {name}": service["command"]
            for name, service in compose["services"].items()
            if service["image"] == "muster"
        },
        **{f"kubernetes {each['name']}": each["args"] for each, _ in containers()},
    }


@pytest.mark.parametrize("where", commands())
def test_every_command_parses_and_shows_no_secret(where: str) -> None:
    name, *arguments = commands()[where]
    command: Any = typer.main.get_command(application)
    parsed = command.commands[name].make_context(name, list(arguments))
    assert parsed.params["grace"] == 50
    assert [each for each in arguments if any(word in each for word in OPTIONS_WITH_SECRETS)] == []
    assert not re.search(r"//[^/]*@", " ".join(arguments))


def test_whoever_stops_a_process_waits_longer_than_its_grace() -> None:
    limits = [
        int(seconds)
        for path in UNITS
        for seconds in re.findall(r"^TimeoutStopSec=(\d+)$", path.read_text(), re.MULTILINE)
    ]
    assert len(limits) == len(UNITS)
    limits += [pod["terminationGracePeriodSeconds"] for _, pod in containers()]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    limits += [
        int(service["stop_grace_period"].removesuffix("s"))
        for service in compose["services"].values()
        if service["image"] == "muster"
    ]
    assert all(limit >= 50 + MARGIN_S for limit in limits)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault_in_a_unit(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    program = tmp_path / "muster"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = unit.read_text(encoding="utf-8")
    checked = tmp_path / unit.name.replace("@.", "@1.")
    checked.write_text(text.replace("/opt/muster/bin/muster", str(program)))
    found = subprocess.run(
        [analyze, "verify", str(checked)], capture_output=True, text=True, timeout=120, check=False
    )
    said = [line for line in found.stderr.splitlines() if checked.name in line]
    assert (found.returncode, said) == (0, []), found.stderr


def test_the_manifests_have_the_form_that_kubernetes_expects() -> None:
    found = resources()
    for each in found:
        kubernetes_validate.validate(each, "1.30", strict=True)
    kinds = {each["kind"] for each in found}
    assert kinds >= {"StatefulSet", "Deployment", "Service", "HorizontalPodAutoscaler"}


def test_the_compose_file_has_the_form_of_its_specification() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    compose_spec.ComposeSpecification.model_validate(compose)


def test_the_probes_ask_for_what_the_page_answers() -> None:
    (manager,) = (each for each, _ in containers() if each["name"] == "manager")
    assert manager["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert manager["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert f"--web={manager['ports'][0]['containerPort']}" in manager["args"]


def test_the_autoscaler_reads_a_metric_that_a_manager_serves() -> None:
    (scaler,) = (each for each in resources() if each["kind"] == "HorizontalPodAutoscaler")
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]
    (status,) = metric["selector"]["matchLabels"].values()
    line = f'{metric["name"]}{{status="{status}"}} '
    assert line in render_metrics(TaskManager(quiet=True)).decode()


@pytest.mark.parametrize(
    "container", [each for each, _ in containers()], ids=lambda each: each["name"]
)
def test_a_container_has_no_more_rights_than_it_needs(container: dict[str, Any]) -> None:
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
