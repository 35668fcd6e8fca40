"""A terminal in this process: a command costs what it does, not what it takes to start an interpreter."""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from cadre_local.cli.program import run


def in_terminal(
    arguments: tuple[str, ...], env: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command line with this environment, in this folder."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        _environment(env),
        contextlib.chdir(folder or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        code = run(arguments)
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), errors.getvalue())


@contextlib.contextmanager
def _environment(env: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
