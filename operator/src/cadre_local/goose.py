"""Which goose binary runs the agents: named, found, or installed at a pinned version and digest."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_local.errors import CadreError
from cadre_local.paths import cache_path, write_private

PINNED = (1, 52, 0)
INTEGRITY: Mapping[str, str] = {
    "linux-x64": "sha512-2aPCG0HuLUI1cafcez1s1nLlTsNMx7AHWnmAOS/6S9xq"
    "mcvY+oXsQA5SUHin1Sf5uphK6pcOCLmgygJ6YQIDaQ==",
}
"""Published digest of the npm package per platform; a platform that is not here is never downloaded."""
INSTALL_TIMEOUT = 600.0
"""Seconds; the binary is about 300 MB."""


@dataclass(frozen=True, slots=True)
class Goose:
    """A usable binary."""

    path: Path
    version: str
    source: str
    """`CADRE_GOOSE` | `PATH` | `npm`."""


@dataclass(frozen=True, slots=True)
class GooseSearch:
    """Where to look; everything is an argument, so that a test can say what exists."""

    environ: Mapping[str, str]
    cache: Path
    platform: str

    def resolve(self, *, install: bool = True) -> Goose:
        """The binary to use; raises `GooseMissing`, `GooseTooOld`, `GooseBroken` or `GooseInstallFailed`."""
        named = self.environ.get("CADRE_GOOSE")
        if named:
            return _checked(Path(named).expanduser(), "CADRE_GOOSE")
        on_path = self._on_path()
        if isinstance(on_path, Goose):
            return on_path
        cached = self.cached()
        if cached:
            return cached
        if not install:
            raise on_path or _missing("goose is neither on PATH nor in the cache")
        return self._install()

    @property
    def installable(self) -> bool:
        """Whether `resolve` could install it: pinned for this platform, npm here, nothing named by hand."""
        npm = shutil.which("npm", path=self.environ.get("PATH", os.defpath))
        return bool(npm) and self.platform in INTEGRITY and not self.environ.get("CADRE_GOOSE")

    def cached(self) -> Goose | None:
        """The binary installed earlier, if it is still the one whose digest was recorded then."""
        try:
            record = json.loads(self._record.read_text())
            size = self._binary.stat().st_size
        except (OSError, ValueError):
            return None
        if record.get("size") != size or record.get("integrity") != INTEGRITY.get(self.platform):
            return None
        return Goose(self._binary, _text(PINNED), "npm")

    def _on_path(self) -> Goose | CadreError | None:
        found = shutil.which("goose", path=self.environ.get("PATH", os.defpath))
        if not found:
            return None
        try:
            return _checked(Path(found), "PATH")
        except CadreError as error:
            return error

    def _install(self) -> Goose:
        expected = INTEGRITY.get(self.platform)
        if not expected:
            raise _missing(f"there is no pinned goose package for {self.platform}")
        npm = shutil.which("npm", path=self.environ.get("PATH", os.defpath))
        if not npm:
            raise _missing("goose is not on PATH and npm, which could install it, is not either")
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        _npm_install(npm, self._package, self._directory, self.environ)
        self._verify(expected)
        return _checked(self._binary, "npm")

    def _verify(self, expected: str) -> None:
        lock = json.loads((self._directory / "node_modules" / ".package-lock.json").read_text())
        installed = lock["packages"][f"node_modules/@aaif/goose-binary-{self.platform}"].get("integrity", "")
        if installed != expected:
            shutil.rmtree(self._directory)
            raise CadreError(
                "GooseDigestMismatch",
                f"npm delivered {self._package} with digest {installed or 'none'}, pinned is {expected}",
                "check the npm registry in use; nothing was kept",
            )
        record = {
            "integrity": installed,
            "size": self._binary.stat().st_size,
            "sha256": _sha256(self._binary),
        }
        write_private(self._record, json.dumps(record, indent=1), 0o644)

    @property
    def _package(self) -> str:
        return f"@aaif/goose-binary-{self.platform}@{_text(PINNED)}"

    @property
    def _directory(self) -> Path:
        return self.cache / f"goose-{_text(PINNED)}"

    @property
    def _binary(self) -> Path:
        return self._directory / "node_modules" / "@aaif" / f"goose-binary-{self.platform}" / "bin" / "goose"

    @property
    def _record(self) -> Path:
        return self._directory / "digest.json"


def search(environ: Mapping[str, str]) -> GooseSearch:
    """The search on this machine."""
    return GooseSearch(environ, cache_path(), platform_name(sys.platform, platform.machine()))


def platform_name(system: str, machine: str) -> str:
    """npm's name of a platform, e.g. `linux-x64`."""
    architecture = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(machine.lower(), machine.lower())
    return f"{system}-{architecture}"


def parse_version(text: str) -> tuple[int, ...]:
    """The first `a.b.c` in a program's answer; empty when there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else ()


def _checked(path: Path, source: str) -> Goose:
    if not path.is_file() or not os.access(path, os.X_OK):
        raise CadreError(
            "GooseMissing", f"{path} ({source}) is not an executable file", "correct CADRE_GOOSE or PATH"
        )
    version = parse_version(_ask_version(path, source))
    if version < PINNED:
        shown = _text(version) if version else "unknown"
        raise CadreError(
            "GooseTooOld",
            f"{path} ({source}) is goose {shown}; Cadre needs {_text(PINNED)} or newer",
            "update it, or unset CADRE_GOOSE and let Cadre install its own",
        )
    return Goose(path.resolve(), _text(version), source)


def _ask_version(path: Path, source: str) -> str:
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CadreError(
            "GooseBroken", f"{path} ({source}) does not run: {error}", "reinstall goose, or set CADRE_GOOSE"
        ) from error
    return answer.stdout


def _npm_install(npm: str, package: str, directory: Path, environ: Mapping[str, str]) -> None:
    command = [
        npm,
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(directory),
    ]
    try:
        done = subprocess.run(
            [*command, package],
            env=dict(environ),
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise _install_failed(package, str(error)) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")] or ["npm failed"]
        raise _install_failed(package, lines[0])


def _install_failed(package: str, why: str) -> CadreError:
    return CadreError(
        "GooseInstallFailed",
        f"npm could not install {package}: {why}",
        "check the network, or set CADRE_GOOSE",
    )


def _missing(why: str) -> CadreError:
    return CadreError(
        "GooseMissing",
        why,
        f"install goose {_text(PINNED)} or newer and put it on PATH, or set CADRE_GOOSE to the binary",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
