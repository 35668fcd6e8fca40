"""What a guard and the analyzer of its machine say to each other: JSON over TLS, texts and spans."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from cadre_detect import DetectConfig, Finding
from cadre_guard.analysis.scanner import Question
from cadre_guard.jsonvalue import as_list, parse_object

CONFIGURATION_PATH = "/analyzer/v1/configurations/"
"""PUT of a configuration under the hash of its bytes."""
SCAN_PATH = "/analyzer/v1/scan"
UNKNOWN_CONFIGURATION = "UnknownConfiguration"


def packed_configuration(config: DetectConfig) -> tuple[str, bytes]:
    """(name, bytes): the name is the SHA-256 of the bytes, in hex."""
    fields = asdict(config) | {
        "entities": sorted(config.entities),
        "unreleasable": sorted(config.unreleasable),
    }
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return name_of(body), body


def name_of(body: bytes) -> str:
    """The name of a packed configuration."""
    return hashlib.sha256(body).hexdigest()


def packed_questions(configuration: str, questions: Sequence[Question]) -> bytes:
    """Texts to scan under a configuration; a lone surrogate travels as it is."""
    document = {"configuration": configuration, "texts": questions}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read_questions(body: bytes) -> tuple[str, list[Question]]:
    """(configuration, questions); raises ValueError without a word of a text."""
    document = parse_object(body.decode("utf-8", "surrogatepass"))
    if document is None or not isinstance(document.get("configuration"), str):
        raise ValueError("configuration: the name of one is needed")
    texts = document.get("texts")
    if not isinstance(texts, list) or not texts:
        raise ValueError("texts: a list of [text, prose] is needed")
    return str(document["configuration"]), [_question(each) for each in texts]


def packed_spans(found: Sequence[Sequence[Finding]]) -> bytes:
    """Findings of each text, in the order of the texts; spans only."""
    spans = [[(f.entity_type, f.start, f.end, f.score, f.data_class) for f in each] for each in found]
    return json.dumps({"spans": spans}, separators=(",", ":")).encode()


def read_spans(body: bytes, questions: Sequence[Question]) -> Mapping[Question, tuple[Finding, ...]]:
    """Findings of each text; raises ValueError for an answer to anything else than these texts."""
    spans = as_list((parse_object(body) or {}).get("spans"))
    if len(spans) != len(questions):
        raise ValueError("an answer for each text is needed")
    return {
        question: tuple(_finding(span, len(question[0])) for span in _sequence(each))
        for question, each in zip(questions, spans, strict=True)
    }


def _question(value: object) -> Question:
    match value:
        case [str(text), bool(prose)]:
            return text, prose
        case _:
            raise ValueError("texts: each is [text, prose]")


def _sequence(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("spans: a list for each text is needed")
    return value


def _finding(value: object, length: int) -> Finding:
    match value:
        case [str(kind), int(start), int(end), int(score) | float(score), str(data_class)] if (
            0 <= start < end <= length
        ):
            return Finding(kind, start, end, float(score), data_class)
        case _:
            raise ValueError("spans: a place within the text is needed")
