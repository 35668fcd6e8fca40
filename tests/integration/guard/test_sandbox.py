"""What code in the agent's place can reach: each target is first shown to be there from outside."""

import asyncio
import os
import shutil
import socket
import stat
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadre_guard.errors import GuardError
from cadre_guard.sandbox.spec import LaunchSpec
from cadre_guard.sandbox.start import AgentProcess, start_agent

PYTHON = Path("/usr/bin/python3")
SHELL = Path("/bin/sh")
PORTS = (8101, 8102)


def _spec(program: Path, *arguments: str, isolate: bool = True, home: Path) -> LaunchSpec:
    home.mkdir(parents=True, exist_ok=True)
    return LaunchSpec(
        argv=(str(program), *arguments),
        environment={"HOME": "@HOME@", "PATH": "/usr/bin:/bin", "WHERE": "@PORT0@ @PORT1@"},
        files={".config/agent": "prepared"},
        ports=PORTS,
        isolate=isolate,
        home=str(home),
    )


async def _run(spec: LaunchSpec) -> tuple[str, AgentProcess]:
    agent = await start_agent(spec)
    agent.stdin.close()
    output = (await asyncio.wait_for(agent.stdout.read(), 120)).decode()
    return output, agent


async def _output(spec: LaunchSpec) -> str:
    output, agent = await _run(spec)
    await agent.kill()
    await agent.clean()
    return output


async def _shell(tmp_path: Path, script: str, **options: bool) -> str:
    return await _output(_spec(SHELL, "-c", f"exec 2>&1\n{script}", home=tmp_path / "home", **options))


@pytest.fixture
def secret_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Files that an agent must not see: the keystore, another agent's state, a database socket."""
    other = tmp_path / "agents" / "other" / "bundle.json"
    files = {"keystore": tmp_path / "keystore.json", "other agent": other}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
    address = tmp_path / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        server.listen()
        yield {**files, "postgres socket": address}


async def test_files_outside_its_root_do_not_exist_for_the_agent(
    tmp_path: Path, secret_files: dict[str, Path]
) -> None:
    targets = " ".join(f"'{path}'" for path in secret_files.values())
    script = f'for f in {targets}; do [ -e "$f" ] && echo "seen $f"; done; echo end; ls -A /'
    outside = await _shell(tmp_path, script, isolate=False)
    assert outside.count("seen") == len(secret_files)

    inside = await _shell(tmp_path, script)

    assert "seen" not in inside
    assert set(inside.split("end", 1)[1].split()) <= {
        "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "opt", "proc", "sbin", "tmp", "usr", "work",
    }  # fmt: skip


@pytest.mark.skipif(not PYTHON.exists(), reason="needs a Python below /usr")
async def test_the_agent_reaches_its_two_ports_and_no_other_of_this_machine(tmp_path: Path) -> None:
    with socket.socket() as controller, socket.socket(socket.AF_UNIX) as abstract:
        controller.bind(("127.0.0.1", 0))
        controller.listen()
        name = f"\0cadre-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        port = controller.getsockname()[1]
        script = textwrap.dedent(f"""
            import os, socket
            own = [int(port) for port in os.environ["WHERE"].split()]
            for port in [*own, {port}]:
                try:
                    socket.create_connection(("127.0.0.1", port), 2).close()
                    print("own" if port in own else "controller", "reached")
                except OSError:
                    print("own" if port in own else "controller", "unreachable")
            try:
                abstract = socket.socket(socket.AF_UNIX)
                abstract.connect({name!r})
                print("abstract reached")
            except OSError:
                print("abstract unreachable")
        """)

        outside = await _output(_spec(PYTHON, "-c", script, isolate=False, home=tmp_path / "home"))
        inside = await _output(_spec(PYTHON, "-c", script, home=tmp_path / "home"))

    assert outside.splitlines() == ["own reached"] * 2 + ["controller reached", "abstract reached"]
    assert inside.splitlines() == ["own reached"] * 2 + ["controller unreachable", "abstract unreachable"]


async def test_the_guard_serves_on_the_ports_it_was_handed(tmp_path: Path) -> None:
    agent = await start_agent(
        _spec(
            PYTHON,
            "-c",
            "import socket; s = socket.create_connection(('127.0.0.1', 8101)); print(s.recv(5).decode())",
            home=tmp_path / "home",
        )
    )
    listener = agent.listeners[0]
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    connection, _address = await asyncio.wait_for(loop.sock_accept(listener), 60)
    await loop.sock_sendall(connection, b"hello")
    connection.close()

    assert (await asyncio.wait_for(agent.stdout.readline(), 60)) == b"hello\n"
    await agent.kill()
    await agent.clean()


