"""A scripted model per scenario text."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.scripted import Scripted, scripted_in_thread

Play = Callable[..., Scripted]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start a server for a scenario's rules (YAML text)."""
    with ExitStack() as running:

        def start(rules: str, record: Path | None = None) -> Scripted:
            file = tmp_path / "scenario.yaml"
            file.write_text("format: cadre-scripted/1\nrules:\n" + rules)
            return running.enter_context(scripted_in_thread(file, record=record))

        yield start
