"""The constructor arguments of a `TaskManager` are one checked object."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from muster.agents import PeerMode, TaskManager
from muster.agents.manager.options import ManagerOptions
from muster.messages import BlobUnusable, InvalidInput, Limit, MusterError, Retry, UnknownName

OTHERS: dict[str, Any] = {
    "name": "boss",
    "port": 9_001,
    "workspace_id": "estate",
    "mode": PeerMode.ADMIN,
    "role": "task_manager",
    "admin_peer": "12D3KooWExample",
    "host": "127.0.0.2",
    "expected_workers": 2,
    "num_workers": 3,
    "join_timeout_s": 4.0,
    "on_missing": "start",
    "allow": ["Ada"],
    "max_workers": 7,
    "policy": "score",
    "unmatched_after_s": None,
    "lost_after_s": 20.0,
    "reassign_failed": True,
    "quarantine_after": 3,
    "quarantine_s": 5.0,
    "prefetch_s": 0.0,
    "thrift": 0.1,
    "budget": 5.0,
    "cost_unit": "EUR",
    "aging_s": 60.0,
    "on_late": "fail",
    "retry": Retry(max_attempts=3),
    "retries": {"fetch": Retry(max_attempts=5)},
    "max_losses": 2,
    "keep_results_s": 60.0,
    "keep_results": 50,
    "limits": (Limit(concurrent=2),),
    "weights": {"a": 2.0},
    "skills": None,
    "time_scale": 0.5,
    "quiet": True,
    "secret": None,
    "insecure": True,
    "store": None,
    "trace": None,
    "blobs": None,
    "blob_threshold_bytes": 10,
    "max_lanes": 2,
    "lane_ports": (9_002, 9_003),
    "direct_connections": False,
    "link": "nats://127.0.0.1:4222",
    "nats_creds": "user.creds",
    "tls_ca": "ca.pem",
}
"""For each argument a value other than its default, as far as it has one that does no I/O."""


def test_every_argument_but_the_tasks_is_an_option() -> None:
    arguments = set(inspect.signature(TaskManager).parameters) - {"tasks"}
    assert arguments == {field.name for field in fields(ManagerOptions)} == set(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_each_argument_reaches_the_options(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("user.creds", "ca.pem"):
        Path(file).touch()
    manager = TaskManager(**{name: OTHERS[name]})
    assert getattr(manager._manager_options, name) == OTHERS[name]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"port": 70_000}, InvalidInput, "port is 70000; it must be 0 (any free one) to 65535"),
        ({"num_workers": 1, "expected_workers": 1}, InvalidInput, "which mean the same"),
        ({"mode": PeerMode.CLIENT}, InvalidInput, "it opens the workspace, so mode must be"),
        ({"role": "boss"}, InvalidInput, "role is 'boss'; workers know a manager by the role"),
        ({"blob_threshold_bytes": -1}, InvalidInput, "blob_threshold_bytes is -1; it must be 0"),
        ({"allow": "Ada"}, InvalidInput, "allow is the text 'Ada'; give a list of names"),
        ({"thrift": "much"}, InvalidInput, "thrift is 'much'; it must be a number"),
        ({"budget": "5"}, InvalidInput, "budget is '5'; it must be a number"),
        ({"lost_after_s": "2"}, InvalidInput, "lost_after_s is '2'; it must be a number"),
        ({"thrift": -1}, InvalidInput, "thrift is -1; it must be 0 or more"),
        ({"budget": float("nan")}, InvalidInput, "budget is nan; it must be 0 or more, or None"),
        ({"cost_unit": " "}, InvalidInput, "cost_unit is ' '; it must be text that is not blank"),
        ({"cost_unit": 5}, InvalidInput, "cost_unit is 5; it must be text that is not blank"),
        ({"aging_s": 0}, InvalidInput, "aging_s is 0; it must be above 0, or None"),
        ({"on_late": "wait"}, InvalidInput, "on_late is 'wait'; it must be 'run' or 'fail'"),
        ({"policy": "best"}, UnknownName, "best"),
        ({"lost_after_s": 0}, InvalidInput, "lost_after_s is 0; it must be above 0"),
        ({"max_workers": 0}, InvalidInput, "max_workers is 0; it must be 1 or more"),
        ({"max_lanes": 0}, InvalidInput, "max_lanes"),
        ({"link": "carrier"}, InvalidInput, "link is ['carrier']; give 'ceylon'"),
        ({"link": []}, InvalidInput, "link is []; give 'ceylon'"),
        ({"link": "nats://a:0"}, InvalidInput, "port 0"),
        ({"link": ["nats://u:hidden@a", "nats://b"]}, InvalidInput, "link is ['nats://a:4222'"),
        ({"link": "nats://a", "admin_peer": "p"}, InvalidInput, "leave one of them out"),
        ({"lane_ports": [0]}, InvalidInput, "a lane port is 0; it must be 1 to 65535"),
        ({"on_missing": "wait"}, InvalidInput, "on_missing"),
        ({"name": 5}, InvalidInput, "a manager needs a name that is not blank, not 5"),
        ({"name": " "}, InvalidInput, "a manager needs a name that is not blank, not ' '"),
        ({"host": "localhost"}, InvalidInput, "host is 'localhost'; it must be an IPv4 address"),
        ({"expected_workers": "Ada", "num_workers": None}, InvalidInput, "is the text 'Ada'"),
        ({"nats_creds": "no.creds"}, InvalidInput, "nats_creds is 'no.creds', but there is no"),
        ({"tls_ca": Path("no.pem")}, InvalidInput, "tls_ca is 'no.pem', but there is no such file"),
        ({"blobs": __file__}, BlobUnusable, "which is not a directory; name a directory"),
    ],
    ids=str,
)
def test_the_options_refuse_what_is_out_of_range(
    given: dict[str, Any], kind: type[MusterError], message: str
) -> None:
    options = {name: getattr(TaskManager()._manager_options, name) for name in OTHERS}
    with pytest.raises(kind) as refused:
        ManagerOptions(**{**options, **given})
    assert message in str(refused.value)


def test_a_store_of_another_kind_is_refused() -> None:
    store: Any = 5
    with pytest.raises(InvalidInput, match="store is 5; it must be a file, a URL or a store"):
        TaskManager(store=store)


def test_each_lane_port_is_kept_once() -> None:
    assert TaskManager(lane_ports=[9_002, 9_002])._manager_options.lane_ports == (9_002,)
