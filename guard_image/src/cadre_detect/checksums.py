"""Check digits: what tells an account or a card from any other row of digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping


def _entries(text: str) -> list[str]:
    return text.split()


def _issuer(entry: str) -> tuple[int, int, frozenset[int]]:
    """`low-high:lengths`."""
    prefixes, _, lengths = entry.partition(":")
    low, _, high = prefixes.partition("-")
    return int(low), int(high or low), frozenset(map(int, lengths.split(",")))


_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in _entries("""
        AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
        DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23
        IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31
        MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24
        SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
    """)
}
"""Characters of an account number by country (ISO 13616 registry)."""
_CARDS = [
    _issuer(entry)
    for entry in _entries("""
    4:13,16,19 51-55:16 2221-2720:16 34:15 37:15 300-305:14,16 36:14,16 38-39:14,16 6011:16,19
    644-649:16,19 65:16,19 3528-3589:16,19 2131:15 1800:15 62:16,17,18,19 5018:12,13,14,15,16,19
    5020:12,13,14,15,16,19 5038:12,13,16,19 6304:12,13,16,19 6759:12,13,16,19 6761-6763:12,13,16,19
    2200-2204:16,19 9792:16 508:16 60:16
    """)
]
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
    for low, high, lengths in _CARDS:
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
    return passes_mod97(compact[4:] + compact[:4])


def passes_mod97(compact: str) -> bool:
    """Letters and digits, letters counted from 10, with remainder 1 modulo 97 (ISO 7064)."""
    if len(compact) < 3 or not compact.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in compact)) % 97 == 1


def is_ssn(value: str) -> bool:
    """A number the US social security administration can have issued, written with one kind of joint."""
    return _has_parts(value) and value[0] != "9"


def is_itin_shaped(value: str) -> bool:
    """A number of the same form from the areas 900 to 999, which the US tax authority uses."""
    return _has_parts(value) and value[0] == "9"


def _has_parts(value: str) -> bool:
    digits = digits_of(value)
    if len(digits) != 9 or len({c for c in value if not c.isdigit()}) > 1 or digits in _PRINTED_SSNS:
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and group != "00" and serial != "0000" and len(set(digits)) > 1


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
    "mod97": lambda value: passes_mod97("".join(c for c in value if c.isalnum())),
}
"""Checks a policy's recogniser can name."""
