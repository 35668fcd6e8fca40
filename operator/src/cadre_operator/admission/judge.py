"""Decides about writes: entitled or not, at once or after consent, and what the chart would become."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cadre_api.v1alpha1 import Agent
from cadre_core.compile import compile_chart
from cadre_core.consent import Answer as May
from cadre_core.consent import Verdict, consenters, holders, may_write
from cadre_core.model import Problem
from cadre_core.policy.request import TENANT_ADMIN
from cadre_operator.admission.freezing import (
    changes_freeze,
    changes_only_freeze,
    judge_freeze,
    moves,
    stamp_of,
)
from cadre_operator.admission.identity import UNKNOWN, Caller
from cadre_operator.admission.problems import Flawless, new_problems
from cadre_operator.admission.review import Answer, RefusedError, Review
from cadre_operator.admission.stamps import (
    CONSENT,
    DECISION,
    FROZEN_BY,
    HELD,
    OWNED,
    ConsentStamp,
    HeldStamp,
    StampTooLargeError,
    decision_of,
    open_consent,
    open_freeze,
    open_held,
    seal_consent,
    seal_freeze,
    seal_held,
    spec_hash,
)
from cadre_operator.chart.evaluate import ChartState, Compiler
from cadre_operator.kube.fields import Json
from cadre_operator.status.common import describe

IsAdmin = Callable[[], Awaitable[bool]]
"""Whether the API server's own rules let the caller create tenants."""


@dataclass(frozen=True, slots=True)
class Court:
    """What a review is judged by."""

    state: ChartState | None
    caller: Caller
    is_admin: IsAdmin
    seal_key: bytes
    now: str
    frozen: Mapping[str, str] = field(default_factory=dict)
    """Agent -> why it is frozen, as the controller said."""
    compiler: Compiler = compile_chart
    flawless: Flawless | None = None
    """What was found of agents that came before, with this compiler."""

    @property
    def admins(self) -> tuple[str, ...]:
        """Heads of the root."""
        snapshot = self.state.snapshot if self.state else None
        return holders(snapshot, snapshot.root, "Head") if snapshot else ()


async def mutate(review: Review, court: Court) -> Answer:
    """Return what to write onto the object. Raises RefusedError."""
    if court.caller.trusted:
        return Answer()
    answer = Answer()
    _restore(review, answer)
    if review.operation == "UPDATE" and decision_of(review.new_notes):
        _decide(review, court, answer)
        return answer
    if review.same_spec:
        return answer
    _sign_freeze(review, court, answer)
    verdict = await verdict_of(review, court)
    if verdict.answer is May.WAIT:
        _hold(review, court, verdict, answer)
    elif HELD in review.old_notes:
        answer.notes[HELD] = None
    _default_owner(review, court, answer)
    return answer


def _sign_freeze(review: Review, court: Court, answer: Answer) -> None:
    snapshot = court.state.snapshot if court.state else None
    if snapshot is None or (review.operation == "UPDATE" and not changes_freeze(review)):
        return
    stamp = stamp_of(snapshot, court.caller.person, review)
    if stamp is not None:
        answer.notes[FROZEN_BY] = seal_freeze(stamp, court.seal_key)


def _restore(review: Review, answer: Answer) -> None:
    """Nobody writes our annotations: they stay what they were."""
    for name in OWNED:
        before = review.old_notes.get(name)
        if review.new_notes.get(name) != before:
            answer.notes[name] = before


def _default_owner(review: Review, court: Court, answer: Answer) -> None:
    if review.operation != "CREATE" or not isinstance(review.new, Agent) or review.new.spec.owner_ref:
        return
    if "/" in court.caller.person:
        namespace, _, name = court.caller.person.partition("/")
        answer.owner = {"name": name} | ({"namespace": namespace} if namespace != review.namespace else {})


def _hold(review: Review, court: Court, verdict: Verdict, answer: Answer) -> None:
    if review.operation == "DELETE":
        return
    earlier = open_held(review.old_notes.get(HELD, ""), review.subject, court.seal_key)
    former: Json | None = dict(review.old_spec) if review.operation == "UPDATE" else None
    if earlier is not None:
        former = dict(earlier.former) if earlier.former is not None else None
    reason = f"{verdict.reason}: {verdict.message}"
    stamp = HeldStamp(review.subject, spec_hash(review.new_spec), reason, verdict.ask, former)
    try:
        answer.notes[HELD] = seal_held(stamp, court.seal_key)
    except StampTooLargeError as error:
        raise RefusedError(error.reason, str(error), 413) from error


def _decide(review: Review, court: Court, answer: Answer) -> None:
    approved = decision_of(review.new_notes)
    person = court.caller.person
    if not review.same_spec:
        raise RefusedError("DecisionAlone", "a decision and a change of the spec are two requests", 422)
    if "/" not in person:
        message = f"{court.caller.user or 'this user'} is no Person of the chart, and consent is personal"
        raise RefusedError("NotEntitled", message)
    held = open_held(review.old_notes.get(HELD, ""), review.subject, court.seal_key)
    if held is not None and held.spec_hash == approved:
        _require(person, (*held.ask, *court.admins), "consent to this change")
        answer.notes[HELD] = None
    else:
        answer.notes[CONSENT] = _consent(review, court, approved)
    answer.notes[DECISION] = None


