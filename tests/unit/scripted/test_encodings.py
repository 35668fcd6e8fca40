"""The leak finder finds what it must: a finder that finds nothing proves nothing."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from tests.support.encodings import appears, leaks

VALUES = ["Jürgen Groß", "m.ruiz@acme.example", "4111 1111 1111 1111", "DE89370400440532013000"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "encode",
    [
        lambda v: v,
        lambda v: v.upper(),
        lambda v: json.dumps({"a": v}),
        lambda v: json.dumps(json.dumps({"a": v})),
        lambda v: quote(v, safe=""),
        lambda v: quote(v).lower(),
        lambda v: html.escape(v),
        lambda v: "".join(f"&#x{ord(c):X};" for c in v),
        lambda v: v.encode().hex(),
        lambda v: base64.b64encode(v.encode()).decode(),
        lambda v: base64.b64encode(b"x" + v.encode() + b"tail").decode(),
        lambda v: base64.urlsafe_b64encode(b"xy" + v.encode() + b"tail").decode(),
    ],
)
def test_finds(value: str, encode: object) -> None:
    assert appears(value, f"before {encode(value)} after".encode())


def test_finds_numbers_with_any_spacing() -> None:
    assert appears("4111 1111 1111 1111", b"4111-1111-1111-1111") == ["any spacing"]
    assert appears("GB33BUKB20201555555555", b"GB33 BUKB 2020 1555 5555 55")
    assert appears("+44 20 7946 0958", b"+44(20)79460958")


def test_finds_nothing_in_clean_text() -> None:
    assert leaks(VALUES, b"IBANx0k3j5h7g9f1d3s5a7 PERSONx0abcdefghjkmnpqr 18000 EUR 4111 and Juergen") == {}
