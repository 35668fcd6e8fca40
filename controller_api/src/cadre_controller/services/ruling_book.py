"""The rulings in force as this process knows them, laid over the rules that the chart makes.

Every replica hears of a change by notification, and looks for itself once a second. The revision of a tenant
rises with every change and with every end, so that a bundle's generation does.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from cadre_api.protocol.guard import GuardRules
from cadre_api.protocol.rulings import RulingKind, RulingScope
from cadre_controller.errors import CadreError
from cadre_controller.services.kernel import Kernel
from cadre_controller.store.pool import Row
from cadre_core.lapse import in_force
from cadre_core.model import EffectiveAgent
from cadre_core.rulings import Ruling, ruled

logger = logging.getLogger(__name__)
CHANNEL = "rulings"


class RulingBook:
    """Answers what is ruled for an agent without asking the database."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._revisions: dict[str, int] = {}
        self._rulings: dict[str, tuple[Ruling, ...]] = {}

    def of(self, tenant: str) -> tuple[Ruling, ...]:
        """All rulings that are stored, those whose time is over included, in the order they were made."""
        return self._rulings.get(tenant, ())

    def revision(self, tenant: str) -> int:
        """Only rises."""
        return self._revisions.get(tenant, 0)

    def digest(self, tenant: str, agent: EffectiveAgent, chart_digest: str) -> str:
        """Of an agent's bundle: the chart's alone where nothing is ruled."""
        ids = [ruling.id for ruling in self.of(tenant) if ruling.covers(agent)]
        return hashlib.sha256("\n".join([chart_digest, *ids]).encode()).hexdigest() if ids else chart_digest

    def applied(self, tenant: str, agent: EffectiveAgent | None, rules: GuardRules) -> GuardRules:
        """The rules with what is ruled for the agent now."""
        covering = [ruling for ruling in self.of(tenant) if ruling.covers(agent)]
        if not covering:
            return rules
        return in_force(ruled(rules, covering), self._kernel.clock.now())[0]

    async def refresh(self, tenants: Sequence[str]) -> None:
        """Read what has changed. Raises Unavailable, KeystoreError."""
        rows = await self._kernel.db.fetch(tenants, "ruling_revisions")
        news = {r["tenant"]: r["revision"] for r in rows if r["revision"] > self.revision(r["tenant"])}
        if not news:
            return
        found: defaultdict[str, list[Ruling]] = defaultdict(list)
        for row in await self._kernel.db.fetch(list(news), "rulings"):
            found[row["tenant"]].append(self._opened(row))
        for tenant, revision in news.items():
            self._revisions[tenant], self._rulings[tenant] = revision, tuple(found[tenant])
        self._kernel.wakeups.wake(tuple(f"chart:{tenant}" for tenant in news))

    async def look(self, tenants: Iterable[str]) -> None:
        """The same, in the background: what cannot be read now is read later."""
        try:
            await self.refresh(tuple(tenants))
        except CadreError as error:
            logger.warning("rulings not read", extra={"reason": error.reason})

    def sealed(self, tenant: str, ruling: Ruling) -> bytes:
        """Value and reason, readable with the tenant's key alone."""
        content = json.dumps({"value": ruling.value, "reason": ruling.reason}).encode()
        return self._kernel.keystore.tenant(tenant).seal(content, _context(tenant, ruling.id))

    def _opened(self, row: Row) -> Ruling:
        tenant = row["tenant"]
        keys = self._kernel.keystore.tenant(tenant)
        content = json.loads(keys.unseal(row["sealed"], _context(tenant, row["id"])))
        return Ruling(
            id=row["id"],
            kind=RulingKind(row["ruling"]),
            scope=RulingScope(row["scope"]),
            target=row["target"],
            entity_type=row["entity_type"],
            value=content["value"],
            reason=content["reason"],
            by=row["actor"],
            at=row["created_at"],
            until=row["expires_at"],
        )


def _context(tenant: str, ruling_id: str) -> str:
    """What a sealed ruling is bound to: it opens under no other tenant or id."""
    return f"ruling\x00{tenant}\x00{ruling_id}"
