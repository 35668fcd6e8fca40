"""Recognisers of a tenant's own: a pattern, a list of words, both; narrowed by a checksum and by context.

Everything is checked when a detector is made, so that a mistake is an error at admission and not a leak
later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cadre_detect.checksums import BY_NAME, Check
from cadre_detect.config import Recognizer
from cadre_detect.errors import DetectionError
from cadre_detect.findings import Finding
from cadre_detect.linear import Pattern, compile_pattern
from cadre_detect.terms import Needle, TermScanner, fold

_REACH = 80


@dataclass(frozen=True, slots=True)
class CustomRecognizer:
    """A recogniser ready to run; make it with `prepare`."""

    source: Recognizer
    pattern: Pattern | None
    check: Check | None
    words: TermScanner
    context: TermScanner | None

    def scan(self, text: str) -> Iterator[Finding]:
        """Every match that passes the checksum and has its context."""
        for start, end in self._matches(text):
            if (self.check is None or self.check(text[start:end])) and self._in_context(text, start, end):
                yield Finding(self.source.entity, start, end, self.source.score, self.source.data_class)

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        if self.pattern is not None:
            yield from (match.span() for match in self.pattern.finditer(text) if match.group())
        yield from ((found.start, found.end) for found in self.words.scan(text))

    def _in_context(self, text: str, start: int, end: int) -> bool:
        if self.context is None:
            return True
        near = fold(text[max(0, start - _REACH) : start] + " " + text[end : end + _REACH])
        return bool(self.context.scan(near))


def prepare(source: Recognizer) -> CustomRecognizer:
    """Compile a recogniser; raises DetectionError(RecognizerInvalid) naming it, the field and the remedy."""
    if not source.pattern and not source.words:
        raise _invalid(source, "has neither a pattern nor words; give one of them")
    if source.checksum and source.checksum not in BY_NAME:
        raise _invalid(
            source, f"checksum {source.checksum!r} is unknown; use one of: {', '.join(sorted(BY_NAME))}"
        )
    if not 0 < source.score <= 1:
        raise _invalid(source, f"score {source.score} is not above 0 and at most 1")
    return CustomRecognizer(
        source=source,
        pattern=_compiled(source) if source.pattern else None,
        check=BY_NAME.get(source.checksum),
        words=TermScanner(Needle(word, source.entity) for word in source.words),
        context=TermScanner(Needle(word, source.entity) for word in source.context)
        if source.context
        else None,
    )


def _compiled(source: Recognizer) -> Pattern:
    try:
        pattern = compile_pattern(source.pattern)
    except ValueError as error:
        raise _invalid(source, f"{error}; use RE2 syntax") from error
    if pattern.search("") is not None:
        raise _invalid(source, "pattern matches the empty text; let it require at least one character")
    return pattern


def _invalid(source: Recognizer, problem: str) -> DetectionError:
    return DetectionError("RecognizerInvalid", f"recognizer {source.name!r}: {problem}")
