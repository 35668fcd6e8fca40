"""A tenant's own recognisers: pattern, words, checksum, context; mistakes are named at once."""

from __future__ import annotations

import pytest

from cadre_detect import DetectConfig, DetectionError, Detector, Recognizer

CASE = Recognizer("case", r"\bC\d{4}\b", "CASE")


def _found(recognizer: Recognizer, text: str) -> list[tuple[str, str]]:
    detector = Detector(DetectConfig(ner=False, recognizers=(recognizer,)))
    return [(f.entity_type, text[f.start : f.end]) for f in detector.scan(text)]


def test_context_must_stand_near() -> None:
    recognizer = Recognizer("case", r"\bC\d{4}\b", "CASE", context=("case", "dossier"))
    assert _found(recognizer, "see Dossier C1234") == [("CASE", "C1234")]
    assert _found(recognizer, "see C1234") == []
    assert _found(recognizer, "case closed. " + "x " * 60 + "C1234") == []


def test_checksum_must_pass() -> None:
    recognizer = Recognizer("member", r"\b9\d{12}\b", "MEMBER", checksum="luhn")
    assert _found(recognizer, "9000000000009") == []
    assert _found(recognizer, "9000000000001") == [("MEMBER", "9000000000001")]


def test_words_are_met_in_any_case() -> None:
    recognizer = Recognizer("projects", "", "PROJECT", words=("Blue Harvest", "Nightfall"))
    assert _found(recognizer, "BLUE HARVEST and nightfall, not nightfalls") == [
        ("PROJECT", "BLUE HARVEST"),
        ("PROJECT", "nightfall"),
    ]


def test_data_class_and_score_are_the_policys() -> None:
    recognizer = Recognizer("case", CASE.pattern, "CASE", data_class="PHI", score=0.5)
    finding = Detector(DetectConfig(ner=False, recognizers=(recognizer,))).scan("C1234")[0]
    assert (finding.data_class, finding.score) == ("PHI", 0.5)


@pytest.mark.parametrize(
    ("recognizer", "problem"),
    [
        (Recognizer("bad", "(?=x)", "X"), "use RE2 syntax"),
        (Recognizer("bad", "", "X"), "neither a pattern nor words"),
        (Recognizer("bad", "x*", "X"), "matches the empty text"),
        (Recognizer("bad", "x", "X", checksum="crc"), "use one of: card, iban, luhn"),
        (Recognizer("bad", "x", "X", score=0), "score 0"),
    ],
)
def test_mistake_is_named(recognizer: Recognizer, problem: str) -> None:
    with pytest.raises(DetectionError, match=problem) as caught:
        Detector(DetectConfig(recognizers=(recognizer,)))
    assert caught.value.reason == "RecognizerInvalid"
    assert "'bad'" in str(caught.value)


def test_revision_tells_recognisers_apart() -> None:
    plain, narrowed = (
        DetectConfig(recognizers=(r,))
        for r in (CASE, Recognizer("case", CASE.pattern, "CASE", context=("c",)))
    )
    assert plain.revision() != narrowed.revision()
