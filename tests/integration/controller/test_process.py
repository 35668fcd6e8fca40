"""The process: starts with two ports, stops cleanly, and says in one line why it cannot start."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.controller.stand import (
    DESKTOP_SECRET,
    Stand,
    open_stand,
    settings,
    until,
    write_secrets,
)
from tests.support.ports import free_port
from tests.support.scripted import Scripted

COMMAND = [sys.executable, "-m", "cadre_controller"]


def environment(root: Path, database: str, **more: str) -> dict[str, str]:
    write_secrets(root)
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "CADRE_DATABASE_URL": database,
        "CADRE_PUBLIC_LISTEN": f"127.0.0.1:{free_port()}",
        "CADRE_GUARD_LISTEN": f"127.0.0.1:{free_port()}",
        "CADRE_KEYSTORE": str(root / "keystore.json"),
        "CADRE_KEYSTORE_KEY_FILE": str(root / "keystore.key"),
        "CADRE_HOME": str(root),
        "CADRE_DESKTOP": "1",
        **more,
    }


def refused(env: dict[str, str]) -> str:
    """The one line of a controller that does not start."""
    done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1 and lines[0].startswith("cadre-controller: "), done.stderr
    return lines[0]


@contextmanager
def taken_port() -> Iterator[str]:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


def test_a_taken_port_is_named_with_its_variable(tmp_path: Path, database: str) -> None:
    for name in ("CADRE_PUBLIC_LISTEN", "CADRE_GUARD_LISTEN"):
        with taken_port() as address:
            line = refused(environment(tmp_path, database, **{name: address}))
        assert "PortTaken" in line and address in line and name in line


def test_a_missing_database_is_told(tmp_path: Path) -> None:
    line = refused(environment(tmp_path, f"postgresql://postgres@127.0.0.1:{free_port()}/x"))
    assert "Unavailable" in line and "CADRE_DATABASE_URL" in line


def test_a_missing_variable_is_told(tmp_path: Path) -> None:
    assert "CADRE_DATABASE_URL is not set" in refused(environment(tmp_path, "", CADRE_DATABASE_URL=""))


def test_a_keystore_that_does_not_open_is_told(tmp_path: Path, database: str) -> None:
    env = environment(tmp_path, database)
    (tmp_path / "keystore.json").write_text("{}")
    line = refused(env)
    assert "eystore" in line and ";" in line


def test_it_serves_logs_as_json_and_stops_cleanly(tmp_path: Path, database: str) -> None:
    env = environment(tmp_path, database)
    process = subprocess.Popen(COMMAND, env=env, stderr=subprocess.PIPE, text=True)
    try:
        url = f"http://{env['CADRE_PUBLIC_LISTEN']}"
        wait_ready(url)
        grant = json.dumps({"grant": "desktop", "secret": DESKTOP_SECRET}).encode()
        request = urllib.request.Request(
            f"{url}/api/v1/auth/token", grant, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["person"] == ""
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["message"] for line in lines] == ["serving", "stopping", "stopped"]
    assert lines[0]["publicPort"] == int(env["CADRE_PUBLIC_LISTEN"].rpartition(":")[2])


def wait_ready(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{url}/ready", timeout=10).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


async def test_a_stop_ends_long_polls_and_streams_but_finishes_calls(
    tmp_path: Path, database: str, model: Scripted
) -> None:
    opened = open_stand(tmp_path, database, model.url)
    stand: Stand = await opened.__aenter__()
    held = await stand.held(by="bruno")
    bruno = await stand.person("bruno")
    story = bruno.get(f"/api/v1/tasks/{held.task}/events", Accept="text/event-stream")
    polls = [
        asyncio.create_task(held.guard.post("/guard/v1/claims", {"capacity": 1, "waitSeconds": 60})),
        asyncio.create_task(held.guard.get("/guard/v1/bundle?after=99&wait=60")),
        asyncio.create_task(story),
    ]
    calls = [
        asyncio.create_task(held.chat("please-think", "a", stream=True)),
        asyncio.create_task(held.chat("please-think", "b")),
    ]
    await until(lambda: _has(model, 2))
    started = time.monotonic()
    serving = stand.serving
    stop = asyncio.create_task(_stop(serving.runtime))
    replies = await asyncio.gather(*polls, *calls)
    await stop
    assert time.monotonic() - started < 30, "the long polls did not run to their end"
    assert [reply.status for reply in replies] == [200, 204, 200, 200, 200]
    assert replies[0]["leases"] == []
    assert "[DONE]" in replies[3].text and "I thought." in replies[4].text
    await opened.__aexit__(None, None, None)


async def _has(model: Scripted, count: int) -> bool:
    return len(await asyncio.to_thread(model.requests)) == count


async def _stop(runtime) -> None:  # type: ignore[no-untyped-def]  # what main does first
    runtime.stopping.set()


@pytest.mark.parametrize(("stop_seconds", "whole"), [(60, True), (0.01, False)])
async def test_a_stream_has_the_stated_time_to_end(
    tmp_path: Path, database: str, model: Scripted, stop_seconds: float, whole: bool
) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as outside:
        async with open_stand(tmp_path, database, model.url, stop_seconds=stop_seconds) as stand:
            held = await stand.held()
            held.guard.http = outside
            call = asyncio.create_task(held.chat("please-think", stream=True))
            await until(lambda: _has(model, 1))
        (reply,) = await asyncio.gather(call, return_exceptions=True)
    assert ("[DONE]" in getattr(reply, "text", "")) == whole


async def test_a_restart_keeps_turns_alive(tmp_path: Path, database: str, model: Scripted) -> None:
    async with open_stand(tmp_path, database, model.url) as stand:
        held = await stand.held()
        token = held.guard.token
    async with open_stand(tmp_path, database, model.url) as again:
        held.guard = again.guard(token)
        beat = await held.guard.post(
            f"/guard/v1/leases/{held.task}/heartbeat", {"fence": held.lease["fence"]}
        )
        assert beat.status == 200, beat.text
        assert (await held.chat("hello")).status == 200


def test_settings_of_the_tests_are_those_of_a_desktop(tmp_path: Path) -> None:
    made = settings(tmp_path, "postgresql:///x")
    assert made.desktop and made.bootstrap_dir is not None
    with pytest.raises(ValueError, match="frozen"):
        made.desktop = False
