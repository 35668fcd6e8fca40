"""Bounded "always allow": an approver lets the next calls through, as far as all rules that asked permit."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from cadre_api.protocol.tasks import AlwaysAllow, PermitView
from cadre_controller.errors import InvalidInput, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.services.models import HeldTask, ToolApprovalRequest
from cadre_controller.services.panels import Requirement, require_alone
from cadre_controller.store.pool import Row
from cadre_controller.store.work import RowMissing, Statement, Work


class Permits:
    """Granted with an approval, used up call by call, revoked at any time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def usable(self, held: HeldTask, request: ToolApprovalRequest, persons: Iterable[str]) -> str:
        """A permit for this call and every rule that asks, of one of these who may answer them today (opaque
        ids); empty when there is none."""
        if not all(rule.always_uses for _, rule in request.rules):
            return ""
        rules = [rule for rule, _ in request.rules]
        row = await self._kernel.db.fetch_one(
            held.tenant, "permit_usable", held.tenant, held.agent, request.tool, held.session_id, rules,
            self._kernel.clock.now(), list(persons),
        )  # fmt: skip
        return str(row["id"]) if row is not None else ""

    def use(self, tenant: str, permit_id: str, now: datetime) -> Statement:
        """Take one use; refuses the whole work when none is left."""
        return Statement("permit_use", (tenant, permit_id, now))

    def grant(
        self, actor: Actor, row: Row, wanted: AlwaysAllow, requirements: tuple[Requirement, ...]
    ) -> Statement:
        """The permit for what an approval was about, of the one person who met every rule of it alone. Raises
        InvalidInput(AlwaysAllowRefused)."""
        require_alone(actor.id, requirements, "AlwaysAllowRefused")
        uses = min((r.rule.always_uses for r in requirements), default=0)
        seconds = min((r.rule.always_seconds for r in requirements), default=0)
        if row["kind"] != "ToolCall" or wanted.uses > uses or wanted.seconds > seconds:
            raise InvalidInput(
                "AlwaysAllowRefused",
                f"policy lets {uses} uses within {seconds} s be allowed at once",
                "ask for less, or approve this call alone",
            )
        now = self._kernel.clock.now()
        session = row["session_id"] if wanted.session_only else ""
        rules = ",".join(requirement.rule_id for requirement in requirements)
        permit = (
            row["tenant"], self._kernel.ids.new("prm"), row["id"], actor.id, row["agent"], session,
            row["tool"], rules, wanted.uses, now + timedelta(seconds=wanted.seconds), now,
        )  # fmt: skip
        return Statement("permit_insert", permit)

    async def list(self, tenant: str) -> tuple[PermitView, ...]:
        """Those that still let something through."""
        rows = await self._kernel.db.fetch(tenant, "permit_list", tenant, self._kernel.clock.now())
        return tuple(
            PermitView(
                id=row["id"],
                approval_id=row["approval_id"],
                person=row["person"],
                agent=row["agent"],
                session_id=row["session_id"],
                tool=row["tool"],
                uses_left=row["uses_left"],
                expires_at=row["expires_at"],
            )
            for row in rows
        )

    async def revoke(self, actor: Actor, permit_id: str) -> None:
        """Let nothing more through. Raises NotFound."""
        statement = Statement("permit_revoke", (actor.tenant, permit_id, self._kernel.clock.now()))
        entry = self._kernel.audit(actor, "approval.permit", f"permit:{permit_id}", "revoked", Facts({}))
        try:
            await self._kernel.submit(Work(actor.tenant, (statement,), audit=(entry,)))
        except RowMissing:
            raise NotFound("UnknownPermit", f"there is no open permit {permit_id}", "list them") from None
