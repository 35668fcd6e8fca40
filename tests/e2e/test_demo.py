"""The README's first command, as its reader runs it: a fresh home, real parts, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(420)
def test_demo_tells_the_story_and_leaves_nothing(tmp_path: Path) -> None:
    """Every claim of the demo is in its output, in order, and its processes are gone when it ends."""
    before = {process.pid for process in psutil.process_iter()}
    ran = subprocess.run(
        [sys.executable, "-m", "cadre_local.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    position = 0
    for words in (
        "The model is scripted",
        "Masked",
        "Routed",
        "ApprovalRequested",
        "ApprovalDecided",
        "acme/h-keller",
        "Succeeded",
        "Cost and time per step",
        "cadre trace",
        "ok: ",
        "none found",
    ):
        found = ran.stdout.find(words, position)
        assert found >= 0, f"{words!r} is missing after\n{ran.stdout[:position]}"
        position = found
    ours = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before and _of_cadre(p)]
    assert ours == []
    assert [path for path in tmp_path.iterdir() if "cadre-demo" in path.name] == []


def _of_cadre(process: psutil.Process) -> bool:
    words = " ".join(process.info["cmdline"] or ())
    return "cadre-demo" in words and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
