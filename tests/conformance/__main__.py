"""`python -m tests.conformance`: our checkpointer under LangGraph's own conformance suite.

The suite lives in an environment of its own; the controller that keeps the checkpoints is a whole one.
"""

import asyncio
import os
import sys
import tempfile
import venv
from pathlib import Path

from tests.integration.controller.stand import FIN, open_stand
from tests.support.postgres import fresh_database, open_server
from tests.support.scripted import scripted_in_thread

LOCK = Path(__file__).with_name("checkpointer.lock")
_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / ".cache" / "langgraph-checkpoint-conformance-0.0.2"
_SCENARIO = _ROOT / "tests" / "integration" / "controller" / "chart" / "scenario.yaml"


async def main() -> int:
    """What the suite ended with."""
    python = await _installed()
    with (
        open_server("embedded") as server,
        fresh_database(server) as dsn,
        scripted_in_thread(_SCENARIO) as model,
        tempfile.TemporaryDirectory() as folder,
    ):
        async with open_stand(Path(folder), dsn, model.url) as stand:
            given = {
                "CADRE_URL": stand.public().base,
                "CADRE_SCOPE": f"agent:{FIN}",
                "CADRE_TOKEN": (await stand.person("bruno")).token,
                "PYTHONPATH": str(_ROOT / "operator" / "src"),
            }
            suite = Path(__file__).with_name("checkpointer_suite.py")
            return await _run(python, str(suite), **given)


async def _installed() -> Path:
    """The suite's Python, installed by the hashes of `checkpointer.lock`."""
    python = _HOME / "bin" / "python"
    if not (_HOME / "installed").exists():
        venv.create(_HOME, with_pip=True, clear=True)
        command = ("-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(LOCK))
        if await _run(python, *command):
            raise SystemExit("the suite cannot be installed")
        (_HOME / "installed").touch()
    return python


async def _run(python: Path, *arguments: str, **environment: str) -> int:
    process = await asyncio.create_subprocess_exec(str(python), *arguments, env={**os.environ, **environment})
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
