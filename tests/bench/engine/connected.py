"""5,000 agents connected to one controller: its memory, its idle CPU, and messages among them."""

from collections.abc import Iterator

from tests.bench.engine.messages import table
from tests.bench.report import Table


def run() -> Iterator[Table]:
    """The bench."""
    yield table(5_000)
