"""A configuration as a guard sent it: read strictly, for what this version does not know it cannot honour."""

import json
from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from cadre_detect import DetectConfig, Recognizer, Term, custom, ner
from cadre_guard.jsonvalue import as_list, as_object, parse_object

_CONFIG = TypeAdapter(DetectConfig)
_KNOWN = frozenset(each.name for each in fields(DetectConfig))
_KNOWN_RECOGNIZER = frozenset(each.name for each in fields(Recognizer))
_KNOWN_TERM = frozenset(each.name for each in fields(Term))


class ConfigurationUnreadableError(Exception):
    """Not a configuration of this version."""


def read_configuration(body: bytes) -> DetectConfig:
    """Raises ConfigurationUnreadableError, DetectionError(RecognizerInvalid, LanguageModelMissing)."""
    document = parse_object(body)
    if document is None or not _is_known(document):
        raise ConfigurationUnreadableError
    try:
        config = _CONFIG.validate_json(json.dumps(document))
    except ValidationError:
        raise ConfigurationUnreadableError from None
    for recognizer in config.recognizers:
        custom.prepare(recognizer)
    if config.ner:
        ner.check(config.languages)
    return config


def _is_known(document: dict[str, object]) -> bool:
    recognizers = [as_object(each) for each in as_list(document.get("recognizers"))]
    terms = [
        as_object(each) for name in ("terms", "deny_list", "released") for each in as_list(document.get(name))
    ]
    return (
        document.keys() <= _KNOWN
        and all(each.keys() <= _KNOWN_RECOGNIZER for each in recognizers)
        and all(each.keys() <= _KNOWN_TERM for each in terms)
    )
