"""An agent's guard rules in the words of the detector: the same for its guard, the gateway's second scan and
the command line, so that none of them finds what another does not know.
"""

from __future__ import annotations

from collections.abc import Iterable

from cadre_api.protocol.guard import GuardRecognizer, GuardRules, GuardTerm
from cadre_detect.config import DetectConfig, Recognizer, Term
from cadre_detect.custom import prepare
from cadre_detect.entities import DEFAULT_ENTITIES, data_class_for
from cadre_detect.errors import DetectionError
from cadre_detect.masking import MaskPolicy, Mode

DENY_LIST_ENTITY = "DENY_LIST"


def detect_config(rules: GuardRules) -> DetectConfig:
    """What to look for: the default types, those a policy names, none that it disables."""
    disabled = {kind for kind, mode in rules.entity_actions.items() if mode == Mode.DISABLED.value}
    return DetectConfig(
        languages=rules.languages,
        terms=_terms(rules.terms),
        allow_list=rules.allow_list,
        deny_list=(*(Term(text, DENY_LIST_ENTITY) for text in rules.deny_list), *_terms(rules.added)),
        released=_terms(term for term in rules.released if _may_release(rules, term.entity_type)),
        unreleasable=frozenset(
            kind for kind, mode in rules.entity_actions.items() if mode == Mode.BLOCK.value
        ),
        recognizers=tuple(_recognizer(each) for each in rules.recognizers),
        entities=frozenset((DEFAULT_ENTITIES | rules.entity_actions.keys()) - disabled),
        thresholds=tuple(sorted(rules.thresholds.items())),
        language_model=rules.language_model,
    )


def mask_policy(rules: GuardRules) -> MaskPolicy:
    """What to do with what is found; raises DetectionError(GuardRulesUnknown) for an unknown mode."""
    try:
        entities = {kind: Mode(action) for kind, action in rules.entity_actions.items()}
        return MaskPolicy(default=Mode(rules.mode), entities=entities)
    except ValueError:
        raise DetectionError("GuardRulesUnknown", "a guard mode that this version does not know") from None


def data_class_of(rules: GuardRules, entity_type: str) -> str:
    """The class of an entity type, the tenant's own types included."""
    return rules.entity_classes.get(entity_type) or data_class_for(entity_type)


def check_recognizer(recognizer: GuardRecognizer) -> str:
    """What keeps a recogniser from working, or nothing; RE2 itself judges the pattern."""
    try:
        prepare(_recognizer(recognizer))
    except DetectionError as error:
        return str(error).partition(": ")[2]
    return ""


def _may_release(rules: GuardRules, entity_type: str) -> bool:
    """What policy blocks, no person releases, whoever signed the rules."""
    return rules.entity_actions.get(entity_type, rules.mode) != Mode.BLOCK.value


def _terms(terms: Iterable[GuardTerm]) -> tuple[Term, ...]:
    return tuple(Term(term.text, term.entity_type) for term in terms)


def _recognizer(stated: GuardRecognizer) -> Recognizer:
    return Recognizer(
        name=stated.name,
        pattern=stated.pattern,
        entity=stated.entity,
        data_class=stated.data_class or data_class_for(stated.entity),
        checksum=stated.checksum.lower(),
        context=stated.context,
        words=stated.terms,
        score=stated.score,
    )
