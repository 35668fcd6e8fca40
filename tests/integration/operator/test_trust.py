"""Keys, certificates and addresses that the operator brings, and signing in through the API server."""

import base64
import time

import pytest

from cadre_core.login import NOTE, code_in, open_login
from cadre_operator.admission.certificates import signed_within
from tests.integration.kube.cluster import collection
from tests.integration.operator.site import ISSUER, Object, Site
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube
NONCE = "a-nonce-of-mine-01"


def held(site: Site, name: str) -> dict[str, bytes]:
    """Content of a Secret."""
    reply = site.client.get(f"/api/v1/namespaces/{site.namespace}/secrets/{name}")
    return {k: base64.b64decode(v) for k, v in reply.body.get("data", {}).items()}


def signing_in(site: Site, nonce: str = NONCE) -> Object:
    """What the command line sends."""
    metadata = {"name": "cadre-login", "namespace": site.namespace, "annotations": {NOTE: nonce}}
    spec = {"nodeRef": {"name": "cadre-login"}, "purpose": "Signing in."}
    return {"apiVersion": "cadre.dev/v1alpha1", "kind": "Agent", "metadata": metadata, "spec": spec}


def services(site: Site) -> str:
    """Make the controller's services; returns the guard port's address."""
    path = f"/api/v1/namespaces/{site.namespace}/services"
    found = {}
    for name in ("cadre-controller", "cadre-controller-guard"):
        spec = {"ports": [{"port": 443}], "selector": {"app": name}}
        found[name] = site.client.post(path, {"metadata": {"name": name}, "spec": spec}).body["spec"][
            "clusterIP"
        ]
    return found["cadre-controller-guard"]


def test_everything_that_guards_and_people_need_is_there(site: Site) -> None:
    # as the chart leaves it: a Secret to be filled
    secrets = f"/api/v1/namespaces/{site.namespace}/secrets"
    site.client.post(secrets, {"metadata": {"name": "cadre-login-key"}, "type": "Opaque"})
    address = services(site)
    site.create_acme()
    operator = site.operator(CADRE_GUARD_IP="")
    site.wait_acme()
    root, keys = held(site, "cadre-ca"), held(site, "cadre-login-key")["key"]
    for name in ("cadre-controller-tls", "cadre-postgres-tls"):
        tls = held(site, name)
        assert tls["ca.crt"] == root["ca.crt"] and signed_within(tls["tls.crt"], root["ca.crt"])
    path = f"/api/v1/namespaces/{site.namespace}/configmaps/cadre-ca"
    assert site.client.get(path).body["data"]["ca.crt"].encode() == root["ca.crt"]
    agent = next(o["metadata"]["name"] for o in site.acme() if o["kind"] == "Agent")
    pod = site.wait_child("StatefulSet", agent)["spec"]["template"]["spec"]
    assert pod["hostAliases"][0]["ip"] == address

    person = site.user("e-carter")
    reply = person.post(f"{collection(signing_in(site))}?dryRun=All", signing_in(site))
    assert reply.status == 201, reply.message
    login = open_login(code_in(reply.warnings), keys, int(time.time()))
    assert (login.user, login.nonce, login.admin) == (f"{ISSUER}#acme|e-carter", NONCE, False)
    refused = person.post(collection(signing_in(site)), signing_in(site))
    assert refused.status == 422 and "NameReserved" in refused.message
    short = person.post(f"{collection(signing_in(site))}?dryRun=All", signing_in(site, "short"))
    assert short.status == 422 and "NonceInvalid" in short.message
    person.close()

    # a restart writes nothing: all of it is as it should be
    operator.stop()
    site.settle()
    before = len(site.proxy.changes())
    operator.start()
    operator.wait_ready()
    site.settle()
    writes = [c.path for c in site.proxy.changes()[before:] if "leases" not in c.path]
    assert writes == []
    wait_until("the operator to lead", lambda: operator.metric("cadre_leader") == 1)
