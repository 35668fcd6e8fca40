"""How machines get in: guards by their desktop's secret or their pod's token, the operator by its account."""

import hashlib
from dataclasses import dataclass, field

from cadre_controller.auth.cluster import ClusterApi
from cadre_controller.auth.grants import DesktopGrants
from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.pods import AUDIENCE, PodIdentities
from cadre_controller.errors import Denied
from cadre_controller.ports import Clock
from cadre_controller.refusals import Unauthorized

_REMEMBER_SECONDS = 30.0
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class GuardEntrance:
    """Checks what a guard shows of itself."""

    desktop: DesktopGrants
    pods: PodIdentities | None
    """None outside of a cluster; inside, a desktop's secret counts nothing."""

    async def check(self, agent: str, bootstrap: str, process: str) -> tuple[str, str]:
        """(instance, replica) of the guard. Raises GrantDisabled, Unauthorized, Denied, ClusterUnavailable.

        In a pod the instance begins with the pod's uid; a restarted guard in the same pod is a new one.
        """
        if self.pods is None:
            self.desktop.check_guard(agent, bootstrap)
            return process, ""
        pod = await self.pods.check(agent, bootstrap)
        return f"{pod.uid}/{process}", pod.pod


@dataclass(slots=True)
class OperatorAccess:
    """Knows the operator by its account; it may do for every tenant what the tenant's admin may."""

    cluster: ClusterApi
    account: str
    """User name, `system:serviceaccount:<namespace>:<name>`."""
    clock: Clock
    _known: dict[bytes, float] = field(default_factory=dict)
    """Digest of a token -> when it must be reviewed again."""

    async def identity(self, token: str, tenant: str) -> PersonIdentity:
        """The operator, acting for a tenant. Raises Unauthorized, Denied(NotOperator), ClusterUnavailable."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        if self._known.get(digest, 0.0) <= self.clock.monotonic():
            await self._review(token)
            self._known = {key: end for key, end in self._known.items() if end > self.clock.monotonic()}
            if len(self._known) < _REMEMBERED:
                self._known[digest] = self.clock.monotonic() + _REMEMBER_SECONDS
        return PersonIdentity(tenant, "", operator=True)

    async def _review(self, token: str) -> None:
        reviewed = await self.cluster.review(token, (AUDIENCE,))
        if reviewed is None:
            raise Unauthorized("InvalidToken", "the cluster does not vouch for this token here")
        if not self.account or reviewed.username != self.account:
            raise Denied(
                "NotOperator",
                f"{reviewed.username} is not the operator of this controller",
                "persons sign in with: cadre login",
            )
