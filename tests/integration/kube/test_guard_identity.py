"""Who gets a guard's token: nothing but the pod that the operator's objects lead to, judged by a real API
server.
"""

import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from cadre_controller.auth.cluster import ClusterAccount, ClusterApi, ClusterUnavailable
from cadre_controller.auth.entrance import GuardEntrance, OperatorAccess
from cadre_controller.auth.grants import DesktopGrants
from cadre_controller.auth.pods import PodIdentities
from cadre_controller.clock import SystemClock
from cadre_controller.errors import CadreError, Denied
from cadre_controller.refusals import Unauthorized
from tests.integration.kube.cluster import Cluster
from tests.support.kube import KubeServer

pytestmark = pytest.mark.kube
IMAGE, BEFORE = "registry.test/guard@sha256:new", "registry.test/guard@sha256:old"
Object = dict[str, Any]


@dataclass
class Village:
    """A namespace with one agent, its workload and its pod, as the operator and the cluster make them."""

    server: KubeServer
    cluster: Cluster
    api: ClusterApi
    namespace: str = field(default_factory=lambda: f"t-{secrets.token_hex(4)}")

    @property
    def pods(self) -> PodIdentities:
        """The checks under test."""
        return PodIdentities(self.api, frozenset({IMAGE, BEFORE}))

    def post(self, path: str, body: Object) -> Object:
        """Create something; it must work."""
        reply = self.cluster.client.post(path, body)
        assert reply.status in (200, 201), reply.message
        return reply.body

    def core(self, kind: str) -> str:
        """Path of a kind of the core group."""
        return f"/api/v1/namespaces/{self.namespace}/{kind}"

    def found(self) -> None:
        """Namespace, account, Agent."""
        self.post("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        self.account("agent-writer")

    def account(self, name: str) -> None:
        """A ServiceAccount."""
        self.post(self.core("serviceaccounts"), {"metadata": {"name": name}})

    def agent(self, name: str = "writer") -> Object:
        """An Agent."""
        spec = {"nodeRef": {"name": "n"}, "ownerRef": {"name": "o"}, "purpose": "Writes."}
        body = {
            "apiVersion": "cadre.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        return self.post(f"/apis/cadre.dev/v1alpha1/namespaces/{self.namespace}/agents", body)

    def workload(self, owner: Object | None, name: str = "agent-writer") -> Object:
        """A StatefulSet, controlled by an Agent or by nobody."""
        labels = {"cadre.dev/agent": "writer"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
        spec = {"serviceName": name, "selector": {"matchLabels": labels}, "template": template}
        metadata = {"name": name, "ownerReferences": owned_by(owner)}
        path = f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets"
        return self.post(path, {"metadata": metadata, "spec": spec})

    def pod(self, owner: Object | None, **changes: Any) -> Object:
        """The agent's pod, or one that differs from it."""
        metadata = {
            "name": changes.get("name", "agent-writer-0"),
            "labels": changes.get("labels", {"cadre.dev/agent": "writer"}),
            "ownerReferences": owned_by(owner),
        }
        guard = {"name": changes.get("container", "guard"), "image": changes.get("image", IMAGE)}
        spec = {
            "serviceAccountName": changes.get("account", "agent-writer"),
            "initContainers": [{**guard, "restartPolicy": "Always"}],
            "containers": [{"name": "agent", "image": "goose"}],
        }
        return self.post(self.core("pods"), {"metadata": metadata, "spec": spec})

    def token(self, pod: Object | None, audience: str = "cadre-controller", account: str = "") -> str:
        """What the kubelet would project into the pod."""
        spec: Object = {"audiences": [audience], "expirationSeconds": 600}
        if pod is not None:
            named = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", **named}
        path = f"{self.core('serviceaccounts')}/{account or 'agent-writer'}/token"
        return str(self.post(path, {"spec": spec})["status"]["token"])

    async def refusal(self, token: str, agent: str = "") -> CadreError:
        """How a token is refused."""
        with pytest.raises(CadreError) as caught:
            await self.pods.check(agent or f"{self.namespace}/writer", token)
        return caught.value

    def remove(self, path: str) -> None:
        """Delete at once."""
        reply = self.cluster.client.request("DELETE", path, {"gracePeriodSeconds": 0})
        assert reply.status == 200, reply.message


def owned_by(owner: Object | None) -> list[Object]:
    """A controlling reference."""
    if owner is None:
        return []
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    return [{**reference, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}]


@pytest.fixture
async def village(kube_server: KubeServer, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Village]:
    """A founded one; the controller's account is the admin's."""
    (tmp_path / "token").write_text(kube_server.users["admin"])
    (tmp_path / "ca.crt").write_bytes(kube_server.certificate.read_bytes())
    async with aiohttp.ClientSession() as http:
        api = ClusterApi(ClusterAccount(kube_server.url, tmp_path), http)
        village = Village(kube_server, cluster, api)
        village.found()
        yield village


async def test_the_operators_pod_is_let_in_with_the_image_of_now_and_before(village: Village) -> None:
    workload = village.workload(village.agent())
    for name, image in (("agent-writer-0", IMAGE), ("agent-writer-1", BEFORE)):
        pod = village.pod(workload, name=name, image=image)

        found = await village.pods.check(f"{village.namespace}/writer", village.token(pod))

        assert (found.agent, found.pod, found.uid) == (
            f"{village.namespace}/writer",
            name,
            pod["metadata"]["uid"],
        )


async def test_an_instance_is_one_process_of_one_pod(village: Village) -> None:
    pod = village.pod(village.workload(village.agent()))
    entrance = GuardEntrance(DesktopGrants(False, None, None), village.pods)

    first = await entrance.check(f"{village.namespace}/writer", village.token(pod), "p1")
    second = await entrance.check(f"{village.namespace}/writer", village.token(pod), "p2")

    assert first == (f"{pod['metadata']['uid']}/p1", "agent-writer-0")
    assert second == (f"{pod['metadata']['uid']}/p2", "agent-writer-0")


async def test_tokens_that_are_not_for_us_or_not_of_a_pod(village: Village) -> None:
    pod = village.pod(village.workload(village.agent()))

    for token in (
        village.token(pod, audience="another"),
        "",
        "x.y.z",
        "é",
        "a" * 9000,
        village.server.users["lead"],
    ):
        refused = await village.refusal(token)
        assert isinstance(refused, Unauthorized)
        assert refused.reason == "BootstrapRefused"
    assert "bound to no pod" in (await village.refusal(village.token(None))).message


async def test_another_agents_name(village: Village) -> None:
    pod = village.pod(village.workload(village.agent()))

    for agent in (f"{village.namespace}/other", "elsewhere/writer", "writer", ""):
        with pytest.raises(Denied, match="PodRefused"):
            await village.pods.check(agent, village.token(pod))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": "registry.test/evil"}, "image"),
        ({"container": "other"}, "image"),
        ({"labels": {}}, "label"),
        ({"labels": {"cadre.dev/agent": "other"}}, "label"),
    ],
)
async def test_a_pod_that_is_not_as_the_operator_makes_it(
    village: Village, changes: Object, why: str
) -> None:
    pod = village.pod(village.workload(village.agent()), **changes)

    refused = await village.refusal(village.token(pod))

    assert (refused.reason, why in refused.message) == ("PodRefused", True)


async def test_a_foreign_pod_with_the_agents_account(village: Village) -> None:
    village.workload(village.agent())

    assert (
        "not controlled by StatefulSet" in (await village.refusal(village.token(village.pod(None)))).message
    )


async def test_a_workload_that_no_agent_controls(village: Village) -> None:
    village.agent()
    pod = village.pod(village.workload(None))

    assert "not controlled by Agent" in (await village.refusal(village.token(pod))).message


async def test_an_owner_of_another_life(village: Village) -> None:
    agent = village.agent()
    pod = village.pod(village.workload({**agent, "metadata": {**agent["metadata"], "uid": "1-2-3"}}))
    assert "Agent writer that controls it is gone" in (await village.refusal(village.token(pod))).message


async def test_a_workload_of_another_life(village: Village) -> None:
    workload = village.workload(village.agent())
    pod = village.pod({**workload, "metadata": {**workload["metadata"], "uid": "1-2-3"}})
    assert (
        "StatefulSet agent-writer that controls it is gone"
        in (await village.refusal(village.token(pod))).message
    )


async def test_a_deleted_pod_and_the_one_that_follows_it_under_its_name(village: Village) -> None:
    workload = village.workload(village.agent())
    token = village.token(village.pod(workload))
    village.remove(f"{village.core('pods')}/agent-writer-0")

    assert (await village.refusal(token)).reason == "BootstrapRefused"

    village.pod(workload)
    assert (await village.refusal(token)).reason == "BootstrapRefused"


async def test_an_expired_token(village: Village) -> None:
    pod = village.pod(village.workload(village.agent()))
    good = village.token(pod)
    key = (village.server.certificate.parents[1] / "sa.key").read_text()
    claims = jwt.decode(good, options={"verify_signature": False})
    head = {"kid": jwt.get_unverified_header(good)["kid"]}
    fresh = jwt.encode(claims, key, "RS256", headers=head)
    await village.pods.check(f"{village.namespace}/writer", fresh)

    past = int(time.time()) - 7200
    stale = {**claims, "iat": past, "nbf": past, "exp": past + 3600}
    refused = await village.refusal(jwt.encode(stale, key, "RS256", headers=head))

    assert refused.reason == "BootstrapRefused"


async def test_without_an_answer_of_the_api_server_nobody_gets_in(village: Village, tmp_path: Path) -> None:
    pod = village.pod(village.workload(village.agent()))
    token = village.token(pod)
    (tmp_path / "token").write_text(village.server.users["lead"])  # an account without rights

    with pytest.raises(ClusterUnavailable):
        await village.pods.check(f"{village.namespace}/writer", token)

    async with aiohttp.ClientSession() as http:
        nowhere = ClusterApi(ClusterAccount("https://127.0.0.1:1", tmp_path), http)
        with pytest.raises(ClusterUnavailable):
            await PodIdentities(nowhere, frozenset({IMAGE})).check(f"{village.namespace}/writer", token)


async def test_the_operator_is_known_by_its_account_and_nobody_else_is(village: Village) -> None:
    for name in ("cadre-operator", "mallory"):
        village.account(name)
    account = f"system:serviceaccount:{village.namespace}:cadre-operator"
    access = OperatorAccess(village.api, account, SystemClock())

    found = await access.identity(village.token(None, account="cadre-operator"), "acme")

    assert (found.tenant, found.is_admin, found.operator) == ("acme", True, True)
    with pytest.raises(Denied, match="NotOperator"):
        await access.identity(village.token(None, account="mallory"), "acme")
    with pytest.raises(Unauthorized):
        await access.identity(village.token(None, "another", "cadre-operator"), "acme")


async def test_a_user_of_the_cluster_is_named_by_a_token_of_theirs(village: Village) -> None:
    name, groups = await village.api.user(village.server.users["lead"]) or ("", ())

    assert (name, "system:authenticated" in groups) == ("lead", True)
    assert await village.api.user("nonsense") is None
