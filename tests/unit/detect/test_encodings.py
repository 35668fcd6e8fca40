"""A value in disguise is found, and masking takes the disguise away with it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import MaskPolicy, apply, plan, restore_json
from tests.unit.detect.samples import ENCODINGS, SEEDED, patterns_only, tokens_for, values_of

DETECTOR = patterns_only()
COVERS = [" ", "x=", '"', "?q=", "(", "\n"]


@pytest.mark.parametrize(("entity_type", "encoding"), list(itertools.product(SEEDED, ENCODINGS)))
def test_found_in_every_encoding(entity_type: str, encoding: str) -> None:
    encoded = ENCODINGS[encoding](SEEDED[entity_type])
    text = f"note: {encoded} end"
    findings = DETECTOR.scan(text)
    covered = "".join(text[f.start : f.end] for f in findings)
    assert entity_type in {f.entity_type for f in findings}, text
    assert encoded.strip('"') in covered or encoding == "raw"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(COVERS), st.sampled_from(sorted(SEEDED)), st.sampled_from(sorted(ENCODINGS))
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_seeded_value_survives_in_any_encoding_and_all_come_back(
    parts: list[tuple[str, str, str]],
) -> None:
    text = " and ".join(cover + ENCODINGS[encoding](SEEDED[kind]) for cover, kind, encoding in parts)
    planned = plan({"content": text}, DETECTOR, MaskPolicy())
    tokens = tokens_for(planned)
    masked = apply(planned, tokens)
    assert restore_json(masked, values_of(tokens)) == {"content": text}
    for encode, value in itertools.product(ENCODINGS.values(), SEEDED.values()):
        assert encode(value).strip('"').lower() not in str(masked).lower()


def test_mixed_with_plain_text_only_the_encoded_run_goes() -> None:
    text = "GET /find?mail=hanna.keller%40acme.example&page=2"
    found = [text[f.start : f.end] for f in DETECTOR.scan(text)]
    assert found == ["hanna.keller%40acme.example"]


def test_wrapped_base64() -> None:
    encoded = ENCODINGS["base64"]("write to hanna.keller@acme.example, please do so today. " * 3)
    wrapped = "\n".join(encoded[i : i + 76] for i in range(0, len(encoded), 76))
    findings = DETECTOR.scan(f"attachment:\n{wrapped}\n")
    assert [f.end - f.start for f in findings] == [len(wrapped)]
