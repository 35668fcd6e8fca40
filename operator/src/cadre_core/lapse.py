"""Rulings end by themselves: what of a guard's rules holds at a time. Apart: a guard has no policy engine."""

from datetime import datetime

from cadre_api.protocol.guard import GuardRules


def in_force(rules: GuardRules, now: datetime) -> tuple[GuardRules, datetime | None]:
    """Return the rules without terms whose time is over, and when the next one's is; None = never."""
    terms = (*rules.added, *rules.released)
    ends = [term.until for term in terms if term.until is not None]
    if not any(end <= now for end in ends):
        return rules, min(ends, default=None)
    lasting = {
        "added": tuple(t for t in rules.added if t.until is None or t.until > now),
        "released": tuple(t for t in rules.released if t.until is None or t.until > now),
    }
    return rules.model_copy(update=lasting), min((end for end in ends if end > now), default=None)
