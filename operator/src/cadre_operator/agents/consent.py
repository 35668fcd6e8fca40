"""Whether an agent may have the rights it would have: agreed to, not needed, or still to be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Never

from cadre_core.consent import consenters
from cadre_core.model import EffectiveAgent, Snapshot
from cadre_core.plan import Change, plan
from cadre_operator.admission.stamps import CONSENT, ConsentStamp, open_consent
from cadre_operator.kube.fields import text
from cadre_operator.watch.entries import Entry

_NONE: Mapping[str, Never] = {}


class Standing(StrEnum):
    """How an agent's rights stand."""

    GIVEN = "Given"
    NOT_NEEDED = "NotNeeded"
    REQUIRED = "Required"
    """Nobody agreed to anything yet: nothing runs."""
    WIDENED = "Widened"
    """Other rights were agreed to: what serves goes on serving with those."""

    @property
    def may_apply(self) -> bool:
        """Whether the rights of the chart in force may be given to the agent."""
        return self in (Standing.GIVEN, Standing.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class Consent:
    """The standing, the record for the status, and whom to ask."""

    standing: Standing
    rights_hash: str
    record: ConsentStamp | None = None
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """What an agent had when its rights were last agreed to."""

    snapshot: Snapshot
    """Of that time, with nothing in it but this agent and the rules."""
    agent: EffectiveAgent


def serving_of(snapshot: Snapshot, agent: EffectiveAgent) -> Serving:
    """Remember an agent's rights, and not the whole chart with them."""
    slim = replace(
        snapshot,
        agents={agent.key: agent},
        nodes=_NONE,
        persons=_NONE,
        providers=_NONE,
        tool_servers=_NONE,
        profiles=_NONE,
        workflows=_NONE,
    )
    return Serving(slim, agent)


def judge_consent(
    entry: Entry, snapshot: Snapshot, agent: EffectiveAgent, serving: Serving | None, key: bytes
) -> Consent:
    """Judge an agent's rights. A change that only narrows, against what serves, is agreed to already."""
    record = _record(entry, key)
    if not agent.needs_consent:
        return Consent(Standing.NOT_NEEDED, agent.rights_hash, record)
    if record is not None and record.rights_hash == agent.rights_hash:
        return Consent(Standing.GIVEN, agent.rights_hash, record)
    if record is not None and serving is not None and _narrows(serving, snapshot, agent):
        narrowed = replace(record, rights_hash=agent.rights_hash)
        return Consent(Standing.GIVEN, agent.rights_hash, narrowed)
    ask = consenters(snapshot, agent.key)
    standing = Standing.REQUIRED if record is None and serving is None else Standing.WIDENED
    return Consent(standing, agent.rights_hash, record, ask)


def _narrows(serving: Serving, snapshot: Snapshot, agent: EffectiveAgent) -> bool:
    change = plan(serving.snapshot, replace(snapshot, agents={agent.key: agent}))
    return bool(change) and change[0].change in (Change.NARROWED, Change.CHANGED, Change.SAME)


def _record(entry: Entry, key: bytes) -> ConsentStamp | None:
    """Return the newer of the stamp and what the status says; a stamp is used once, then the status rules."""
    stamp = open_consent(entry.notes.get(CONSENT, ""), entry.uid, key)
    noted = _noted(entry.uid, entry.status.get("consent"))
    if stamp is None or (noted is not None and noted.at >= stamp.at):
        return noted
    return stamp


def _noted(uid: str, status: object) -> ConsentStamp | None:
    if not isinstance(status, Mapping):
        return None
    by = status.get("by")
    person = f"{text(by, 'namespace')}/{text(by, 'name')}"
    return ConsentStamp(uid, text(status, "rightsHash"), person, text(status, "at"))
