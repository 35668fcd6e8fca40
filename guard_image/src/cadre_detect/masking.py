"""From findings to a masked document, in two steps, because tokens are issued elsewhere and in one batch.

`plan` says which values need a token, `apply` puts the tokens in. A value found anywhere in the document, or
earlier in the same conversation, is masked wherever it stands, also where the model that found it would have
missed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeAlias

from cadre_detect import decode
from cadre_detect.entities import CREDENTIALS, TOKEN_LIKE, data_class_for
from cadre_detect.errors import Blocked, DetectionError
from cadre_detect.findings import Finding, resolve
from cadre_detect.jsonwalk import DATA, Json, Kind, WalkRules, rewrite
from cadre_detect.needles import Entity as Entity
from cadre_detect.needles import needle_of, spreads
from cadre_detect.terms import Needle, TermScanner
from cadre_detect.tokens import suffixes

PROSE = frozenset({Kind.TEXT, Kind.FRAGMENT})

Question: TypeAlias = tuple[str, bool]
"""(text, whether it is prose)."""


class Mode(Enum):
    """What happens to a finding, from lax to strict."""

    DISABLED = "Disabled"
    DETECT = "Detect"
    MASK = "Mask"
    BLOCK = "Block"


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """Modes by entity type, else by data class, else the default."""

    default: Mode = Mode.MASK
    classes: Mapping[str, Mode] = field(default_factory=dict)
    entities: Mapping[str, Mode] = field(default_factory=dict)


class Scanner(Protocol):
    """The part of a Detector that masking needs."""

    def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
        """Disjoint findings in order."""


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """A document, where its entities are, and which need a token."""

    document: Json
    rules: WalkRules
    spans: Mapping[tuple[str, Kind], tuple[Finding, ...]]
    entities: frozenset[Entity]
    """What `apply` needs tokens for."""
    counts: Mapping[str, int]
    """Findings by entity type, those only detected included; for audit and metrics."""


def decide_action(finding: Finding, policy: MaskPolicy) -> Mode:
    """The mode that applies to a finding. A token look-alike is masked wherever anything is."""
    mode = (
        policy.entities.get(finding.entity_type) or policy.classes.get(finding.data_class) or policy.default
    )
    if finding.entity_type == TOKEN_LIKE:
        masks = Mode.MASK in (policy.default, *policy.classes.values(), *policy.entities.values())
        return Mode.MASK if masks else Mode.DISABLED
    return mode


def masks(policy: MaskPolicy, entity_type: str) -> bool:
    """Whether a value of this type that is known from before is masked wherever it stands."""
    mode = (
        policy.entities.get(entity_type) or policy.classes.get(data_class_for(entity_type)) or policy.default
    )
    return mode in (Mode.MASK, Mode.BLOCK)


def plan(
    document: Json,
    scanner: Scanner,
    policy: MaskPolicy,
    *,
    rules: WalkRules = DATA,
    known_tokens: Container[str] = (),
    seen: Iterable[Entity] = (),
) -> MaskPlan:
    """Where the document's entities are; a plain string is a document too.

    `known_tokens`: tokens issued to this session, which stay. `seen`: values already masked in it.
    Raises Blocked when the policy forbids a finding, DetectionError when a scan fails.
    """
    planner = Planner(scanner, policy, known_tokens)
    rewrite(document, rules, planner.visit)
    planner.refuse_blocked()
    needles = {*planner.entities, *seen}
    planner.spread([needle_of(entity) for entity in needles if spreads(entity, TOKEN_LIKE)])
    return MaskPlan(document, rules, planner.spans, frozenset(planner.entities), planner.counts)


def apply(plan: MaskPlan, tokens: Mapping[Entity, str]) -> Json:
    """The masked document; raises DetectionError(TokenMissing) rather than let a planned value through."""

    def visit(text: str, kind: Kind) -> str:
        return replaced(text, plan.spans.get((text, kind), ()), tokens)

    return rewrite(plan.document, plan.rules, visit)


def replaced(text: str, findings: Iterable[Finding], tokens: Mapping[Entity, str]) -> str:
    """The text with a token for each finding; raises DetectionError(TokenMissing)."""
    pieces, position = [], 0
    for finding in findings:
        token = tokens.get((finding.entity_type, text[finding.start : finding.end]))
        if token is None:
            raise DetectionError("TokenMissing", finding.entity_type)
        pieces += [text[position : finding.start], token]
        position = finding.end
    return "".join([*pieces, text[position:]])


class Scanned:
    """A scanner whose answers were found elsewhere; a text that it does not know is an error, not clean."""

    def __init__(self, found: Mapping[tuple[str, bool], Sequence[Finding]]) -> None:
        self._found = found

    def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
        """The findings, as they were found; raises DetectionError(NotScanned)."""
        if (text, prose) not in self._found:
            raise DetectionError("NotScanned")
        return list(self._found[text, prose])


def question_of(text: str, kind: Kind) -> Question:
    """What is asked of a scanner about a text."""
    return text, kind in PROSE


def questions_of(document: Json, rules: WalkRules = DATA) -> list[Question]:
    """What `plan` will ask its scanner about a document."""
    found: dict[Question, None] = {}

    def visit(text: str, kind: Kind) -> str:
        found[question_of(text, kind)] = None
        return text

    rewrite(document, rules, visit)
    return list(found)


class Planner:
    """Collects what is to be masked, text by text."""

    def __init__(self, scanner: Scanner, policy: MaskPolicy, known_tokens: Container[str]) -> None:
        self._scanner = scanner
        self._policy = policy
        self._known = known_tokens
        self._blocked: set[str] = set()
        self.spans: dict[tuple[str, Kind], tuple[Finding, ...]] = {}
        self.entities: set[Entity] = set()
        self.counts: Counter[str] = Counter()

    def visit(self, text: str, kind: Kind) -> str:
        """Record what is to be masked in a text; returns it unchanged."""
        if (text, kind) not in self.spans:
            findings = self._scanner.scan(text, prose=kind in PROSE)
            self._note(text, kind, [f for f in findings if not self._is_known_token(text, f)])
        return text

    def _note(self, text: str, kind: Kind, findings: list[Finding]) -> None:
        masked = []
        for finding in findings:
            mode = decide_action(finding, self._policy)
            if mode is not Mode.DISABLED:
                self.counts[finding.entity_type] += 1
            if mode is Mode.BLOCK:
                self._blocked.add(finding.entity_type)
            if mode is Mode.MASK:
                masked.append(finding)
        self._mask(text, kind, masked)

    def _mask(self, text: str, kind: Kind, findings: Iterable[Finding]) -> None:
        self.spans[text, kind] = findings = tuple(findings)
        self.entities.update((f.entity_type, text[f.start : f.end]) for f in findings)

    def _is_known_token(self, text: str, finding: Finding) -> bool:
        if finding.entity_type != TOKEN_LIKE:
            return False
        return any(candidate in self._known for candidate in suffixes(text[finding.start : finding.end]))

    def refuse_blocked(self) -> None:
        """Raise Blocked when the policy forbids something that was found."""
        if self._blocked:
            classes = {data_class_for(kind) for kind in self._blocked}
            raise Blocked(
                "CredentialsBlocked" if classes == {CREDENTIALS} else "EntityBlocked", self._blocked
            )

    def put(self, text: str, kind: Kind, findings: tuple[Finding, ...]) -> None:
        """What was found earlier in a text, unless it was read again now."""
        if (text, kind) not in self.spans:
            self._mask(text, kind, findings)

    def spread(self, needles: Sequence[Needle]) -> None:
        """Mask these values in all texts, encoded spellings included."""
        if not needles:
            return
        scanner = TermScanner(needles)
        for (text, kind), findings in list(self.spans.items()):
            more = [*scanner.scan(text), *decode.scan(text, scanner.scan)]
            if kind not in PROSE:
                more = [f for f in more if not text[f.start : f.end].isalpha()]
            if more:
                self._mask(text, kind, resolve(text, [*findings, *more]))
