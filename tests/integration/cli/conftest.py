"""One town for all tests of a file, because it takes its time to build."""

from collections.abc import Iterator

import pytest

from tests.integration.cli.town import Town, open_town
from tests.integration.operator.conftest import prepared as prepared
from tests.integration.operator.site import open_site
from tests.support.kube import KubeServer
from tests.support.kube import kube_server as kube_server
from tests.support.postgres import fresh_database, open_server


@pytest.fixture(scope="module")
def town(prepared: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The example company in a cluster."""
    folder = tmp_path_factory.mktemp("town")
    with (
        open_server("embedded") as server,
        fresh_database(server) as database,
        open_site(prepared, folder) as site,
        open_town(site, database) as opened,
    ):
        yield opened
