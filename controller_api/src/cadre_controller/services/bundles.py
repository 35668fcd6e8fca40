"""Signed bundles: an agent's whole configuration, which its guard takes only if it is newer and carries our
signature."""

import math
from datetime import timedelta

import jwt

from cadre_api.protocol.guard import AgentBundle, BundleAck, GuardStatus
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.audit import public_jwk
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel, dump
from cadre_controller.store.work import Statement, Work
from cadre_core.bundle import bundle_payload

LIFETIME = timedelta(days=7)


class BundleService:
    """Hand out bundles, take in acknowledgements and status."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart

    def public_jwk(self) -> dict[str, object]:
        """The key that bundles are verified with (RFC 8037)."""
        return public_jwk(self._kernel.keystore.bundle_key().public_key().public_bytes_raw())

    async def wait(self, identity: AgentIdentity, after: int, wait_seconds: float) -> str | None:
        """Compact JWS of the bundle newer than `after`, or None when none comes in time. Raises NotFound."""
        tenant, agent = identity.tenant, identity.agent

        async def look() -> int | None:
            generation, _ = self._chart.bundle_version(tenant, agent)
            return generation if generation > after else None

        channels = (f"chart:{tenant}",)
        found = await self._kernel.wakeups.until(channels, look, wait_seconds, poll_seconds=math.inf)
        return self._signed(tenant, agent) if found is not None else None

    async def ack(self, identity: AgentIdentity, ack: BundleAck) -> None:
        """The guard applied a bundle, or says why not; refusals are audited."""
        tenant, kernel = identity.tenant, self._kernel
        key = (tenant, identity.agent, identity.replica)
        row = (*key, ack.generation, ack.digest, "" if ack.applied else ack.reason)
        statements = (Statement("agent_acked", row, expect_row=False),) if ack.applied else ()
        facts = Facts({"generation": ack.generation, "digest": ack.digest, "reason": ack.reason})
        result = "ok" if ack.applied else "refused"
        entry = kernel.audit(identity.actor, "bundle.ack", f"agent:{identity.agent}", result, facts)
        await kernel.submit(Work(tenant, statements, frozenset({f"agent:{identity.agent}"}), audit=(entry,)))

    async def status(self, identity: AgentIdentity, status: GuardStatus) -> None:
        """What the guard says about its host and agent."""
        row = (
            identity.tenant, identity.agent, identity.instance, identity.replica, status.state,
            status.agent_version, dump(status.boundary), status.bundle_generation, status.reason,
            self._kernel.clock.now(),
        )  # fmt: skip
        keys = frozenset({f"agent:{identity.agent}"})
        work = Work(
            identity.tenant, (Statement("agent_live_put", row),), keys, notify=(f"agents:{identity.tenant}",)
        )
        await self._kernel.submit(work)

    def _signed(self, tenant: str, agent: str) -> str:
        generation, digest = self._chart.bundle_version(tenant, agent)
        now = self._kernel.clock.now()
        payload = bundle_payload(self._chart.current(tenant).snapshot, agent)
        bundle = AgentBundle.model_validate(
            {
                **payload,
                "guard": self._chart.guard_rules(tenant, agent),
                "generation": generation,
                "digest": digest,
                "issued_at": now,
                "expires_at": now + LIFETIME,
            }
        )
        body = bundle.model_dump_json(by_alias=True).encode()
        return jwt.api_jws.encode(body, self._kernel.keystore.bundle_key(), algorithm="EdDSA")
