"""Findings as programs read them: presidio's names, places in characters, never the text itself."""

from collections.abc import Iterable

from cadre_detect import Finding
from cadre_detect.jsonwalk import Json


def records_of(found: Iterable[Finding]) -> Json:
    """`[{type, start, end, score}]`."""
    return [
        {"type": f.entity_type, "start": f.start, "end": f.end, "score": round(f.score, 3)} for f in found
    ]
