"""Prepares the real parts that tests run on, so that no test pays for a download or a build.

`python -m tests.support.preflight` says of each part whether it is there, and why not. It never fails: a test
whose part is missing skips and says so.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError

import pytest

from tests.support import gobuild
from tests.support.goose import find_goose


@dataclass(frozen=True)
class Part:
    """Something real, and how to get it."""

    name: str
    get: Callable[[], Path]


PARTS = (
    Part("goose", find_goose),
    Part("etcd", lambda: gobuild.build(gobuild.ETCD)),
    Part("kube-apiserver", lambda: gobuild.build(gobuild.APISERVER)),
    Part("helm", lambda: gobuild.build(gobuild.HELM)),
    Part("lua", lambda: gobuild.build(gobuild.LUA)),
)


def prepare(part: Part) -> str:
    """Get one part; one line that says how it went."""
    begin = time.monotonic()
    try:
        part.get()
    except (pytest.skip.Exception, gobuild.ProgramUnavailableError, OSError, SubprocessError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        return f"{part.name}: missing, its tests will skip: {why[:300]}"
    return f"{part.name}: ready ({time.monotonic() - begin:.1f} s)"


def main() -> int:
    """All parts at once; 0 always."""
    with ThreadPoolExecutor(len(PARTS)) as pool:
        for line in pool.map(prepare, PARTS):
            print(f"preflight: {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