async def test_the_agent_sees_no_process_but_its_own(tmp_path: Path) -> None:
    script = "ls /proc | grep -c '^[0-9]'; grep -h NSpid /proc/self/status"
    outside = int((await _shell(tmp_path, script, isolate=False)).split()[0])

    inside = int((await _shell(tmp_path, script)).split()[0])

    assert inside <= 6 < outside


async def test_the_agent_has_no_rights_and_gains_none(tmp_path: Path) -> None:
    output = await _shell(tmp_path, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status; id -u; id -G")

    rights = dict(line.split(":\t") for line in output.splitlines() if ":\t" in line)
    assert {value for name, value in rights.items() if name.startswith("Cap")} == {"0000000000000000"}
    assert rights["NoNewPrivs"] == "1"
    assert output.splitlines()[-2:] == ["1000", "1000"]


async def test_the_agent_can_write_to_its_home_and_scratch_only(tmp_path: Path) -> None:
    places = "/ /usr /etc /work /opt /opt/agent/bin /dev /bin /home"
    attempt = '(echo x > "$d/x") && echo "wrote $d"'
    script = f"cat $HOME/.config/agent; for d in {places} $HOME /tmp; do {attempt}; done"

    output = await _shell(tmp_path, script)

    assert output.startswith("prepared")
    assert [line for line in output.splitlines() if line.startswith("wrote")] == [
        "wrote /home/agent",
        "wrote /tmp",
    ]


async def test_a_fresh_agent_has_a_fresh_home(tmp_path: Path) -> None:
    await _shell(tmp_path, "echo secret > $HOME/left; echo secret > /tmp/left")

    output = await _shell(tmp_path, "ls -A $HOME /tmp")

    assert "left" not in output


async def test_without_a_sandbox_the_home_on_the_host_is_wiped(tmp_path: Path) -> None:
    output = await _shell(tmp_path, "echo secret > $HOME/left; ls $HOME", isolate=False)

    assert "left" in output
    assert not (tmp_path / "home").exists()


async def test_the_report_says_what_holds(tmp_path: Path) -> None:
    _output_text, isolated = await _run(_spec(SHELL, "-c", "true", home=tmp_path / "home"))
    _output_text, plain = await _run(_spec(SHELL, "-c", "true", isolate=False, home=tmp_path / "plain"))
    for agent in (isolated, plain):
        await agent.kill()
        await agent.clean()

    assert set(plain.report.boundary.values()) == {False}
    assert isolated.report.boundary == dict.fromkeys(isolated.report.boundary, True)


async def test_an_agent_that_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(GuardError) as caught:
        await start_agent(_spec(tmp_path / "missing", home=tmp_path / "home"))

    assert caught.value.reason == "SandboxFailed"


async def test_killing_the_launcher_kills_the_agent(tmp_path: Path) -> None:
    agent = await start_agent(_spec(SHELL, "-c", "echo up; sleep 600", home=tmp_path / "home"))
    assert (await asyncio.wait_for(agent.stdout.readline(), 60)) == b"up\n"

    await agent.kill()

    # its end of the pipe closes only when every process that holds it has gone
    assert await asyncio.wait_for(agent.stdout.read(), 60) == b""
    await agent.clean()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become an ordinary user")
async def test_an_ordinary_user_gets_the_same_cage(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(_package(), _open_folder(tmp_path) / "cadre_guard").parent)
    script = textwrap.dedent(f"""
        import asyncio
        from cadre_guard.sandbox.spec import LaunchSpec
        from cadre_guard.sandbox.start import start_agent

        async def main():
            command = ("/bin/sh", "-c", "id -u; ls -A / | wc -l; ls -A /tmp")
            spec = LaunchSpec(command, {{"PATH": "/usr/bin:/bin"}}, {{}}, (8101, 8102), True, "{folder}/home")
            agent = await start_agent(spec)
            agent.stdin.close()
            print(agent.report.boundary, (await agent.stdout.read()).decode())
            await agent.kill()

        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        str(PYTHON), "-c", script, env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        user=65534, group=65534, extra_groups=[], cwd="/",
    )  # fmt: skip
    out, _err = await asyncio.wait_for(process.communicate(), 60)
    shutil.rmtree(folder, ignore_errors=True)

    assert process.returncode == 0, out.decode()
    assert "False" not in out.decode()
    assert "1000" in out.decode().split()


def _package() -> Path:
    import cadre_guard

    return Path(str(cadre_guard.__file__)).parent


def _open_folder(tmp_path: Path) -> Path:
    """A folder that every user may read (pytest's own are closed)."""
    del tmp_path
    folder = Path(f"/tmp/cadre-open-{os.getpid()}-{sys.hexversion}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    return folder
