"""The real helm, and a real API server with the chart's objects."""

import pytest

from tests.integration.chart.rendering import Helm
from tests.support import gobuild
from tests.support.kube import kube_server as kube_server


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The real helm; skips, with the reason, where it cannot be built."""
    try:
        program = gobuild.build(gobuild.HELM)
    except gobuild.ProgramUnavailableError as error:
        pytest.skip(f"no helm: {error}")
    return Helm(program, tmp_path_factory.mktemp("helm"))