def _consent(review: Review, court: Court, approved: str) -> str:
    snapshot = court.state.snapshot if court.state else None
    agent = snapshot.agents.get(review.path) if snapshot and review.kind == "Agent" else None
    if snapshot is None or agent is None or agent.rights_hash != approved:
        current = f"; the rights that wait are {agent.rights_hash}" if agent else ""
        raise RefusedError("StaleDecision", f"nothing waits here under {approved}{current}", 409)
    _require(court.caller.person, consenters(snapshot, review.path), "consent to this agent's rights")
    stamp = ConsentStamp(review.uid, approved, court.caller.person, court.now)
    return seal_consent(stamp, court.seal_key)


def _require(person: str, people: tuple[str, ...], what: str) -> None:
    if person not in people:
        raise RefusedError("NotEntitled", f"you may not {what}; ask {', '.join(people) or 'a tenant admin'}")


async def validate(review: Review, court: Court) -> tuple[str, ...]:
    """Let a write through, with warnings. Raises RefusedError."""
    if court.caller.trusted:
        return ()
    _check_stamps(review, court)
    if review.same_spec:
        return ()
    if moves(review) and court.frozen.get(review.path):
        raise RefusedError("Frozen", f"{review.subject} is frozen: thaw it before it is moved")
    verdict = await verdict_of(review, court)
    if verdict.answer is May.DENY or (verdict.answer is May.WAIT and review.operation == "DELETE"):
        raise RefusedError(verdict.reason, _explained(verdict, court))
    _check_replicas(review)
    return _check_chart(review, court)


def _explained(verdict: Verdict, court: Court) -> str:
    if court.caller.person == UNKNOWN:
        return f"{verdict.message}; no Person here has the identity of {court.caller.user or 'this user'}"
    return verdict.message


def _check_stamps(review: Review, court: Court) -> None:
    consent, held, frozen = (review.new_notes.get(name, "") for name in OWNED)
    forged = bool(consent) and open_consent(consent, review.uid, court.seal_key) is None
    forged |= bool(held) and open_held(held, review.subject, court.seal_key) is None
    forged |= bool(frozen) and open_freeze(frozen, review.subject, court.seal_key) is None
    if forged and (consent, held, frozen) != tuple(review.old_notes.get(name, "") for name in OWNED):
        raise RefusedError("NotEntitled", f"metadata.annotations: only admission writes {', '.join(OWNED)}")


def _check_replicas(review: Review) -> None:
    if not isinstance(review.new, Agent) or not isinstance(review.old, Agent):
        return
    if review.new.spec.replicas != review.old.spec.replicas and review.new.spec.replicas is not None:
        fix = f"use kubectl scale agents.cadre.dev/{review.name}"
        message = f"spec.replicas: is set through the scale subresource; {fix}"
        raise RefusedError("UseScale", message, 422)


def _check_chart(review: Review, court: Court) -> tuple[str, ...]:
    if court.state is None or court.state.snapshot is None:
        # a first chart arrives object by object, in any order: what is missing yet its status will say
        return ("no chart is in force here yet: see the condition Accepted",)
    known = [problem for found in court.state.problems.values() for problem in found]
    problems = new_problems(court.state.models, known, review.old, review.new, court.compiler, court.flawless)
    if not problems:
        return ()
    raise RefusedError(problems[0].reason, _located(review, problems), 422)


def _located(review: Review, problems: tuple[Problem, ...]) -> str:
    mine = [p for p in problems if p.resource == review.subject]
    others = [p for p in problems if p.resource != review.subject]
    parts = [describe(mine)] if mine else []
    parts += [f"{p.resource}: {describe([p])}" for p in others[:5]]
    return "; ".join(parts)


async def verdict_of(review: Review, court: Court) -> Verdict:
    """Ask the chart in force, and the API server's own rules when the chart does not simply allow."""
    snapshot = court.state.snapshot if court.state else None
    if snapshot is not None and changes_freeze(review):
        said = judge_freeze(snapshot, court.caller.person, review, court.seal_key)
        if said.answer is not May.ALLOW and await court.is_admin():
            said = judge_freeze(snapshot, TENANT_ADMIN, review, court.seal_key)
        if said.answer is not May.ALLOW or changes_only_freeze(review):
            return said
    if snapshot is not None:
        person = court.caller.person
        verdict = may_write(snapshot, person, review.operation, review.kind, review.old, review.new)
    else:
        verdict = Verdict(May.DENY, "NoChart", "no chart is in force here: a tenant admin has to apply one")
    if verdict.answer is May.ALLOW:
        return verdict
    if await court.is_admin():
        return _as_admin(review, court)
    return verdict


def _as_admin(review: Review, court: Court) -> Verdict:
    snapshot = court.state.snapshot if court.state else None
    if snapshot is None:
        return Verdict(May.ALLOW, "Entitled")
    return may_write(snapshot, TENANT_ADMIN, review.operation, review.kind, review.old, review.new)


async def validate_scale(agent: Agent | None, namespace: str, name: str, replicas: int, court: Court) -> None:
    """Let a scale request through. Raises RefusedError."""
    if court.caller.trusted or court.caller.scaler:
        return
    if agent is None:
        raise RefusedError("NotFound", f"Agent {namespace}/{name} is not known here yet; try again", 409)
    review = Review("UPDATE", "Agent", namespace, name, "", agent, agent, {}, {"": ""}, {}, {})
    verdict = await verdict_of(review, court)
    if verdict.answer is not May.ALLOW:
        raise RefusedError(verdict.reason, _explained(verdict, court))
    most = agent.spec.scaling.max if agent.spec.scaling else 1
    if replicas > most:
        message = f"spec.replicas: {replicas} is more than spec.scaling.max ({most}); raise that first"
        raise RefusedError("OutOfBounds", message, 422)
