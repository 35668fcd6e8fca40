"""Up, used, changed, hurt, down, up again: one installation through its life, in order."""

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from cadre_local.state import Phase
from tests.integration.desktop.installation import Installation, installed, until

pytestmark = [pytest.mark.goose, pytest.mark.postgres]


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    """A running installation."""
    with installed() as made:
        made.up()
        yield made


def test_status_says_what_runs_and_what_holds(place: Installation) -> None:
    report = place.json("status")
    assert report["phase"] == "Ready"
    assert {process["phase"] for process in report["processes"]} == {"Ready"}
    assert report["database"]["listens"] == "unix socket only"
    assert "key file" in report["keystore"]
    assert "scripted" in report["model"]
    running = {agent["key"]: agent for agent in report["agents"] if agent["lifecycle"] == "Running"}
    assert set(running) == {"acme/marketing-1", "acme/finance-1"}
    for agent in running.values():
        assert agent["phase"] in {"Idle", "Busy"}
        assert set(agent["boundary"]) >= {"network", "mount", "pid", "ipc", "user"}
    providers = {provider["name"]: provider["reachable"] for provider in report["providers"]}
    assert providers["acme/scripted"] is True
    text = place.done("status")
    assert text.index("Finance") < text.index("finance-1")


def test_secrets_are_private_and_postgres_listens_on_no_port(place: Installation) -> None:
    home = place.home
    for file in (home.desktop_token, home.keystore, home.keystore_key, *home.bootstrap.iterdir()):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((home.sockets).stat().st_mode) == 0o700
    with socket.socket() as probe:
        assert (home.sockets / ".s.PGSQL.5432").is_socket()
        probe.settimeout(1)
    postgres = place.child("postgres").process
    assert postgres is not None
    assert not [
        c for c in psutil.Process(postgres.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN
    ]


def test_a_second_up_says_who_runs(place: Installation) -> None:
    supervisor = place.state().supervisor.pid
    assert f"supervisor pid {supervisor}" in place.done("up")
    assert place.state().supervisor.pid == supervisor


def test_resources_and_plan_through_the_running_controller(place: Installation) -> None:
    assert {item["key"] for item in place.json("get", "agents")["items"]} >= {"acme/finance-1"}
    assert "acme/ledger" in place.done("get", "toolservers")
    assert "h-keller" in place.done("get", "persons")
    assert {item["change"] for item in place.json("plan", "-f", str(place.chart))["agents"]} == {"Same"}


def test_a_dry_run_explains_the_route_and_commits_nothing(place: Installation) -> None:
    route = place.json(
        "--as", "l-brandt", "task", "run", "--role", "marketing", "--dry-run", "Write a headline"
    )
    assert route["agent"] == "acme/marketing-1"
    assert place.json("task", "list")["items"] == []


def test_a_changed_chart_starts_and_stops_guards(place: Installation) -> None:
    place.set_lifecycle("marketing-1", "Suspended")
    place.set_lifecycle("analyst-1", "Running")
    assert place.json("plan", "-f", str(place.chart))["agents"]
    place.up()
    until(
        lambda: (
            {c.name for c in place.state().children if c.name.startswith("guard:")}
            == {"guard:acme/analyst-1", "guard:acme/finance-1"}
        )
    )
    until(lambda: not (place.home.bootstrap / "acme.marketing-1").exists())
    place.set_lifecycle("marketing-1", "Running")
    place.set_lifecycle("analyst-1", "Suspended")
    place.done("apply", "-f", str(place.chart))
    until(
        lambda: (
            {c.name for c in place.state().children if c.phase is Phase.READY}
            >= {"guard:acme/marketing-1", "guard:acme/finance-1"}
        ),
        place.logs,
    )


def test_a_bad_chart_changes_nothing(place: Installation) -> None:
    before = place.json("status")["agents"]
    good = (place.chart / "org.yaml").read_text()
    (place.chart / "org.yaml").write_text(good.replace("type: Division", "type: Devision", 1))
    refused = place.cadre(*place.up_arguments("-f", str(place.chart)))
    (place.chart / "org.yaml").write_text(good)
    assert refused.returncode == 1
    assert "org.yaml:" in refused.stderr
    assert "spec.type" in refused.stderr
    assert "Division" in refused.stderr
    assert [agent["key"] for agent in place.json("status")["agents"]] == [agent["key"] for agent in before]


@pytest.mark.parametrize("name", ["guard:acme/finance-1", "controller", "postgres", "model"])
def test_what_is_killed_comes_back(place: Installation, name: str) -> None:
    before = place.child(name)
    assert before.process is not None
    os.kill(before.process.pid, signal.SIGKILL)
    until(
        lambda: place.child(name).restarts > before.restarts and place.child(name).phase is Phase.READY,
        place.logs,
    )
    until(lambda: _all_idle(place), place.logs)


def _all_idle(place: Installation) -> bool:
    result = place.cadre("status", "-o", "json")
    agents = json.loads(result.stdout or "{}").get("agents", ())
    return [agent["phase"] for agent in agents if agent["lifecycle"] == "Running"] == ["Idle", "Idle"]


def test_a_held_call_is_approved_watched_proved_and_traced(place: Installation) -> None:
    transfer = yaml.safe_load((place.chart / "story" / "request.yaml").read_text())["transfer"]
    asked = ("--as", transfer["requester"])
    task = place.json(*asked, "task", "run", "--role", transfer["role"], transfer["prompt"])
    until(lambda: place.json("approvals")["items"], place.logs)
    (waiting,) = place.json("--as", transfer["approver"], "approvals")["items"]
    assert waiting["tool"].endswith(transfer["tool"])
    assert place.cadre("--as", transfer["requester"], "approve", waiting["id"], "--yes").returncode != 0
    shown = place.done("--as", transfer["approver"], "approve", waiting["id"], "--yes")
    assert waiting["argumentsHash"] in shown
    assert "4200" in shown
    assert place.cadre("--as", transfer["approver"], "approve", waiting["id"], "--yes").returncode == 4
    story = place.done(*asked, "task", "watch", task["id"], "--timeout", "120")
    for part in ("task accepted", "masked", "acme/h-keller", "Succeeded"):
        assert part in story, story
    assert place.json("audit", "verify")["ok"] is True
    until(lambda: {"cadre-controller", "cadre-guard"} == _services(place, task["id"]), place.logs)
    until(lambda: "turn" in place.done("trace", task["id"]), place.logs)


def _services(place: Installation, task: str) -> set[str]:
    """Who has told of a task; spans are sent now and then."""
    return {span["service"] for span in place.json("trace", task)["spans"]}


def test_an_export_proves_itself_without_the_controller(place: Installation) -> None:
    export, checkpoint = place.root / "audit.ndjson", place.root / "checkpoint.jws"
    place.done("audit", "export", "-w", str(export), "--checkpoint", str(checkpoint))
    assert place.json("audit", "verify", str(export), "--checkpoint", str(checkpoint))["ok"] is True
    lines = export.read_text().splitlines(True)
    export.write_text("".join([*lines[:3], *lines[4:]]))
    assert place.json_of(1, "audit", "verify", str(export))["reason"] == "SequenceGap"


def test_down_leaves_nothing_and_up_continues(place: Installation) -> None:
    events = place.json("audit", "verify")["events"]
    place.done("down")
    place.none_left()
    assert not place.home.desktop_token.exists()
    assert not list(place.home.bootstrap.iterdir())
    assert place.cadre("status").returncode == 3
    place.done(*place.up_arguments())
    assert place.json("audit", "verify")["events"] >= events
    assert {item["key"] for item in place.json("get", "agents")["items"]} >= {"acme/finance-1"}


def test_a_killed_supervisor_takes_all_with_it_and_up_continues(place: Installation) -> None:
    os.kill(place.state().supervisor.pid, signal.SIGKILL)
    place.none_left()
    status = place.cadre("status")
    assert status.returncode == 3
    assert "killed" in status.stderr
    place.done("down")
    place.done(*place.up_arguments())
    assert place.json("status")["phase"] == "Ready"


def test_a_relative_tool_command_starts_where_the_chart_is(place: Installation) -> None:
    controller = place.child("controller").process
    assert controller is not None
    if Path(f"/proc/{controller.pid}/cwd").exists():
        assert Path(f"/proc/{controller.pid}/cwd").resolve() == place.chart
