"""Sessions: who takes part, what each may see, and proof of what was handed over."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from cadre_api.data_classes import DataClass
from cadre_controller.errors import Denied, InvalidInput, NotFound
from cadre_controller.ports import Actor, Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel, system_actor
from cadre_controller.services.masking import token_candidates
from cadre_controller.services.models import SessionView, Shard
from cadre_controller.services.pseudonyms import PseudonymService
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement, Work

EVERY_CLASS = frozenset(data_class.value for data_class in DataClass)
_MOMENT = timedelta(microseconds=1)


class SessionService:
    """Create, read, share, hand over."""

    def __init__(
        self, kernel: Kernel, chart: ChartService, pseudonyms: PseudonymService, masker: Masker
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._pseudonyms = pseudonyms
        self._masker = masker

    async def create(
        self, actor: Actor, participants: Sequence[str], *, parent_session_id: str = ""
    ) -> SessionView:
        """A session of these participants (`person:<opaque>`, `agent:<key>`) and the actor. Raises
        InvalidInput."""
        tenant, session_id = actor.tenant, self._kernel.ids.new("ses")
        members = dict.fromkeys((actor.id, *participants))
        for member in members:
            self._check_participant(tenant, member)
        entry = self._kernel.audit(
            actor, "session.create", f"session:{session_id}", facts=Facts({"participants": list(members)})
        )
        opening = self._opening(tenant, session_id, actor.id, parent_session_id, tuple(members))
        await self._kernel.submit(Work(tenant, opening, audit=(entry,)))
        return await self.get(tenant, session_id)

    async def get(self, tenant: str, session_id: str) -> SessionView:
        """As stored (masked). Raises NotFound(UnknownSession)."""
        row = await self._kernel.db.fetch_one(tenant, "session_get", tenant, session_id)
        if row is None:
            raise NotFound("UnknownSession", f"there is no session {session_id}", "create it first")
        shards = await self._kernel.db.fetch(tenant, "shards", tenant, session_id)
        return SessionView(
            id=row["id"],
            tenant=row["tenant"],
            state=row["state"],
            created_by=row["created_by"],
            created_at=row["created_at"],
            parent_session_id=row["parent_session_id"],
            participants=tuple(row["participants"]),
            shards=tuple(_shard(s) for s in shards),
            tasks=tuple(row["tasks"]),
        )

    async def add_shard(
        self, actor: Actor, session_id: str, text: str, data_class: str = "INTERNAL"
    ) -> Shard:
        """Add a part to the session's context; it is masked here. Raises NotFound,
        Denied(NotAParticipant)."""
        tenant, kernel = actor.tenant, self._kernel
        session = await self.get(tenant, session_id)
        self._require_participant(actor, session)
        rules = self._chart.guard_rules(tenant, _first_agent(session.participants))
        masked = await self._masker.mask(tenant, session_id, text, rules)
        shard = Shard(
            kernel.ids.new("shd"), session_id, actor.id, data_class, masked.text, kernel.clock.now()
        )
        facts = Facts({"shard": shard.id, "hash": _hash(shard.text), "class": data_class}, masked.counts)
        entry = kernel.audit(actor, "session.shard", f"session:{session_id}", facts=facts)
        await kernel.submit(Work(tenant, (_insert(tenant, shard),), audit=(entry,)))
        return shard

    async def handoff(
        self, actor: Actor, session_id: str, to: str, shard_ids: Sequence[str] = ()
    ) -> SessionView:
        """Open a session for the receiver with copies of shards; tokens are granted anew within its
        clearance.

        Raises NotFound, InvalidInput, Denied(NotAParticipant). The audit lists id and hash of all the
        receiver got.
        """
        tenant, kernel = actor.tenant, self._kernel
        session = await self.get(tenant, session_id)
        self._require_participant(actor, session)
        clearance = self._check_participant(tenant, to)
        chosen = _chosen(session.shards, shard_ids)
        visible = [s for s in chosen if s.data_class in clearance or s.data_class == "PUBLIC"]
        new_id, now = kernel.ids.new("ses"), kernel.clock.now()
        copies = [
            # a moment apart: they are read in the order of their times
            Shard(kernel.ids.new("shd"), new_id, s.author, s.data_class, s.text, now + i * _MOMENT)
            for i, s in enumerate(visible)
        ]
        granted = await self.regrant(
            tenant, session_id, new_id, [s.text for s in visible], clearance, actor=actor
        )
        opening = self._opening(tenant, new_id, actor.id, session_id, (actor.id, to))
        facts = Facts(
            {
                "from": session_id,
                "to": to,
                "shards": [
                    {"id": c.id, "of": s.id, "hash": _hash(c.text)}
                    for c, s in zip(copies, visible, strict=True)
                ],
                "withheld": [s.id for s in chosen if s not in visible],
                "tokens": len(granted),
            }
        )
        entry = kernel.audit(actor, "session.handoff", f"session:{new_id}", facts=facts)
        statements = (*opening, *(_insert(tenant, copy) for copy in copies))
        await kernel.submit(Work(tenant, statements, audit=(entry,)))
        return await self.get(tenant, new_id)

    async def regrant(
        self,
        tenant: str,
        from_session: str,
        to_session: str,
        texts: Sequence[str],
        clearance: frozenset[str] = EVERY_CLASS,
        *,
        actor: Actor | None = None,
    ) -> tuple[str, ...]:
        """Tokens found in `texts`, granted to the other session where their class is within `clearance`.

        By default every token becomes known there, or it would count as a forged one; who may see behind it
        is decided at each restoring.
        """
        tokens = token_candidates(list(texts))
        who = actor or system_actor(tenant, "sessions")
        return await self._pseudonyms.regrant(who, from_session, to_session, tokens, clearance)

    def _opening(
        self, tenant: str, session_id: str, creator: str, parent: str, members: tuple[str, ...]
    ) -> tuple[Statement, ...]:
        now = self._kernel.clock.now()
        return (
            Statement("session_insert", (tenant, session_id, creator, parent, now)),
            *(Statement("participant_put", (tenant, session_id, member, now)) for member in members),
        )

    def _check_participant(self, tenant: str, participant: str) -> frozenset[str]:
        """Clearance of a participant. Raises InvalidInput when the chart does not know it."""
        live = self._chart.current(tenant)
        kind, _, key = participant.partition(":")
        if kind == "agent" and key in live.snapshot.agents:
            return live.snapshot.agents[key].guard.clearance
        if kind == "person" and participant in live.persons_by_id:
            return live.snapshot.persons[live.persons_by_id[participant]].clearance
        if kind in ("system", "admin"):
            return frozenset()
        raise InvalidInput(
            "UnknownParticipant", f"{participant} is not in the chart", "agent:<key> or person:<id>"
        )

    @staticmethod
    def _require_participant(actor: Actor, session: SessionView) -> None:
        if actor.id not in session.participants and not actor.is_admin:
            raise Denied(
                "NotAParticipant", "only participants may add to a session or hand it over", "join it"
            )


def _chosen(shards: Sequence[Shard], ids: Sequence[str]) -> list[Shard]:
    known = {shard.id: shard for shard in shards}
    unknown = [i for i in ids if i not in known]
    if unknown:
        raise NotFound("UnknownShard", f"the session has no shard {unknown[0]}", "GET the session")
    return [known[i] for i in ids] if ids else list(shards)


def _first_agent(participants: Sequence[str]) -> str:
    return next((p.removeprefix("agent:") for p in participants if p.startswith("agent:")), "")


def _insert(tenant: str, shard: Shard) -> Statement:
    row = (tenant, shard.id, shard.session_id, shard.author, shard.data_class, shard.text, _hash(shard.text))
    return Statement("shard_insert", (*row, shard.created_at))


def _shard(row: Row) -> Shard:
    return Shard(
        row["id"], row["session_id"], row["author"], row["data_class"], row["body"], row["created_at"]
    )


def _hash(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
