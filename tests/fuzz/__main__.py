"""`python -m tests.fuzz [--seconds N] [TARGET …]`: every target for its share of the time, under atheris.

atheris is for these runs alone, so it is installed beside the environment, by the hash of its wheel. An input
that breaks something is kept in `.cache/fuzz/TARGET`, and tried first in the next run.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("atheris.lock")
_CACHE = Path(__file__).parents[2] / ".cache"
_ATHERIS = _CACHE / f"atheris-3.0.0-cp{sys.version_info.major}{sys.version_info.minor}"
TARGETS = ("stream", "walk", "detection", "restore")


def main(arguments: list[str] | None = None) -> int:
    """1 when a target broke; 2 when there is no atheris for this Python."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="|".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="in all; default: 60")
    given = parser.parse_args(arguments)
    targets = given.targets or TARGETS
    if not _installed():
        print("there is no atheris for this Python; the same properties run under Hypothesis: make nightly")
        return 2
    broken = [name for name in targets if not _runs(name, max(1, given.seconds // len(targets)))]
    print(f"{len(targets) - len(broken)} of {len(targets)} targets held", *broken)
    return int(bool(broken))


def _installed() -> bool:
    if (_ATHERIS / "atheris").is_dir():
        return True
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--target", str(_ATHERIS), "--requirement", str(LOCK)]
    return subprocess.run(command).returncode == 0


def _runs(name: str, seconds: int) -> bool:
    corpus = _CACHE / "fuzz" / name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=2048", "-max_len=4096"]
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(corpus), f"-artifact_prefix={corpus}/broke-"]
    environ = {**os.environ, "PYTHONPATH": str(_ATHERIS)}
    ended = subprocess.run([*command, *limits], env=environ, stderr=subprocess.PIPE, text=True)
    lines = ended.stderr.splitlines()
    print(f"{name}: {lines[-1] if lines else 'said nothing'}", flush=True)
    if ended.returncode:
        print("\n".join(lines[-40:]))
    return ended.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
