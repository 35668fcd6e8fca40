"""What a valid token says about its bearer."""

from dataclasses import dataclass

from cadre_controller.ports import AgentIdentity


@dataclass(frozen=True, slots=True)
class PersonIdentity:
    """A human; on a desktop without a persona: the tenant's administrator."""

    tenant: str
    """Empty before the first chart is applied."""
    person: str
    """Chart key `namespace/name`; empty = tenant administrator."""
    operator: bool = False
    """The cluster's operator, which brings the charts of all tenants."""

    @property
    def is_admin(self) -> bool:
        """May change the chart and see everything of the tenant."""
        return not self.person


Principal = PersonIdentity | AgentIdentity
