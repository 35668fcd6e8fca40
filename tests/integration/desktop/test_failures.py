"""Everything that can be wrong before or during a start: said clearly, and nothing left behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadre_local import state
from tests.integration.desktop.installation import Installation, installed, until

pytestmark = [pytest.mark.goose, pytest.mark.postgres]


@pytest.fixture
def place() -> Iterator[Installation]:
    """An installation that nothing has started yet."""
    with installed() as made:
        yield made


def refused(place: Installation, code: int, *words: str, arguments: list[str] | None = None) -> None:
    result = place.cadre(*(arguments or place.up_arguments("-f", str(place.chart))))
    assert result.returncode == code, f"{result.stdout}\n{result.stderr}\n{place.logs()}"
    for word in words:
        assert word in result.stderr, result.stderr
    place.none_left()


def test_a_taken_port_names_its_holder(place: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.guard_port))
        taken.listen()
        refused(place, 4, "PortTaken", str(place.guard_port), f"pid {os.getpid()}", "--guard-port")
    assert not place.home.root.exists()


def test_a_missing_goose_is_said_before_anything_starts(place: Installation) -> None:
    place.extra["CADRE_GOOSE"] = "/no/such/goose"
    refused(place, 1, "GooseMissing", "/no/such/goose", "→")
    assert not place.home.root.exists()


def test_a_bad_scenario_is_said_before_anything_starts(place: Installation) -> None:
    (place.chart / "story" / "scenario.yaml").write_text("rules: {")
    refused(place, 1, "ScenarioInvalid")
    assert not place.home.root.exists()


def test_data_of_another_postgres_is_refused(place: Installation) -> None:
    place.home.create()
    place.home.pg.mkdir()
    (place.home.pg / "PG_VERSION").write_text("14\n")
    refused(place, 1, "PostgresDataVersion", "14", "pg_dumpall")


def test_an_external_database_that_does_not_answer_is_named(place: Installation) -> None:
    place.extra["CADRE_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    refused(place, 1, "controller")
    assert place.cadre("status").returncode == 3


@pytest.mark.parametrize("moment", ["postgres", "controller", "agents"])
def test_ctrl_c_at_any_moment_stops_cleanly(place: Installation, moment: str) -> None:
    starting = start(place, "--foreground")
    until(lambda: moment in steps(place), place.logs)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(timeout=120) == 130
    starting.communicate()
    place.none_left()


def test_foreground_stays_until_ctrl_c(place: Installation) -> None:
    running = start(place, "--foreground")
    until(
        lambda: (known := state.load(place.home)) is not None and known.phase is state.Phase.READY, place.logs
    )
    assert running.poll() is None
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(timeout=120) == 130
    running.communicate()
    place.none_left()


def test_a_killed_foreground_takes_all_with_it(place: Installation) -> None:
    running = start(place, "--foreground")
    until(lambda: "controller" in steps(place), place.logs)
    running.kill()
    running.communicate()
    place.none_left()


def test_one_agent_that_cannot_start_does_not_keep_the_others_from_work(place: Installation) -> None:
    place.home.create()
    (place.home.root / "agents" / "acme.finance-1").write_text("in the way")
    result = place.cadre(*place.up_arguments("-f", str(place.chart)))
    assert result.returncode == 6, place.logs()
    assert "AgentsNotReady: not ready: acme/finance-1" in result.stderr
    assert "acme.finance-1" in result.stderr
    phases = {agent["key"]: agent["phase"] for agent in place.json("status")["agents"]}
    assert phases["acme/marketing-1"] == "Idle"
    assert phases["acme/finance-1"] != "Idle"
    (place.home.root / "agents" / "acme.finance-1").unlink()
    until(lambda: place.child("guard:acme/finance-1").phase is state.Phase.READY, place.logs)


def start(place: Installation, *more: str) -> subprocess.Popen[str]:
    command = place.command(*place.up_arguments("-f", str(place.chart), *more))
    return subprocess.Popen(
        command, env=place.environ, cwd=Path("/"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def steps(place: Installation) -> set[str]:
    known = state.load(place.home)
    return {step.name for step in known.steps} if known else set()
