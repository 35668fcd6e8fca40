"""The committed API description is the one that the routes generate."""

from pathlib import Path

import pytest

from cadre_controller.apidocs import write

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi"


@pytest.mark.parametrize("port", ["public", "guard"])
def test_committed_description_is_current(tmp_path: Path, port: str) -> None:
    write(tmp_path)
    assert (tmp_path / f"{port}.json").read_text() == (COMMITTED / f"{port}.json").read_text(), (
        "run make generate"
    )
