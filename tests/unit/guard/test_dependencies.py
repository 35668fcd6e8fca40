"""The guard's image holds the guard's libraries alone: what others of us need must not be asked for there."""

import subprocess
import sys

FOREIGN = ("cedarpy", "asyncpg", "kopf", "kubernetes")
SCANNERS = "cadre_guard.analysis.worker, cadre_guard.analysis.server.main"


def test_a_guard_starts_without_the_libraries_of_the_other_programs() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({FOREIGN}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}; import cadre_guard.main, {SCANNERS}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
