"""The real goose for tests: `CADRE_GOOSE`, PATH, or the pinned npm package in the ignored cache."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "1.52.0"
PACKAGE = "@aaif/goose-binary-linux-x64"
_CACHE = Path(__file__).parents[2] / ".cache" / f"goose-{VERSION}"


def find_goose() -> Path:
    """The binary; skips the test, saying why, when it cannot be had here."""
    for candidate in (os.environ.get("CADRE_GOOSE"), shutil.which("goose")):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    binary = _CACHE / "node_modules" / PACKAGE / "bin" / "goose"
    if not binary.is_file():
        _install()
    if not binary.is_file():
        pytest.skip(f"goose {VERSION} is not here and could not be installed by npm: set CADRE_GOOSE")
    return binary


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        return
    _CACHE.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(_CACHE), f"{PACKAGE}@{VERSION}"]
    subprocess.run(command, check=False, capture_output=True, timeout=600)
