"""Is this guard the guard of the agent it names? The token says which pod; the pod must lead, owner by owner
and uid by uid, to the Agent, and run an image of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cadre_controller.auth.cluster import ClusterApi, Json, fields
from cadre_controller.errors import Denied
from cadre_controller.refusals import Unauthorized

AUDIENCE = "cadre-controller"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_ACCOUNT = "system:serviceaccount:"
_LABEL = "cadre.dev/agent"
_FIX = "guards run in the pods that the operator makes, nowhere else"


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """A guard's pod."""

    agent: str
    """Agent key `namespace/name`."""
    pod: str
    uid: str


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a token says: to be checked against what is."""

    namespace: str
    account: str
    pod: str
    uid: str


class PodIdentities:
    """Checks guards' tokens; fails closed."""

    def __init__(self, cluster: ClusterApi, images: frozenset[str]) -> None:
        self._cluster = cluster
        self._images = images

    async def check(self, agent: str, token: str) -> PodIdentity:
        """The pod behind a guard's token, if it is one of `agent`'s.

        Raises Unauthorized(BootstrapRefused), Denied(PodRefused), ClusterUnavailable.
        """
        reviewed = await self._cluster.review(token, (AUDIENCE,))
        if reviewed is None:
            raise Unauthorized(
                "BootstrapRefused", "the token is not valid here", f"project one for audience {AUDIENCE}"
            )
        claim = _claim(reviewed.username, reviewed.extra)
        name = claim.account.removeprefix("agent-")
        if agent != f"{claim.namespace}/{name}" or not claim.account.startswith("agent-"):
            raise _refused("the token belongs to the account of another agent")
        pod = await self._pod(claim)
        if fields(pod, "metadata", "labels").get(_LABEL) != name:
            raise _refused(f"the pod has no label {_LABEL}={name}")
        if _text(fields(pod, "spec"), "serviceAccountName") != claim.account:
            raise _refused("the pod runs with another account")
        await self._owned_by_agent(claim.namespace, name, pod)
        self._check_image(pod)
        return PodIdentity(agent, claim.pod, claim.uid)

    async def _pod(self, claim: _Claim) -> Json:
        pod = await self._cluster.get(f"/api/v1/namespaces/{claim.namespace}/pods/{claim.pod}")
        if pod is None or _text(fields(pod, "metadata"), "uid") != claim.uid:
            raise _refused("the token's pod is gone")
        if fields(pod, "status").get("phase") in ("Succeeded", "Failed"):
            raise _refused("the token's pod has ended")
        return pod

    async def _owned_by_agent(self, namespace: str, name: str, pod: Json) -> None:
        workload = await self._owner(
            pod, "apps", "StatefulSet", f"agent-{name}", f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
        )
        await self._owner(
            workload, "cadre.dev", "Agent", name, f"/apis/cadre.dev/v1alpha1/namespaces/{namespace}/agents"
        )

    async def _owner(self, owned: Json, group: str, kind: str, name: str, collection: str) -> Json:
        """The controlling owner, which must be of this kind and name, and still be the one that was meant."""
        reference = _controller(owned)
        named = (_text(reference, "kind"), _text(reference, "name"))
        if named != (kind, name) or _text(reference, "apiVersion").split("/")[0] != group:
            raise _refused(f"it is not controlled by {kind} {name}")
        owner = await self._cluster.get(f"{collection}/{name}")
        if owner is None or _text(fields(owner, "metadata"), "uid") != _text(reference, "uid"):
            raise _refused(f"the {kind} {name} that controls it is gone")
        return owner

    def _check_image(self, pod: Json) -> None:
        listed = fields(pod, "spec").get("initContainers")
        containers = listed if isinstance(listed, list) else []
        guards = [c for c in containers if isinstance(c, Mapping) and c.get("name") == "guard"]
        if len(guards) != 1 or guards[0].get("image") not in self._images:
            raise _refused("its guard's image is none that this controller accepts (CADRE_GUARD_IMAGES)")


def _claim(username: str, extra: Mapping[str, tuple[str, ...]]) -> _Claim:
    namespace, _, account = username.removeprefix(_ACCOUNT).partition(":")
    pods, uids = extra.get(_POD_NAME, ()), extra.get(_POD_UID, ())
    if not username.startswith(_ACCOUNT) or not account:
        raise _refused("the token belongs to no ServiceAccount")
    if len(pods) != 1 or len(uids) != 1:
        raise _refused("the token is bound to no pod")
    return _Claim(namespace, account, pods[0], uids[0])


def _controller(owned: Json) -> Json:
    references = fields(owned, "metadata").get("ownerReferences")
    listed = references if isinstance(references, list) else []
    return next((r for r in listed if isinstance(r, Mapping) and r.get("controller") is True), {})


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _refused(why: str) -> Denied:
    return Denied("PodRefused", f"this is not the guard of that agent: {why}", _FIX)
