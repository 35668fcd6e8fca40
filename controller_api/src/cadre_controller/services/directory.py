"""Directory, evaluation, agents."""

from collections.abc import Mapping
from cadre_api.protocol.base import type_json
from cadre_controller.ports import Actor
from cadre_controller.services.models import AgentRow
from cadre_core.policy.decide import Decision, PolicyRequest


class DirectoryService:
    def node(self, tenant: str, node_id: str) -> type_json:
        """Key or bare name."""
    def role_profile(self, tenant: str, role: str) -> Mapping[str, object]: ...
    def evaluate(self, tenant: str, request: PolicyRequest) -> Decision: ...
    async def agents(self, tenant: str) -> tuple[AgentRow, ...]: ...
    def resources(self, tenant: str, kind: str) -> tuple[type_json, ...]:
        """Documents as applied."""
    def person_actor(self, tenant: str, person: str) -> Actor:
        """Chart key or bare name -> actor with opaque id and clearance. Raises NotFound(UnknownPerson)."""
    def admin_actor(self, tenant: str) -> Actor:
        """The tenant admin of a desktop: every class but CREDENTIALS."""
    def agent_key(self, tenant: str, name: str) -> str:
        """`namespace/name` or bare name -> key. Raises NotFound(UnknownAgent), Conflict(AmbiguousName)."""
    def tenant_of_agent(self, agent: str) -> str: ...
