"""Pseudonyms."""

from collections.abc import Iterable, Sequence
from cadre_api.protocol.guard import IssueItem
from cadre_controller.ports import Actor


class PseudonymService:
    async def issue(self, actor: Actor, session_id: str, items: Sequence[IssueItem]) -> tuple[str, ...]:
        """Tokens in the order of the items, granted to the session."""
    async def restore(self, actor: Actor, session_id: str, tokens: Iterable[str], clearance: frozenset[str]) -> dict[str, str]:
        """Only tokens granted to the session and within the clearance."""
    async def regrant(self, actor: Actor, from_session: str, to_session: str, tokens: Iterable[str], clearance: frozenset[str]) -> tuple[str, ...]: ...
