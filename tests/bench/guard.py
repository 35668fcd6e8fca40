"""The guard: masking against its rival, the first token, restoring."""

from collections.abc import Iterator

from tests.bench.first_token import first_token_table
from tests.bench.masking import masking_tables
from tests.bench.report import Table
from tests.bench.restoring import restoring_table


def run() -> Iterator[Table]:
    """The bench."""
    yield from masking_tables()
    yield restoring_table()
    yield first_token_table()
