"""One API server with Cadre's CRDs for all tests here."""

from collections.abc import Iterator

import pytest

from tests.integration.kube.cluster import Cluster, install_crds
from tests.support.kube import KubeServer
from tests.support.kube import kube_server as kube_server


@pytest.fixture(scope="package")
def cluster(kube_server: KubeServer) -> Iterator[Cluster]:
    """An admin's view of a server that has the CRDs, established."""
    client = kube_server.client()
    install_crds(client)
    yield Cluster(client)
    client.close()
