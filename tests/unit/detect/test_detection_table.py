"""What must be found, and what must not be taken for anything."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cadre_detect import DetectConfig, DetectionError, Detector, Finding, Recognizer
from tests.unit.detect.samples import CONFIG


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(DetectConfig(**{**{f: getattr(CONFIG, f) for f in CONFIG.__slots__}, "ner": True}))


FOUND = [
    ("Please mail hanna.keller@acme.example", "EMAIL_ADDRESS", "hanna.keller@acme.example"),
    (
        "an address at bob.o'neil+tag@mail.corp.internal!",
        "EMAIL_ADDRESS",
        "bob.o'neil+tag@mail.corp.internal",
    ),
    ("ask HANNA KELLER", "PERSON", "HANNA KELLER"),
    ("ask Keller, Hanna", "PERSON", "Keller, Hanna"),
    ("signed H. Keller", "PERSON", "H. Keller"),
    ("login hanna_keller", "PERSON", "hanna_keller"),
    ("Ms Keller said so", "PERSON", "Keller"),
    ("greet Müller", "PERSON", "Müller"),
    ("Mu\u0308ller decomposed", "PERSON", "Mu\u0308ller"),
    ("Yesterday Jonas Weber wrote to us.", "PERSON", "Jonas Weber"),
    ("She moved to Berlin last year.", "LOCATION", "Berlin"),
    ("pay DE89 3704 0044 0532 0130 00 now", "IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
    ("pay de89370400440532013000 now", "IBAN_CODE", "de89370400440532013000"),
    ("4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
    ("5500-0000-0000-0004", "CREDIT_CARD", "5500-0000-0000-0004"),
    ("maestro card: 501800000009", "CREDIT_CARD", "501800000009"),
    ("(212) 555-0123", "PHONE_NUMBER", "(212) 555-0123"),
    ("dial +49 30 901820", "PHONE_NUMBER", "+49 30 901820"),
    ("Tel.: 0171/2345678 ext. 12", "PHONE_NUMBER", "0171/2345678 ext. 12"),
    ("SSN 536-90-4399", "US_SSN", "536-90-4399"),
    ("from 10.2.3.4", "IP_ADDRESS", "10.2.3.4"),
    ("from 2001:db8::8a2e:370:7334", "IP_ADDRESS", "2001:db8::8a2e:370:7334"),
    ("born on 12.03.1985", "DATE_OF_BIRTH", "12.03.1985"),
    ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("AKIAIOSFODNN7EXAMPLE", "API_KEY", "AKIAIOSFODNN7EXAMPLE"),
    ("sk-proj-abcd1234efgh5678ijkl", "API_KEY", "sk-proj-abcd1234efgh5678ijkl"),
    ("ghp_" + "a1B2" * 10, "ACCESS_TOKEN", "ghp_" + "a1B2" * 10),
    ("api_key = 'f8a9d7c6b5e4a3f2'", "API_KEY", "f8a9d7c6b5e4a3f2"),
    ('{"client_secret": "q8ZrT2vLp0"}', "API_KEY", "q8ZrT2vLp0"),
    ("password: hunter2!", "PASSWORD", "hunter2!"),
    ("my password is Tr0ub4dor&3", "PASSWORD", "Tr0ub4dor&3"),
    ("Authorization: Bearer abcdefghijklmnop1234", "ACCESS_TOKEN", "abcdefghijklmnop1234"),
    (
        "postgres://app:s3cr3t@db.internal:5432/x",
        "CONNECTION_STRING",
        "postgres://app:s3cr3t@db.internal:5432/x",
    ),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def",
        "ACCESS_TOKEN",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def",
    ),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\ncut off",
        "PRIVATE_KEY",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\ncut off",
    ),
    ("see PRJ-12345", "PROJECT", "PRJ-12345"),
    ("about project nightfall", "PROJECT", "project nightfall"),
    ("PERSONx1abcdefghjkmnpqrs", "TOKEN_LIKE", "PERSONx1abcdefghjkmnpqrs"),
]

CLEAN = [
    "<turn-context>\n<current-time>2026-11-21 10:30:11</current-time>\n</turn-context>",
    "<working-directory>/home/u/work</working-directory>",
    "id 550e8400-e29b-41d4-a716-446655440000 commit c984142",
    "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "2026-11-21T10:30:11.123Z INFO guard.proxy request done status=200 ms=35 bytes=104857",
    "version 1.2.3.4, v10.0.22621.1, numpy 2.4.6",
    "def scan(self, text: str) -> list[Finding]: return self.Optional[List]",
    "std::vector<int> a::b; fe::ed x = abc::def();",
    "total 1,250,000.00 EUR, 4000000000 rows, epoch 1732180000 and 1732180000123, 12345678",
    "HTTP 127.0.0.1:8080 localhost ::1",
    "max_tokens: 4096, token_type: bearer, password: str, api_key = os.environ['X'], secret: ${SECRET_NAME}",
    "You are a general-purpose AI agent called goose. Use Markdown. Run `cargo build` in Rust.",
    'Traceback (most recent call last):\n  File "/usr/lib/foo.py", line 12, in <module>\nValueError: Bad',
    '{"type":"object","properties":{"amount":{"type":"number"}}}',
    "Read https://example.com/docs/v1/guide?page=2#top",
    "budget 12000 EUR for campaign 2026-Q3, order 100234, 50% + 30 = 80",
    "+1 -1 +100000000",
    "1.250.000 12 and 3.14159265358979 and 0.00000123",
    "Phone support is open 09:00-17:00",
    "invoice 2026-000417, cost centre CC-4711, ticket ACME-123, PO 4500012345",
    "kernel: [12345.678901] usb 1-1: new device number 4",
    "npm WARN deprecated har-validator@5.1.5, postgres@sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "Acme is on the allow list",
]


@pytest.mark.parametrize(("text", "entity_type", "value"), FOUND)
def test_found(detector: Detector, text: str, entity_type: str, value: str) -> None:
    found = [(f.entity_type, text[f.start : f.end]) for f in detector.scan(text)]
    assert (entity_type, value) in found


@pytest.mark.parametrize("text", CLEAN)
def test_left_alone(detector: Detector, text: str) -> None:
    assert [(f.entity_type, text[f.start : f.end]) for f in detector.scan(text)] == []


def test_findings_are_disjoint_and_sorted(detector: Detector) -> None:
    text = " ".join(sample for sample, _, _ in FOUND)
    spans = [(f.start, f.end) for f in detector.scan(text)]
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_phones_vanish_above_the_default_threshold() -> None:
    text = "reachable under 030 901820"
    low, high = Detector(DetectConfig(ner=False)), Detector(DetectConfig(ner=False, threshold=0.5))
    assert [f.entity_type for f in low.scan(text)] == ["PHONE_NUMBER"]
    assert high.scan(text) == []


def test_health_data_only_where_enabled() -> None:
    text = "patient id 4711234, MRN: 0099887"
    assert Detector(DetectConfig(ner=False)).scan(text) == []
    wanted = DetectConfig().entities | {"MEDICAL_RECORD"}
    found = Detector(DetectConfig(ner=False, entities=wanted)).scan(text)
    assert [(f.entity_type, f.data_class) for f in found] == [("MEDICAL_RECORD", "PHI")] * 2


def test_recogniser_that_re2_refuses_is_named() -> None:
    config = DetectConfig(recognizers=(Recognizer("bad one", r"(?=x)", "X"),))
    with pytest.raises(DetectionError, match="bad one") as caught:
        Detector(config)
    assert caught.value.reason == "RecognizerInvalid"


def test_language_without_a_model_fails_closed() -> None:
    with pytest.raises(DetectionError) as caught:
        Detector(DetectConfig(languages=("tlh",))).scan("qapla'")
    assert caught.value.reason == "LanguageModelMissing"


def test_fault_of_a_recogniser_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> list[Finding]:
        raise RuntimeError(f"cannot read {text}")

    monkeypatch.setattr("cadre_detect.credentials.scan", broken)
    with pytest.raises(DetectionError) as caught:
        Detector(CONFIG).scan("some secret words")
    assert caught.value.reason == "DetectorFailed"
    assert "secret words" not in str(caught.value)


def test_text_beyond_the_models_window_is_scanned_to_its_end(detector: Detector) -> None:
    text = "Nothing happened that day. " * 900 + "Then Jonas Weber arrived in Berlin."
    found = {text[f.start : f.end] for f in detector.scan(text)}
    assert {"Jonas Weber", "Berlin"} <= found


def test_without_prose_names_need_to_be_whole(detector: Detector) -> None:
    assert detector.scan("Keller", prose=False) == []
    assert [f.entity_type for f in detector.scan("Hanna Keller", prose=False)] == ["PERSON"]
