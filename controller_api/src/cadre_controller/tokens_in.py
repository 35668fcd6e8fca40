"""Tokens wherever they stand in a JSON value: what may have to be restored, and which data classes are
involved.
"""

import json
from collections.abc import Mapping

from cadre_detect.entities import DATA_CLASSES, data_class_for, tag_for
from cadre_detect.tokens import find_tokens, suffixes

_CLASS_OF_TAG: Mapping[str, str] = {tag_for(entity): name for entity, name in DATA_CLASSES.items()}


def token_candidates(value: object) -> frozenset[str]:
    """Every string that may be a token, also with capitals glued to its front."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return frozenset(token for match in find_tokens(text) for token in suffixes(match.text))


def classes_in(value: object, own: Mapping[str, str]) -> frozenset[str]:
    """The data classes of the tokens in a value; `own`: class of the tenant's own entity types. A tag nobody
    knows counts as PII."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    classes = {**{tag_for(entity): name for entity, name in own.items()}, **_CLASS_OF_TAG}
    return frozenset(_class_of(match.text, classes) for match in find_tokens(text))


def _class_of(match: str, classes: Mapping[str, str]) -> str:
    tags = (token.partition("x")[0] for token in suffixes(match))
    return next((classes[tag] for tag in tags if tag in classes), data_class_for(""))
