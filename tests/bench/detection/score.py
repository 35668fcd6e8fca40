"""Recall, precision and leaking documents from labels and findings.

A label counts as found when every letter and digit of it is covered and half of it by the right type. A
finding counts as right when it touches a label of its type; types that carry no label in these texts are not
counted. A document leaks when any letter or digit of any label is covered by nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.detection.generate import Document, Label
from tests.bench.detection.values import IGNORE

Span = tuple[str, int, int]
"""Entity type, start, end."""

_SECRETS = ("API_KEY", "ACCESS_TOKEN", "PRIVATE_KEY", "PASSWORD", "CONNECTION_STRING")
GROUP: Mapping[str, str] = dict.fromkeys(_SECRETS, "SECRET") | {"DATE_TIME": "DATE_OF_BIRTH"}
"""Types that count as one; presidio knows a birth date only as a date."""
TYPES = (
    "PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "SECRET",
    "LOCATION", "DATE_OF_BIRTH", "CRYPTO",
)  # fmt: skip
_UNJUDGED = frozenset({"DATE_TIME"})


@dataclass
class Counts:
    """Labels and findings of one type."""

    labels: int = 0
    found: int = 0
    findings: int = 0
    right: int = 0

    @property
    def recall(self) -> float:
        """Share of labels found."""
        return self.found / self.labels if self.labels else 1.0

    @property
    def precision(self) -> float:
        """Share of findings that are right."""
        return self.right / self.findings if self.findings else 1.0

    @property
    def f2(self) -> float:
        """Recall counts twice as much as precision."""
        weighed = 4 * self.precision + self.recall
        return 5 * self.precision * self.recall / weighed if weighed else 0.0


@dataclass
class Score:
    """Everything counted over a set of documents."""

    types: dict[str, Counts] = field(default_factory=dict)
    documents: int = 0
    leaking: int = 0

    def of(self, entity_type: str) -> Counts:
        """The counts of a type, made on first use."""
        return self.types.setdefault(entity_type, Counts())

    @property
    def total(self) -> Counts:
        """All types together."""
        all_counts = self.types.values()
        return Counts(
            *(sum(getattr(c, f) for c in all_counts) for f in ("labels", "found", "findings", "right"))
        )

    @property
    def leak_share(self) -> float:
        """Share of the documents with labels that leak."""
        return self.leaking / self.documents if self.documents else 0.0


def score(pairs: Iterable[tuple[Document, Sequence[Span]]]) -> Score:
    """Judge findings against labels."""
    result = Score()
    for document, spans in pairs:
        labels = [label for label in document.labels if label.entity_type != IGNORE]
        missed = [label for label in labels if not _judge_label(result, document, label, spans)]
        if labels:
            result.documents += 1
            result.leaking += any(uncovered(document.text, label, spans) for label in missed)
        for span in spans:
            _judge_finding(result, document, span)
    return result


def _judge_label(result: Score, document: Document, label: Label, spans: Sequence[Span]) -> bool:
    counts = result.of(label.entity_type)
    right = [span for span in spans if _group(span[0]) == label.entity_type]
    found = (
        not uncovered(document.text, label, spans) and _overlap(label, right) * 2 >= label.end - label.start
    )
    counts.labels += 1
    counts.found += found
    return found


def _judge_finding(result: Score, document: Document, span: Span) -> None:
    kind = _group(span[0])
    if span[0] in _UNJUDGED or kind not in TYPES:
        return
    touched = [label for label in document.labels if label.start < span[2] and span[1] < label.end]
    if any(label.entity_type == IGNORE for label in touched):
        return
    counts = result.of(kind)
    counts.findings += 1
    counts.right += any(label.entity_type == kind for label in touched)


def _group(entity_type: str) -> str:
    return GROUP.get(entity_type, entity_type)


def _overlap(label: Label, spans: Sequence[Span]) -> int:
    return len(_covered(label, spans))


def _covered(label: Label, spans: Sequence[Span]) -> set[int]:
    return {i for _, start, end in spans for i in range(max(start, label.start), min(end, label.end))}


def uncovered(text: str, label: Label, spans: Sequence[Span]) -> str:
    """Letters and digits of a label that no finding covers."""
    covered = _covered(label, spans)
    return "".join(text[i] for i in range(label.start, label.end) if i not in covered and text[i].isalnum())


def missed_by_type(documents: Iterable[tuple[Document, Sequence[Span]]]) -> Counter[str]:
    """How many labels of each type leave something uncovered."""
    return Counter(
        label.entity_type
        for document, spans in documents
        for label in document.labels
        if label.entity_type != IGNORE and uncovered(document.text, label, spans)
    )
