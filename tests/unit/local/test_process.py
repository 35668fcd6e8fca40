"""A pid is not an identity: only the very same process is ever signalled."""

import subprocess
import sys
import time

from cadre_local.process import Identity, descendants, end_all, find, identify

SLEEP = "import time; time.sleep(60)"


def sleeper(code: str = SLEEP) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_a_recycled_pid_is_not_ours_and_is_left_alone() -> None:
    process = sleeper()
    try:
        real = identify(process.pid)
        assert real is not None
        assert find(real) is not None
        impostor = Identity(pid=process.pid, started=real.started - 100)
        assert find(impostor) is None
        assert end_all([impostor], grace=0) == ()
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_what_does_not_listen_is_killed_after_its_grace() -> None:
    process = sleeper(
        f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
    )
    assert process.stdout is not None
    process.stdout.readline()
    identity = identify(process.pid)
    assert identity is not None
    assert end_all([identity], grace=0.2) == (identity,)
    assert process.wait() == -9
    process.communicate()
    assert find(identity) is None


def test_descendants_are_found_deepest_first() -> None:
    child = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    nested = f"import subprocess, sys; print({child}.pid, flush=True); {SLEEP}"
    process = sleeper(nested)
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    me = identify(process.pid)
    assert me is not None
    below = descendants(process.pid)
    assert [identity.pid for identity in below] == [grandchild]
    end_all([*below, me], grace=2)
    process.communicate()
    deadline = time.monotonic() + 5
    while find(below[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert find(below[0]) is None
