"""Supervised programs, with real processes: restart, give up, stop, nothing left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cadre_local.errors import CadreError
from cadre_local.process import find, identify
from cadre_local.state import Phase
from cadre_local.supervise.backoff import Backoff
from cadre_local.supervise.child import ManagedChild, last_line
from cadre_local.supervise.spec import ProgramSpec

SLEEP = "import time; time.sleep(60)"


def python(code: str, tmp_path: Path) -> ProgramSpec:
    return ProgramSpec(
        name="test",
        command=(sys.executable, "-c", code),
        environ={"PATH": os.environ["PATH"]},
        log=tmp_path / "test.log",
        cwd=tmp_path,
        stop_grace=5,
        ready_within=20,
    )


def managed(spec: ProgramSpec) -> ManagedChild:
    return ManagedChild(spec, lambda: None, Backoff(first=0.01, ceiling=0.02))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_killed_program_starts_again(tmp_path: Path) -> None:
    child = managed(python("import time; time.sleep(60)", tmp_path))
    child.start()
    await child.until_ready()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.restarts == 1 and child.phase is Phase.READY)
    assert child.pid not in (None, first)
    await child.stop()
    assert (child.phase, child.pid) == (Phase.STOPPED, None)


async def test_a_configuration_error_ends_the_start_with_its_own_words(tmp_path: Path) -> None:
    child = managed(python("import sys; print('port 1 is taken', flush=True); sys.exit(2)", tmp_path))
    child.spec = replace(child.spec, ready=lambda: False)
    child.start()
    with pytest.raises(CadreError) as caught:
        await child.until_ready()
    assert "port 1 is taken" in caught.value.message
    assert str(child.spec.log) in caught.value.fix
    await child.stop()


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    child = managed(replace(python("", tmp_path), command=("/no/such/program",), ready=lambda: False))
    child.start()
    with pytest.raises(CadreError, match="test ended"):
        await child.until_ready()
    await child.stop()


async def test_a_start_that_takes_too_long_says_so(tmp_path: Path) -> None:
    spec = replace(python("import time; time.sleep(60)", tmp_path), ready=lambda: False, ready_within=0.2)
    child = managed(spec)
    child.start()
    with pytest.raises(CadreError) as caught:
        await child.until_ready()
    assert caught.value.reason == "StartTimedOut"
    await child.stop()


async def test_stopping_ends_the_whole_group(tmp_path: Path) -> None:
    started = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    code = f"import subprocess, sys; print({started}.pid, flush=True); {SLEEP}"
    child = managed(python(code, tmp_path))
    child.start()
    await until(lambda: last_line(child.spec.log))
    grandchild = identify(int(last_line(child.spec.log)))
    assert grandchild is not None
    await child.stop()
    await until(lambda: find(grandchild) is None)


async def test_a_deaf_program_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
    child = managed(replace(python(code, tmp_path), stop_grace=0.2))
    child.start()
    await until(lambda: last_line(child.spec.log) == "deaf")
    await child.stop()
    assert child.pid is None


async def test_a_program_dies_with_its_supervisor(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("no parent-death signal on this system")
    code = f"""
import asyncio, os, sys
from pathlib import Path
from cadre_local.supervise.child import ManagedChild
from cadre_local.supervise.spec import ProgramSpec
async def main():
    spec = ProgramSpec("t", (sys.executable, "-c", "import time; time.sleep(60)"), dict(os.environ),
                       Path({str(tmp_path / "t.log")!r}), Path({str(tmp_path)!r}))
    child = ManagedChild(spec, lambda: None)
    child.start()
    await child.until_ready()
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    program = identify(int(await supervisor.stdout.readline()))
    assert program is not None
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: find(program) is None)
