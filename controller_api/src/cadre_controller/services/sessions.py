"""Sessions."""

from collections.abc import Sequence
from cadre_controller.ports import Actor
from cadre_controller.services.models import SessionView, Shard


class SessionService:
    async def create(self, actor: Actor, participants: Sequence[str], *, parent_session_id: str = "") -> SessionView: ...
    async def get(self, tenant: str, session_id: str) -> SessionView: ...
    async def handoff(self, actor: Actor, session_id: str, to: str, shard_ids: Sequence[str] = ()) -> SessionView:
        """`to` = `agent:<key>` or `person:<opaque>`; () = all shards. A new session for the receiver, tokens re-granted within its clearance."""
    async def add_shard(self, actor: Actor, session_id: str, text: str, data_class: str = "INTERNAL") -> Shard:
        """Text is masked here."""
    async def regrant(self, tenant: str, from_session: str, to_session: str, texts: Sequence[str], clearance: frozenset[str]) -> tuple[str, ...]:
        """Tokens found in `texts` granted to the other session where the class is within `clearance`; returns those granted."""
