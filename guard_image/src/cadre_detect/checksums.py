"""Check digits: what tells an account or a card from any other row of digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Characters of an account number by country (ISO 13616 registry)."""
_CARDS: Mapping[tuple[int, int], tuple[int, ...]] = {
    (4, 4): (13, 16, 19), (51, 55): (16,), (2221, 2720): (16,), (34, 34): (15,), (37, 37): (15,),
    (300, 305): (14, 16), (36, 36): (14, 16), (38, 39): (14, 16), (6011, 6011): (16, 19), (644, 649): (16, 19),
    (65, 65): (16, 19), (3528, 3589): (16, 19), (2131, 2131): (15,), (1800, 1800): (15,), (62, 62): (16, 17, 18, 19),
    (5018, 5018): (12, 13, 14, 15, 16, 19), (5020, 5020): (12, 13, 14, 15, 16, 19), (5038, 5038): (12, 13, 16, 19),
    (6304, 6304): (12, 13, 16, 19), (6759, 6759): (12, 13, 16, 19), (6761, 6763): (12, 13, 16, 19),
    (2200, 2204): (16, 19), (9792, 9792): (16,), (508, 508): (16,), (60, 60): (16,),
}  # fmt: skip
"""First digits of the issuers (ISO/IEC 7812) and the lengths they give out."""
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def digits_of(value: str) -> str:
    """The digits alone."""
    return "".join(c for c in value if c.isdigit())


def passes_luhn(value: str) -> bool:
    """ISO/IEC 7812-1 check digit over 12 to 19 digits that are not all the same."""
    digits = [int(c) for c in digits_of(value)]
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_card(value: str) -> bool:
    """A number of a known issuer's form with a right check digit."""
    digits = digits_of(value)
    if not passes_luhn(digits):
        return False
    for (low, high), lengths in _CARDS.items():
        if len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high:
            return True
    return False


def iban_length(country: str) -> int:
    """Characters of the country's account numbers, 0 for one that has none."""
    return _IBAN_LENGTHS.get(country.upper(), 0)


def is_iban(compact: str) -> bool:
    """Right length for its country and remainder 1 modulo 97 (ISO 7064)."""
    if len(compact) != iban_length(compact[:2]) or not compact.isascii() or not compact.isalnum():
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_ssn(value: str) -> bool:
    """A number the US social security administration can have issued, written with one kind of joint."""
    digits = digits_of(value)
    if len(digits) != 9 or len({c for c in value if not c.isdigit()}) > 1 or digits in _PRINTED_SSNS:
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return (
        area not in ("000", "666")
        and area[0] != "9"
        and group != "00"
        and serial != "0000"
        and len(set(digits)) > 1
    )


_PRINTED_SSNS = frozenset(("123456789", "078051120", "219099999", "987654321"))
"""Known from advertisements and forms."""


def is_bitcoin_address(value: str) -> bool:
    """Base58Check (P2PKH, P2SH); `bc1` addresses are judged by their alphabet."""
    if value.startswith("bc1"):
        return 14 <= len(value) <= 74 and not set(value[3:]) & set("1bio") and value == value.lower()
    number = 0
    for char in value:
        index = _BASE58.find(char)
        if index < 0:
            return False
        number = number * 58 + index
    if number.bit_length() > 25 * 8:
        return False
    raw = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def is_dea_number(value: str) -> bool:
    """Two letters and seven digits of a US registration to prescribe: the last checks the others."""
    digits = [int(c) for c in value[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


Check = Callable[[str], bool]
BY_NAME: Mapping[str, Check] = {
    "luhn": passes_luhn,
    "iban": lambda value: is_iban("".join(value.split()).upper()),
    "card": is_card,
}
"""Checks a policy's recogniser can name."""
