"""One API server with Cadre's CRDs and rights for staff, and a site per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kube.cluster import install_crds
from tests.integration.operator.site import Site, open_site
from tests.support.kube import KubeServer, wait_until
from tests.support.kube import kube_server as kube_server

_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="package")
def prepared(kube_server: KubeServer) -> KubeServer:
    """A server with CRDs; the group `staff` may do everything with our kinds, as the chart's roles allow."""
    client = kube_server.client()
    install_crds(client)
    rule = {"apiGroups": ["cadre.dev"], "resources": ["*"], "verbs": ["*"]}
    # `tenants` is what nobody but an administrator may create
    kinds = ["orgnodes", "roleprofiles", "agents", "policies", "persons", "modelproviders", "toolservers"]
    rule["resources"] = [*kinds, "workflows", "agents/scale"]
    client.post(f"{_RBAC}/clusterroles", {"metadata": {"name": "staff"}, "rules": [rule]})
    subject = {"kind": "Group", "name": "staff", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "staff", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "staff"}, "subjects": [subject], "roleRef": role}
    client.post(f"{_RBAC}/clusterrolebindings", binding)
    wait_until("staff to have its rights", lambda: _may_list(kube_server))
    client.close()
    return kube_server


def _may_list(server: KubeServer) -> bool:
    somebody = server.client()
    somebody._headers = {**somebody._headers, "Impersonate-User": "x", "Impersonate-Group": "staff"}
    status = somebody.get("/apis/cadre.dev/v1alpha1/persons").status
    somebody.close()
    return status == 200


@pytest.fixture
def site(prepared: KubeServer, tmp_path: Path) -> Iterator[Site]:
    """A place of its own for a test."""
    with open_site(prepared, tmp_path) as opened:
        yield opened


@pytest.fixture
def acme(site: Site) -> Site:
    """A site with the example company in force, under one running operator."""
    return _in_force(site)


@pytest.fixture(scope="module")
def company(prepared: KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for the tests of a module that leave it whole, whatever they edit."""
    with open_site(prepared, tmp_path_factory.mktemp("shared")) as opened:
        yield _in_force(opened)


def _in_force(site: Site) -> Site:
    site.create_acme()
    site.operator()
    site.wait_acme()
    return site
