"""One cluster for all tests of a run, with the images of this checkout in it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.cluster import kind
from tests.e2e.cluster.kubectl import Kubectl
from tests.support import images

_WORKER = "PYTEST_XDIST_WORKER"


@dataclass(frozen=True)
class Lab:
    """The cluster as tests see it."""

    kubectl: Kubectl
    images: dict[str, str]
    """Image names by target of the Dockerfile; `postgres` besides."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Make the cluster, or use the one that an earlier run kept; remove it unless E2E_KEEP=1."""
    if _WORKER in os.environ:
        raise RuntimeError("there is one cluster: run these tests with -n 0")
    try:
        cluster = kind.up()
        built = images.build_all()
        cluster.load(built)
        yield Lab(cluster.kubectl, {image.target: image.name for image in built})
    finally:
        kind.down()
