"""Acme on a laptop, started once per module: starting takes longer than a story."""

from collections.abc import Iterator

import pytest

from tests.integration.story.stack import Stack, running
from tests.support.goose import find_goose


@pytest.fixture(scope="module")
def acme() -> Iterator[Stack]:
    """A running Acme."""
    with running(str(find_goose())) as stack:
        yield stack
