"""What a token's tag says of the value behind it."""

from cadre_detect.entities import DATA_CLASSES, tag_for

_ENTITY_OF_TAG = {tag_for(entity): entity for entity in DATA_CLASSES}


def entity_of_token(token: str) -> str:
    """The entity type a token's tag stands for; an unknown tag is taken as the type itself."""
    tag = token[: token.index("x")]
    return _ENTITY_OF_TAG.get(tag, tag)
