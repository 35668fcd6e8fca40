"""Entity types, the tag each shows in a token, and the data class each belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cadre_api.data_classes import DataClass, class_of

PII = DataClass.PII.value
FINANCIAL = DataClass.FINANCIAL.value
PHI = DataClass.PHI.value
CREDENTIALS = DataClass.CREDENTIALS.value

TOKEN_LIKE = "TOKEN_LIKE"  # noqa: S105 - an entity type
"""Text that has the form of a token without being one we issued; re-keyed so that it restores to itself."""

_KINDS = """
    PERSON EMAIL_ADDRESS PHONE_NUMBER LOCATION ORGANIZATION IP_ADDRESS DATE_OF_BIRTH US_SSN US_ITIN
    US_PASSPORT US_DRIVER_LICENSE UK_NHS UK_NINO ES_NIF ES_NIE IT_FISCAL_CODE PL_PESEL SG_NRIC_FIN
    AU_TFN AU_MEDICARE IN_AADHAAR IN_PAN FI_PERSONAL_IDENTITY_CODE SE_PERSONNUMMER CA_SIN DE_TAX_ID
    DE_SOCIAL_SECURITY DE_ID_CARD ZA_ID_NUMBER TR_NATIONAL_ID KR_RRN TH_TNIN CREDIT_CARD IBAN_CODE
    US_BANK_NUMBER CRYPTO MEDICAL_LICENSE MEDICAL_RECORD API_KEY ACCESS_TOKEN PRIVATE_KEY PASSWORD
    CONNECTION_STRING TOKEN_LIKE
"""
DATA_CLASSES: Mapping[str, str] = {kind: class_of(kind).value for kind in _KINDS.split()}
"""Every built-in type and its class."""

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
    return class_of(entity_type).value
