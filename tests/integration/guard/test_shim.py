"""The static program that starts agents in their containers: who may talk to one, and what is left of it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.guard.conftest import descendants, eventually
from tests.integration.guard.pod import build_shim
from tests.support.ports import free_port

KEY = "k" * 64
ENV = f"CADRE_ACP_SECRET={KEY}\nOPENAI_HOST=http://127.0.0.1:1\nCADRE_HOME_RIGHTS=r1\n"
# says what it sees, leaves a process of its own session behind, echoes
SEES = 'echo "$(ls -A "$HOME" | tr "\\n" " ")" "$OPENAI_HOST" "${CADRE_ACP_SECRET-none}"'
AGENT = f"setsid sleep 600 & {SEES}; exec cat"


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built program."""
    return build_shim(tmp_path_factory.mktemp("build"))


class Running:
    """A shim in front of a shell."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, root: Path) -> None:
        self.process = process
        self.port = port
        self.root = root

    async def greet(self, line: str) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, show a first line; the answer to it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=8_000_000)
        writer.write(line.encode())
        try:
            answer = await asyncio.wait_for(reader.readline(), 60)
        except ConnectionError:
            answer = b""
        return answer, reader, writer


@pytest_asyncio.fixture
async def running(shim: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """Listening."""
    (tmp_path / "home").mkdir()
    (tmp_path / "agent.env").write_text(ENV)
    port = free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    command = [str(shim), "stdio", str(tmp_path / "agent.env"), str(port), "--", "sh", "-c", AGENT]
    process = await asyncio.create_subprocess_exec(*command, env=env)
    it = Running(process, port, tmp_path)
    async with asyncio.timeout(60):
        while True:
            try:
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            break
    yield it
    if process.returncode is None:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize(
    "line", ["\n", f"{KEY}\n", "CADRE1 \n", f"CADRE1 {KEY[:-1]}\n", f"CADRE1 {KEY}k\n", "CADRE1 " + "x" * 500]
)
async def test_who_does_not_show_the_key_gets_nothing(running: Running, line: str) -> None:
    answer, _reader, writer = await running.greet(line)
    writer.close()

    assert answer == b""
    assert descendants(running.process.pid) == []


async def test_a_connection_is_an_agent_with_an_empty_home_and_nothing_outlives_it(running: Running) -> None:
    (running.root / "home" / "deep" / "er").mkdir(parents=True)
    (running.root / "home" / "deep" / "er" / "secret").write_text("of another life")
    for key in (KEY, "n" * 64):
        (running.root / "agent.env").write_text(ENV.replace(KEY, key))  # the guard renews it
        answer, reader, writer = await running.greet(f"CADRE1 {key}\n")
        assert answer == b"OK\n"
        assert (await reader.readline()).split() == [b".cadre-rights", b"http://127.0.0.1:1", b"none"]
        writer.write(b"x" * 3_000_000 + b"\n")
        assert len(await asyncio.wait_for(reader.readline(), 60)) == 3_000_001
        assert descendants(running.process.pid)

        writer.close()

        await eventually(lambda: descendants(running.process.pid) == [])
        (running.root / "home" / "left").write_text("x")
    assert len(list(Path(f"/proc/{running.process.pid}/fd").iterdir())) <= 5


async def test_one_connection_at_a_time(running: Running) -> None:
    answer, reader, writer = await running.greet(f"CADRE1 {KEY}\n")
    await reader.readline()

    other, _reader, second = await running.greet(f"CADRE1 {KEY}\n")

    assert (answer, other) == (b"OK\n", b"")
    writer.write(b"still here\n")
    assert await asyncio.wait_for(reader.readline(), 60) == b"still here\n"
    for each in (writer, second):
        each.close()


async def test_an_agent_that_ends_closes_the_connection(running: Running) -> None:
    _answer, reader, writer = await running.greet(f"CADRE1 {KEY}\n")
    await reader.readline()
    writer.write_eof()

    assert await asyncio.wait_for(reader.read(), 120) == b""
    writer.close()


async def test_a_kept_home_is_emptied_only_when_rights_change(shim: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "CADRE_KEEP_HOME": "1"}

    async def run() -> int:
        command = (str(shim), "run", str(tmp_path / "agent.env"), "--", "touch", f"{home}/memory")
        process = await asyncio.create_subprocess_exec(*command, env=env)
        return await process.wait()

    (tmp_path / "agent.env").write_text(ENV)
    assert await run() == 0
    (home / "older").write_text("x")
    assert await run() == 0
    assert (home / "older").exists()
    (tmp_path / "agent.env").write_text(ENV.replace("r1", "r2"))
    assert await run() == 0
    assert not (home / "older").exists()


@pytest.mark.parametrize("text", ["", "no line of ours\n", "lower=1\n", "A=1\n" * 40, "A=" + "x" * 9000])
async def test_a_file_that_is_not_the_guards_starts_nothing(shim: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.env").write_text(text)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = (str(shim), "run", str(tmp_path / "agent.env"), "--", "touch", f"{tmp_path}/ran")
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.DEVNULL)

    assert await process.wait() == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("exec sleep 600", 143), ("kill -9 $$", 137)])
async def test_an_agent_is_told_to_stop_and_ends_as_it_ends(
    shim: Path, tmp_path: Path, script: str, status: int
) -> None:
    """As the first process of a pid namespace, which no default action of a signal reaches."""
    (tmp_path / "agent.env").write_text(ENV)
    (tmp_path / "home").mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    alone = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    command = (*alone, str(shim), "run", str(tmp_path / "agent.env"), "--", "sh", "-c", script)
    process = await asyncio.create_subprocess_exec(*command, env=env)
    if status == 143:
        await eventually(lambda: "sleep" in _programs(process.pid))
        first = next(pid for pid in descendants(process.pid) if _program(pid) == "cadre-shim")
        os.kill(first, signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == status


async def test_it_takes_the_place_of_an_earlier_copy(shim: Path, tmp_path: Path) -> None:
    """A node that restarts runs init containers again; nobody may write to the copy of before."""
    target = tmp_path / "cadre-shim"
    assert await _installed(shim, target)
    with target.open("rb") as before:
        assert await _installed(shim, target)
        assert os.fstat(before.fileno()).st_nlink == 0
    assert target.read_bytes() == shim.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o555


async def _installed(shim: Path, target: Path) -> bool:
    process = await asyncio.create_subprocess_exec(shim, "install", target)
    return await process.wait() == 0


def _programs(pid: int) -> list[str]:
    return [_program(child) for child in descendants(pid)]


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
