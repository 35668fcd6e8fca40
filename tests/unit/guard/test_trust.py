"""When an agent's memory ends: with a change of its rights, not with a person's word on a finding."""

from datetime import UTC, datetime, timedelta

from cadre_api.protocol.guard import AgentBundle, GuardTerm
from cadre_guard.turn.host import trust_set

NOW = datetime(2031, 1, 1, tzinfo=UTC)
BUNDLE = AgentBundle(
    agent="co/fin",
    tenant="co",
    generation=1,
    digest="d",
    issued_at=NOW,
    expires_at=NOW + timedelta(days=7),
    node_path=("co",),
    clearance=("PII",),
)


def test_a_ruling_leaves_the_agent_its_memory_and_a_right_does_not() -> None:
    term = GuardTerm(text="Ada", entity_type="PERSON", until=NOW)
    ruled = BUNDLE.guard.model_copy(update={"released": (term,), "added": (term,)})
    stricter = BUNDLE.guard.model_copy(update={"mode": "Block"})
    later = {"generation": 2, "digest": "e", "guard": ruled}
    assert trust_set(BUNDLE.model_copy(update=later)) == trust_set(BUNDLE)
    assert trust_set(BUNDLE.model_copy(update={"guard": stricter})) != trust_set(BUNDLE)
    assert trust_set(BUNDLE.model_copy(update={"clearance": ()})) != trust_set(BUNDLE)
