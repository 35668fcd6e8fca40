"""The operator with a thousand agents on a real API server, against a loop that applies the same objects."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.processes import BenchError
from tests.bench.report import Table
from tests.bench.scale.course import Course, take_course
from tests.bench.scale.tables import tables
from tests.support.gobuild import ProgramUnavailableError


def run() -> Iterator[Table]:
    """The bench. `SCALE_AGENTS` in the environment = how many agents."""
    agents = int(os.environ.get("SCALE_AGENTS") or 1000)
    with tempfile.TemporaryDirectory(prefix="cadre-scale-") as folder:
        try:
            found: Course = asyncio.run(take_course(Path(folder), agents))
        except ProgramUnavailableError as error:
            raise BenchError(str(error)) from error
    yield from tables(found)
