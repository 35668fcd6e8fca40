"""The detector: every recogniser over a text, decoded where it is encoded, as disjoint findings.

Any fault of a recogniser ends the scan with DetectionError: a caller that cannot tell what a text holds must
not let it pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cadre_detect import contextual, credentials, custom, decode, names, national, ner, validated
from cadre_detect.cache import SpanCache
from cadre_detect.config import DetectConfig
from cadre_detect.entities import CREDENTIALS, DATA_CLASSES, PII, TOKEN_LIKE
from cadre_detect.errors import DetectionError
from cadre_detect.findings import Finding, resolve
from cadre_detect.terms import Needle, TermScanner, part_needles, whole_needles
from cadre_detect.tokens import TOKEN_RE, find_tokens


class Detector:
    """Finds entities under one configuration; threads may share it."""

    def __init__(self, config: DetectConfig, cache: SpanCache | None = None) -> None:
        """Raises DetectionError(RecognizerInvalid) naming a recogniser that cannot work."""
        self.config = config
        self._cache = cache
        self._revision = config.revision()
        self._whole = TermScanner(whole_needles(config.terms))
        self._parts = TermScanner(part_needles(config.terms))
        self._denied = TermScanner(Needle(term.text, term.entity_type) for term in config.deny_list)
        self._allowed = TermScanner(Needle(text, "ALLOWED") for text in config.allow_list)
        self._released = TermScanner(Needle(term.text, term.entity_type) for term in config.released)
        self._thresholds = dict(config.thresholds)
        self._custom = [custom.prepare(item) for item in config.recognizers]

    def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
        """Disjoint findings in order; without `prose` (keys, schemas) only patterns and whole terms.

        Raises DetectionError when any recogniser fails.
        """
        if not text or text.isspace():
            return []
        if self.config.ner and prose:
            ner.check(self.config.languages)
        digest = self._cache.digest(self._revision + bytes([prose]), text) if self._cache is not None else b""
        known = self._cache.get(digest) if self._cache is not None else None
        if known is None:
            known = tuple(self._scan_safely(text, prose))
            if self._cache is not None:
                self._cache.put(digest, known)
        return list(known)

    def warm_up(self) -> None:
        """Load models and validators now (seconds), so that the first request does not pay for it.

        Only a doubtful name asks a model, so a scan alone may not load it.
        """
        self.scan("Hanna Keller, DE89 3704 0044 0532 0130 00, 030 901820, 4111 1111 1111 1111")
        if self.config.ner and self.config.language_model:
            for language in self.config.languages:
                ner.opinions("Hanna Keller went to Berlin.", [(0, 28)], language)

    def _scan_safely(self, text: str, prose: bool) -> list[Finding]:
        try:
            return self._scan_all(text, prose)
        except DetectionError:
            raise
        except Exception as error:
            raise DetectionError("DetectorFailed", type(error).__name__) from error

    def _scan_all(self, text: str, prose: bool) -> list[Finding]:
        tokens = find_tokens(text)
        rest = TOKEN_RE.sub(lambda match: " " * len(match.group()), text) if tokens else text
        found = self._filtered(rest, self._recognise(rest, prose))
        found += decode.scan(rest, lambda plain: self._filtered(plain, self._recognise(plain, prose)))
        found += [Finding(TOKEN_LIKE, token.start, token.end, 2.0, PII) for token in tokens]
        return resolve(text, found)

    def _recognise(self, text: str, prose: bool) -> Iterator[Finding]:
        wanted = self.config.entities
        yield from self._whole.scan(text)
        yield from self._denied.scan(text)
        yield from contextual.scan(text, wanted)
        yield from validated.scan(text, wanted, self.config.phone_regions)
        yield from national.scan(text, wanted)
        if wanted & _CREDENTIAL_TYPES:
            yield from (finding for finding in credentials.scan(text) if finding.entity_type in wanted)
        for recognizer in self._custom:
            yield from recognizer.scan(text)
        if prose:
            yield from self._parts.scan(text)
        if prose and self.config.ner:
            yield from names.scan(text, wanted, self._ask if self.config.language_model else None)

    def _ask(self, text: str, lines: Sequence[tuple[int, int]], language: str) -> list[Finding]:
        return ner.opinions(text, lines, language) if language in self.config.languages else []

    def _filtered(self, text: str, findings: Iterable[Finding]) -> list[Finding]:
        """What reaches the threshold and lies in no allowed or released value; what is denied stays."""
        kept = [f for f in findings if self._counts(f)]
        allowed = self._allowed.scan(text)
        released = self._released.scan(text)
        if not allowed and not released:
            return kept
        denied = {(f.start, f.end) for f in self._denied.scan(text)}
        return [
            f
            for f in kept
            if (f.start, f.end) in denied or not (_inside(f, allowed) or self._is_released(f, released))
        ]

    def _is_released(self, finding: Finding, released: Iterable[Finding]) -> bool:
        """Whether it is of a type that the value around it was released as; secrets never are."""
        if finding.data_class == CREDENTIALS or finding.entity_type in self.config.unreleasable:
            return False
        return _inside(finding, (r for r in released if r.entity_type in (finding.entity_type, "")))

    def _counts(self, finding: Finding) -> bool:
        least = self._thresholds.get(finding.entity_type, self.config.threshold)
        return finding.score >= least and finding.start < finding.end


def _inside(finding: Finding, spans: Iterable[Finding]) -> bool:
    return any(span.start <= finding.start and finding.end <= span.end for span in spans)


_CREDENTIAL_TYPES = frozenset(kind for kind, data_class in DATA_CLASSES.items() if data_class == CREDENTIALS)
