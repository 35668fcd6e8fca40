"""The bundle's guard rules in the words of the detection library."""

from cadre_api.protocol.guard import AgentBundle
from cadre_detect.config import DetectConfig, Recognizer, Term
from cadre_detect.entities import DATA_CLASSES, DEFAULT_ENTITIES, tag_for
from cadre_detect.masking import MaskPolicy, Mode
from cadre_guard.errors import GuardError

_ENTITY_OF_TAG = {tag_for(entity): entity for entity in DATA_CLASSES}
_DENY_LIST_ENTITY = "DENY_LIST"


def detect_config(bundle: AgentBundle) -> DetectConfig:
    """What to look for."""
    guard = bundle.guard
    named = frozenset(entity for entity, mode in guard.entity_actions.items() if mode != Mode.DISABLED.value)
    return DetectConfig(
        languages=guard.languages,
        terms=tuple(Term(term.text, term.entity_type) for term in guard.terms),
        allow_list=guard.allow_list,
        deny_list=tuple(Term(text, _DENY_LIST_ENTITY) for text in guard.deny_list),
        recognizers=tuple(Recognizer(each.name, each.pattern, each.entity) for each in guard.recognizers),
        entities=DEFAULT_ENTITIES | named,
    )


def mask_policy(bundle: AgentBundle) -> MaskPolicy:
    """What to do with it; raises GuardError(GuardRulesUnknown) for a mode this guard does not know."""
    try:
        entities = {entity: Mode(mode) for entity, mode in bundle.guard.entity_actions.items()}
        return MaskPolicy(default=Mode(bundle.guard.mode), entities=entities)
    except ValueError:
        raise GuardError(
            "GuardRulesUnknown", "the bundle names a guard mode this guard does not know"
        ) from None


def entity_of_token(token: str) -> str:
    """The entity type a token's tag stands for; an unknown tag is taken as the type itself."""
    tag = token[: token.index("x")]
    return _ENTITY_OF_TAG.get(tag, tag)
