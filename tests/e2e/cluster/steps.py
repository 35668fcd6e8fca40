"""Work that is done once for the same inputs, says how long it took, and shows output only when it fails."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
CACHE = REPOSITORY / ".cache" / "e2e"
FILES = Path(__file__).parent / "files"

Input = str | Path


class StepFailedError(Exception):
    """A step of the test cluster did not work; the message has the command and the end of its output."""


class UnavailableError(StepFailedError):
    """What a cluster needs cannot be had on this machine, whatever is in this repository."""


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what was done and its seconds."""
    start = time.monotonic()
    yield
    print(f"e2e: {what}: {time.monotonic() - start:.1f} s", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 900,
) -> str:
    """Run a command and return what it printed. Raises StepFailedError."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailedError(f"{' '.join(words)}: not done after {timeout:.0f} s") from error
    if done.returncode != 0:
        tail = (done.stdout + done.stderr)[-4000:]
        raise StepFailedError(f"{' '.join(words)}: exit status {done.returncode}\n{tail}")
    return done.stdout


def digest(inputs: Iterable[Input]) -> str:
    """Name the content of texts, files and folders."""
    total = hashlib.sha256()
    for item in inputs:
        for name, content in _contents(item):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:20]


def product(name: str, inputs: Iterable[Input], make: Callable[[Path], None]) -> Path:
    """Return the file or folder that `make` made from these inputs, making it if it was not made before."""
    target = CACHE / f"{name}-{digest(inputs)}"
    with exclusive(name):
        if not target.exists():
            partial = CACHE / f"{name}.partial"
            remove(partial)
            with timed(name):
                make(partial)
            _forget_older(name)
            partial.rename(target)
    return target


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Let only one process do this at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(path: Path) -> None:
    """Delete a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _contents(item: Input) -> Iterator[tuple[str, bytes]]:
    if isinstance(item, str):
        yield "text", item.encode()
    elif item.is_dir():
        for path in sorted(item.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(item)), path.read_bytes()
    else:
        yield item.name, item.read_bytes()


def _forget_older(name: str) -> None:
    length = len(digest(()))
    for path in CACHE.glob(f"{name}-*"):
        if len(path.name) == len(name) + 1 + length:
            remove(path)
