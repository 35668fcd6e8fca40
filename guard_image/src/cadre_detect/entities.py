"""Entity types, the tag each shows in a token, and the data class each belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping

PII, FINANCIAL, PHI, CREDENTIALS = "PII", "FINANCIAL", "PHI", "CREDENTIALS"

TOKEN_LIKE = "TOKEN_LIKE"  # noqa: S105 - an entity type
"""Text that has the form of a token without being one we issued; re-keyed so that it restores to itself."""

DATA_CLASSES: Mapping[str, str] = {
    "PERSON": PII,
    "EMAIL_ADDRESS": PII,
    "PHONE_NUMBER": PII,
    "LOCATION": PII,
    "ORGANIZATION": PII,
    "IP_ADDRESS": PII,
    "DATE_OF_BIRTH": PII,
    "US_SSN": PII,
    "US_ITIN": PII,
    "US_PASSPORT": PII,
    "US_DRIVER_LICENSE": PII,
    "UK_NHS": PHI,
    "UK_NINO": PII,
    "ES_NIF": PII,
    "ES_NIE": PII,
    "IT_FISCAL_CODE": PII,
    "PL_PESEL": PII,
    "SG_NRIC_FIN": PII,
    "AU_TFN": PII,
    "AU_MEDICARE": PHI,
    "IN_AADHAAR": PII,
    "IN_PAN": PII,
    "FI_PERSONAL_IDENTITY_CODE": PII,
    "SE_PERSONNUMMER": PII,
    "CA_SIN": PII,
    "DE_TAX_ID": PII,
    "DE_SOCIAL_SECURITY": PII,
    "DE_ID_CARD": PII,
    "ZA_ID_NUMBER": PII,
    "TR_NATIONAL_ID": PII,
    "KR_RRN": PII,
    "TH_TNIN": PII,
    TOKEN_LIKE: PII,
    "CREDIT_CARD": FINANCIAL,
    "IBAN_CODE": FINANCIAL,
    "US_BANK_NUMBER": FINANCIAL,
    "CRYPTO": FINANCIAL,
    "MEDICAL_LICENSE": PHI,
    "MEDICAL_RECORD": PHI,
    "API_KEY": CREDENTIALS,
    "ACCESS_TOKEN": CREDENTIALS,
    "PRIVATE_KEY": CREDENTIALS,
    "PASSWORD": CREDENTIALS,
    "CONNECTION_STRING": CREDENTIALS,
}

TAGS: Mapping[str, str] = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "IBAN_CODE": "IBAN",
    "CREDIT_CARD": "CARD",
    "IP_ADDRESS": "IP",
    "DATE_OF_BIRTH": "BIRTHDATE",
    "US_SSN": "SSN",
    "CONNECTION_STRING": "CONNECTION",
    "ORGANIZATION": "ORG",
}

PHI_ENTITIES = frozenset(kind for kind, data_class in DATA_CLASSES.items() if data_class == PHI)
"""Looked for only where a policy names them or their class."""

DEFAULT_ENTITIES = frozenset(DATA_CLASSES) - PHI_ENTITIES - {"ORGANIZATION"}

MAX_TAG = 16


def tag_for(entity_type: str) -> str:
    """The tag a token of this type shows: 2 to 16 letters A-Z."""
    tag = TAGS.get(entity_type) or re.sub(r"[^A-Z]", "", entity_type.upper())[:MAX_TAG]
    return tag if len(tag) >= 2 else "ENTITY"


def data_class_for(entity_type: str) -> str:
    """The data class of a type; a type nobody classified counts as PII."""
    return DATA_CLASSES.get(entity_type, PII)
