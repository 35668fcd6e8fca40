"""The examples end to end: on this machine, then on a Kubernetes cluster, as far as one can be had here.

`python -m tests.e2e` is CI's part, `--whole` every test on a cluster. E2E_DEADLINE (seconds since 1970): no
test begins later. E2E_REQUIRED=1: a cluster that cannot be had is a failure, which it else is not.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.cluster import kind
from tests.e2e.cluster.ready import UNAVAILABLE

_ROOT = Path(__file__).parents[2]
_TESTS = "tests/e2e/kind"
_LEAST = 600.0
"""Seconds that are left for tests, or the cluster is not worth having."""
_GRACE = 480.0
"""Seconds after the deadline in which the test that runs may end."""
_STOP = 120.0
"""Seconds in which what was interrupted cleans up."""
_TIMED_OUT = 124
_BANNER = """
e2e: ######################################################################
e2e: {0}
e2e: ######################################################################
"""


def main(arguments: list[str]) -> int:
    """Exit status: 0, unless a test failed, or this repository kept the cluster from being made."""
    whole = arguments == ["--whole"]
    if arguments and not whole:
        print("usage: python -m tests.e2e [--whole]", file=sys.stderr)
        return 2
    here = 0 if whole else _pytest("tests/e2e", f"--ignore={_TESTS}")
    try:
        return _on_a_cluster(whole) or here
    finally:
        kind.down()


def _on_a_cluster(whole: bool) -> int:
    status = _run([sys.executable, "-m", "tests.e2e.cluster.ready"], _left(-_LEAST))
    if status in (UNAVAILABLE, _TIMED_OUT):
        return _without(status)
    if status != 0:
        _say("THE CLUSTER WAS NOT MADE: something of this repository is broken, see above")
        return status
    part = () if whole else ("-m", "not nightly")
    return _pytest("-s", "-v", "--durations=0", *part, _TESTS)


def _without(status: int) -> int:
    why = "not ready in time" if status == _TIMED_OUT else "it cannot be had on this machine, see above"
    _say(f"NO TEST RAN ON A CLUSTER: {why}")
    return 1 if os.environ.get("E2E_REQUIRED") == "1" else 0


def _pytest(*arguments: str) -> int:
    status = _run([sys.executable, "-m", "pytest", "-n", "0", *arguments], _left(_GRACE))
    if status == _TIMED_OUT:
        _say("THE TESTS WERE STOPPED: one of them did not end long after the deadline")
    return status


def _left(more: float) -> float | None:
    """Seconds until the deadline and `more`."""
    deadline = os.environ.get("E2E_DEADLINE")
    return max(0.0, float(deadline) + more - time.time()) if deadline else None


def _run(command: list[str], seconds: float | None) -> int:
    """Run it in a process group of its own; interrupted when the time is up."""
    kept = {kind.KEEP: "1", "E2E_IMAGES": "built"} if "pytest" in command else {}
    process = subprocess.Popen(command, cwd=_ROOT, env={**os.environ, **kept}, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        return _TIMED_OUT
    except BaseException:
        _stop(process)
        raise


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_STOP)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _say(what: str) -> None:
    print(_BANNER.format(what), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
