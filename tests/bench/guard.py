"""The guard: masking against its rival, the first token, restoring."""

from tests.bench.first_token import first_token_table
from tests.bench.masking import masking_tables
from tests.bench.report import Table
from tests.bench.restoring import restoring_table


def run() -> list[Table]:
    """The bench."""
    return [*masking_tables(), first_token_table(), restoring_table()]
