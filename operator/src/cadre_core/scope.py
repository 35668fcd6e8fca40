"""Which parts of the chart a rule speaks about: one reading for compilation, plan and decisions."""

from cadre_api.protocol.base import Effect
from cadre_core.model import EffectiveAgent, Rule


def node_covers(node: str, scope: str, path: tuple[str, ...]) -> bool:
    """Whether a node with a scope (`Node` alone or `Subtree`) covers the place at the end of `path`."""
    return path[-1:] == (node,) if scope == "Node" else node in path


def subjects_of(rule: Rule) -> tuple[tuple[str, str], ...]:
    """Return who a rule is about as (key, kind): its subjects, or everyone its targets govern."""
    return rule.subjects or rule.targets


def rule_covers(rule: Rule, agent: EffectiveAgent) -> bool:
    """Whether a rule may stop, allow or hold something this agent does."""
    return any(_means(rule.effect, key, kind, agent) for key, kind in subjects_of(rule))


def _means(effect: Effect, key: str, kind: str, agent: EffectiveAgent) -> bool:
    match kind:
        case "Agent":
            return agent.key == key
        case "Profile":
            return key == agent.profile or (effect is not Effect.ALLOW and key in agent.profile_lineage)
        case "Person":
            return False
        case _:
            return node_covers(key, kind, agent.path)


def meaning(rule: Rule) -> list[object]:
    """Return what of a rule can change a decision; where its policy is placed shows in whom it covers."""
    return [rule.effect, rule.actions, rule.subjects, rule.resources, rule.when, rule.approval]
